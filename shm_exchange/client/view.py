"""The newest top of one book, copied from the versioned slots. Reading takes no lock, no system call, and cannot disturb anybody."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

from shm_exchange.client.ladder import ladder_frame, ladder_html
from shm_exchange.client.plain import Records, plain
from shm_exchange.client.shards import attach_symbol, unknown_symbol
from shm_exchange.client.sleeper import word_sleeper
from shm_exchange.domain.errors import SnapshotBusy
from shm_exchange.layout.headers import PRICE_LEVEL, SNAPSHOT
from shm_exchange.runtime.warm import ensure_warm
from shm_exchange.shm.segment import Segment
from shm_exchange.snapshot.slots import READ_TRIES, Snapshots, read_snapshot

if TYPE_CHECKING:
    from pandas import DataFrame


class Level(NamedTuple):
    """A price and everything that is open there."""

    price: Decimal
    quantity: Decimal


class Depth(NamedTuple):
    """A consistent picture of one book at one moment, best levels first."""

    bids: list[Level]
    asks: list[Level]
    last: Level | None  # last trade
    event_number: int  # newest event contained
    version: int  # of this instrument's snapshot; never goes back
    time_ns: int  # sequenced time

    @property
    def bid(self) -> Level | None:
        """Best bid."""
        return self.bids[0] if self.bids else None

    @property
    def ask(self) -> Level | None:
        """Best ask."""
        return self.asks[0] if self.asks else None

    def _repr_html_(self) -> str:
        """The ladder, in a notebook."""
        return ladder_html("price", self.bids, self.asks, self.last)


class MarketView:
    """Reads the snapshots of one instrument. Raises UnknownSymbol, ExchangeNotFound when attached."""

    def __init__(self, segment: Segment, symbol: str) -> None:
        self._segment = segment
        self.symbol = symbol
        self._index = index_of(segment, symbol)
        self._instrument = segment.config.instruments[self._index]
        self._snapshots = Snapshots(*(plain(segment.array(name)) for name in ("snapshot_latest", "snapshots", "snapshot_levels")))
        self._head = np.zeros(1, SNAPSHOT)
        self._levels = np.zeros(2 * segment.config.depth, PRICE_LEVEL)
        head, version = self._head, self._snapshots.latest["version"][self._index : self._index + 1]
        self._sleeper = word_sleeper(segment, version, lambda: int(head["stamp"][0]))

    @classmethod
    def attach(cls, name: str, symbol: str, *, dead_ok: bool = False) -> Self:
        """Map the exchange, or its shard that trades `symbol`, read-only. `dead_ok`: also one whose matcher is gone, to look at its last state."""
        segment, _ = attach_symbol(name, symbol, dead_ok=dead_ok)
        ensure_warm()
        return cls(segment, symbol)

    def depth(self, levels: int | None = None) -> Depth:
        """Up to `levels` levels a side (default and maximum: the exchange's depth). Raises SnapshotBusy."""
        bids, asks = self.depth_array()
        head = self._head.view(np.recarray)[0]
        last = self._level(head.last_price_ticks, head.last_quantity) if head.last_quantity else None
        return Depth(
            [self._level(*level) for level in bids[:levels].tolist()],
            [self._level(*level) for level in asks[:levels].tolist()],
            last,
            int(head.event_number),
            int(head.stamp),
            int(head.time_ns),
        )

    def frame(self, levels: int | None = None) -> DataFrame:
        """The ladder as a pandas DataFrame: level (index, from 1), bid_quantity, bid_price, ask_price, ask_quantity.

        They are floats, for statistics and plots; exact decimals are `depth`'s. Raises MissingExtra without pandas, SnapshotBusy.
        """
        depth = self.depth(levels)
        return ladder_frame(depth.bids, depth.asks)

    def depth_array(self) -> tuple[Records, Records]:
        """Bids and asks as PRICE_LEVEL records in ticks and lots, best first. They are overwritten by the next read. Raises SnapshotBusy."""
        if read_snapshot(self._snapshots, self._index, self._head, self._levels) < 0:
            raise SnapshotBusy(f"the snapshot of {self.symbol} was overwritten {READ_TRIES} times while it was read; read again")
        head, levels, depth = self._head[0], self._levels, len(self._levels) // 2
        return levels[: head["bid_count"]], levels[depth : depth + head["ask_count"]]

    def top(self) -> Depth:
        """The best level of each side."""
        return self.depth(1)

    def best_bid(self) -> tuple[Decimal, Decimal] | None:
        """(price, quantity) of the best bid."""
        return self.top().bid

    def best_ask(self) -> tuple[Decimal, Decimal] | None:
        """(price, quantity) of the best ask."""
        return self.top().ask

    @property
    def levels_at_most(self) -> int:
        """Levels a side that this exchange publishes."""
        return len(self._levels) // 2

    @property
    def writer_alive(self) -> bool:
        """Whether the matcher that writes these snapshots lives."""
        return self._segment.matcher_alive

    async def wait_async(self) -> bool:
        """In an event loop, until there is a newer picture than was read last; False once the view was closed or the exchange is gone.

        One task may wait at a time. `asyncio.timeout` bounds it.
        """
        return await self._sleeper.wait()

    async def changes(self, levels: int | None = None) -> AsyncGenerator[Depth, None]:
        """The picture now, and then the newest one whenever it has changed: who is slow skips pictures, and is never late.

        Ends when the view is closed or the exchange gone. `levels` as for `depth`.
        """
        from asyncio import sleep

        sleeper = self._sleeper
        while not sleeper.ended:
            try:
                newest = self.depth(levels)
            except SnapshotBusy:
                await sleep(0)
                continue
            yield newest
            await sleep(0)
            if not await sleeper.wait():
                return

    def close(self) -> None:
        """Let the memory go."""
        self._sleeper.end()
        self._segment.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<MarketView {self.symbol} of {self._segment.name!r}>"

    def _repr_html_(self) -> str:
        """The ladder, in a notebook."""
        depth = self.depth()
        return ladder_html(self.symbol, depth.bids, depth.asks, depth.last)

    def _level(self, price_ticks: int, lots: int) -> Level:
        return Level(self._instrument.price(price_ticks), self._instrument.quantity(lots))


def index_of(segment: Segment, symbol: str) -> int:
    """Number of an instrument. Raises UnknownSymbol."""
    symbols = [instrument.symbol for instrument in segment.config.instruments]
    if symbol not in symbols:
        raise unknown_symbol(segment.name, symbol, symbols)
    return symbols.index(symbol)
