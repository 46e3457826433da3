"""The key of a feed: from the environment or from a file, never from a flag, and never in a log line, a traceback or a repr."""

from __future__ import annotations

import logging
import os
import stat
from pathlib import Path

from shm_exchange.domain.errors import ConfigError

VARIABLE = "SHM_EXCHANGE_FEED_API_KEY"
"""The key itself."""
FILE_VARIABLE = "SHM_EXCHANGE_FEED_API_KEY_FILE"
"""Or where it stands."""
HEADER = "X-API-Key"
_KEY_BYTES_MAX = 4096
_log = logging.getLogger("shm_exchange.pipeline.feed")
library_log = logging.getLogger("shm_exchange.pipeline.feed.websocket")
library_log.setLevel(logging.INFO)  # below it the library writes down all headers, the key among them


class ApiKey:
    """A key that does not show itself. Raises ConfigError for what no HTTP header can carry, without saying it."""

    __slots__ = ("_text",)

    def __init__(self, text: str, origin: str = "the key") -> None:
        text = text.strip()
        if not text or len(text) > _KEY_BYTES_MAX or not text.isascii() or not text.isprintable():
            raise ConfigError(f"{origin} holds no key: it must be one line of 1 to {_KEY_BYTES_MAX} printable ASCII characters")
        self._text = text

    @classmethod
    def from_environment(cls) -> ApiKey | None:
        """What SHM_EXCHANGE_FEED_API_KEY says, else the file that SHM_EXCHANGE_FEED_API_KEY_FILE names; None without either. Raises ConfigError."""
        if text := os.environ.get(VARIABLE):
            return cls(text, VARIABLE)
        if path := os.environ.get(FILE_VARIABLE):
            return cls.from_file(Path(path))
        return None

    @classmethod
    def from_file(cls, path: Path) -> ApiKey:
        """The one line of a file that nobody else can read. Raises ConfigError."""
        try:
            handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            raise ConfigError(f"cannot read the key of the feed in {path}: {error.strerror}") from error
        try:
            mode = os.fstat(handle).st_mode
            if not stat.S_ISREG(mode):
                raise ConfigError(f"{path} is no file, so it holds no key")
            if mode & stat.S_IRWXO:
                raise ConfigError(f"everybody on this machine may read or change the key in {path}; run: chmod 600 {path}")
            if mode & stat.S_IRWXG:
                _log.warning("the group of %s may read or change the key in it; run: chmod 600 %s", path, path)
            return cls(os.read(handle, _KEY_BYTES_MAX + 2).decode("ascii", "replace"), str(path))
        finally:
            os.close(handle)

    def reveal(self) -> str:
        """The key, for the header and nothing else."""
        return self._text

    def hidden(self, text: str) -> str:
        """A text of somebody else's with the key taken out of it."""
        return text.replace(self._text, "***")

    def __repr__(self) -> str:
        return "<ApiKey ***>"

    def __reduce__(self) -> str:
        raise ConfigError("a key does not travel to another process; let that one read it from the environment or a file")


def checked_key(key: ApiKey | Path | str | None) -> ApiKey | None:
    """A key however it was given: itself, the path of its file, or None for the environment. Raises ConfigError."""
    if key is None:
        return ApiKey.from_environment()
    if isinstance(key, Path):
        return ApiKey.from_file(key)
    return key if isinstance(key, ApiKey) else ApiKey(key)
