"""How a feed is connected to: where, through what, and when again."""

from __future__ import annotations

import logging
from contextlib import AbstractAsyncContextManager
from random import Random
from typing import Any
from urllib.parse import urlsplit

from shm_exchange.domain.errors import ConfigError, missing_extra
from shm_exchange.pipeline.feed_key import HEADER, ApiKey, library_log
from shm_exchange.pipeline.feed_wire import shown

PING_SECONDS, PONG_SECONDS = 20.0, 10.0
FRAME_BYTES_MAX = 1 << 20
FIRST_BACK_OFF_SECONDS, LONGEST_BACK_OFF_SECONDS = 1.0, 60.0
_OPEN_SECONDS = 10.0
_CLOSE_SECONDS = 1.0
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_log = logging.getLogger("shm_exchange.pipeline.feed")


class BackOff:
    """How long to wait before the next attempt: at most 1 s, doubling to 60 s; anything from 0 to that, so that clients do not come all at once."""

    def __init__(self, random: Random | None = None, first: float = FIRST_BACK_OFF_SECONDS, longest: float = LONGEST_BACK_OFF_SECONDS) -> None:
        self._random = random or Random()  # noqa: S311 (spreads load, guards nothing)
        self._first, self._longest = first, longest
        self.reset()

    def reset(self) -> None:
        """The next wait is a first one."""
        self.limit = self._first

    def next_seconds(self) -> float:
        """The next wait."""
        limit, self.limit = self.limit, min(self._longest, 2 * self.limit)
        return self._random.uniform(0, limit)


class Address:
    """A feed and the key for it. Raises ConfigError for what no WebSocket can be opened to, MissingExtra without websockets."""

    def __init__(self, url: str, key: ApiKey | None) -> None:
        self.url, self.key = checked_url(url), key
        parts = urlsplit(url)
        self._is_local = parts.hostname in _LOOPBACK
        self._connect = _connector()
        if key is not None and parts.scheme == "ws" and not self._is_local:
            _log.warning("the key for the feed %s travels unencrypted; use wss:// if it can", self)

    def connecting(self) -> AbstractAsyncContextManager[Any]:
        """A new connection, for `async with`."""
        options: dict[str, Any] = {"proxy": None} if self._is_local else {}
        opened: AbstractAsyncContextManager[Any] = self._connect(
            self.url,
            additional_headers={} if self.key is None else {HEADER: self.key.reveal()},
            ping_interval=PING_SECONDS,
            ping_timeout=PONG_SECONDS,
            open_timeout=_OPEN_SECONDS,
            close_timeout=_CLOSE_SECONDS,
            max_size=FRAME_BYTES_MAX,
            logger=library_log,
            **options,
        )
        return opened

    def hidden(self, text: str) -> str:
        """Text from outside, fit for a log."""
        return text if self.key is None else self.key.hidden(text)

    def __str__(self) -> str:
        """Without what may be secret in it: name, password and query."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def checked_url(url: str) -> str:
    """Raises ConfigError for what no WebSocket can be opened to."""
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("ws", "wss") and bool(parts.hostname) and parts.port != 0
    except (ValueError, AttributeError, TypeError):
        valid = False
    if not valid:
        raise ConfigError(f"{shown(url)} is no address of a feed; it looks like ws://127.0.0.1:8765 or wss://feed.example/ticks")
    return url


def _connector() -> Any:
    """What opens a connection, and follows no redirect. Raises MissingExtra."""
    try:
        from websockets.asyncio.client import connect
    except ImportError as error:
        raise missing_extra("feed", error) from error

    class Direct(connect):
        def process_redirect(self, error: Exception) -> Exception:
            return error

    return Direct
