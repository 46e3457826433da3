"""Sources of ready pipelines that come from outside: WebSocket feeds, and files. What is wrong with one ends it, and is kept as its `problem`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

from shm_exchange.domain.errors import Closed, ExchangeError
from shm_exchange.participants.quote_book import VenueTick
from shm_exchange.participants.recorded_quotes import read_quotes
from shm_exchange.pipeline import FeedClient, FeedFigures, Put, Tick

PutItem = Callable[[Any], Awaitable[Put]]


class Outside(Protocol):
    """A source that may come to a bad end."""

    problem: ExchangeError | None

    def stop(self) -> None:
        """Take no more, also while nothing comes."""


class FileSource:
    """Recorded quotes as a source."""

    def __init__(self, path: Path) -> None:
        self.problem: ExchangeError | None = None
        self._path, self._is_stopped = path, False

    def __iter__(self) -> Iterator[VenueTick]:
        """The quotes, up to the first that is wrong."""
        try:
            for quote in read_quotes(self._path):
                if self._is_stopped:
                    return
                yield quote
        except ExchangeError as error:
            self.problem = error

    def stop(self) -> None:
        """Take no more."""
        self._is_stopped = True


class FeedSource:
    """A feed as a source: it connects when the pipeline runs. limit: ticks after which it ends. venue: makes VenueTicks of them."""

    def __init__(self, url: str, symbols: list[str], limit: int | None = None, venue: str | None = None) -> None:
        self.count = 0
        self.problem: ExchangeError | None = None
        self._limit, self._venue = limit, venue
        self._symbols = frozenset(symbols)
        self._put: PutItem | None = None
        self._client = FeedClient(url, symbols, self._put_one)

    async def __call__(self, put: PutItem) -> None:
        """Feed the pipeline. A refusal ends it, and is kept as `problem`."""
        self._put = put
        try:
            await self._client.run()
        except ExchangeError as error:
            self.problem = error

    async def _put_one(self, tick: Tick) -> Put:
        assert self._put is not None
        if self._limit is not None and self.count >= self._limit:
            raise Closed("enough")
        if tick.symbol not in self._symbols:
            return Put(True, 0.0)  # the feed sends more than was asked for
        done = await self._put(Tick(*tick) if self._venue is None else VenueTick(self._venue, Tick(*tick)))
        self.count += done.accepted
        if self.count == self._limit:
            self._client.stop()
        return done

    def stop(self) -> None:
        """Take no more."""
        self._client.stop()

    def figures(self) -> FeedFigures:
        """The client's."""
        return self._client.figures()
