"""Metrics of a pipeline for others: a file that is replaced every second, a page on a port of this machine, and warnings that are counted."""

from __future__ import annotations

import logging
import os
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Self

from shm_exchange.domain.errors import ConfigError
from shm_exchange.pipeline.exposition import CONTENT_TYPE

if TYPE_CHECKING:
    from shm_exchange.pipeline import Monitor

_WRITE_SECONDS = 1.0
_HOST = "127.0.0.1"


class Warnings(logging.Handler):
    """Counts what pipelines warn of."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one."""
        self.texts.append(record.getMessage())


class Watching:
    """Options of `pipeline monitor`, at work. port: 0 for a free one, None for no page. Raises ConfigError."""

    def __init__(self, warn_above: int | None, metrics_file: Path | None, port: int | None) -> None:
        self.warn_above = warn_above
        self.warnings = Warnings()
        self._file, self._due = metrics_file, 0.0
        self._page = b""
        self._server = None if port is None else _server(port, lambda: self._page)
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str | None:
        """Where the page is."""
        return None if self._server is None else f"http://{_HOST}:{self._server.server_port}/metrics"

    def look(self, monitor: Monitor) -> None:
        """Take the metrics of this moment: for warnings and the page at once, for the file when a second has passed. Raises ConfigError."""
        monitor.look()
        self._page = monitor.exposition().encode()
        if self._file is not None and time.monotonic() >= self._due:
            self._due = time.monotonic() + _WRITE_SECONDS
            self._write(self._file)

    def finish(self) -> None:
        """Write the file with the metrics of the last look."""
        if self._file is not None:
            self._write(self._file)

    def __enter__(self) -> Self:
        logging.getLogger("shm_exchange.pipeline").addHandler(self.warnings)
        if self._server is not None:
            self._thread = threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True)
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger("shm_exchange.pipeline").removeHandler(self.warnings)
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()

    def _write(self, path: Path) -> None:
        """Replace the file as a whole: whoever reads it sees one moment."""
        beside = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            beside.write_bytes(self._page)
            beside.replace(path)
        except OSError as error:
            with suppress(OSError):
                beside.unlink()
            raise ConfigError(f"cannot write the metrics to {path}: {error.strerror}; name a file in a folder that is yours") from error


def _server(port: int, page: object) -> ThreadingHTTPServer:
    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path != "/metrics":
                self.send_error(404, "the metrics are at /metrics")
                return
            assert callable(page)
            content = page()
            self.send_response(200)
            self.send_header("Content-Type", CONTENT_TYPE)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Scrapers come all the time."""

    try:
        return ThreadingHTTPServer((_HOST, port), Page)
    except (OSError, OverflowError) as error:
        raise ConfigError(f"cannot serve metrics on port {port}: {error}; take another port, or 0 for a free one") from error
