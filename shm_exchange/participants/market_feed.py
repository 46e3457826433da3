"""The ticks of an exchange in shared memory: what `pipeline.feed_client` brings from afar, from the event ring and the snapshots next door.

    with MarketFeed.attach("demo", ["ACME"]) as feed:
        for tick in feed:  …                     until the feed is closed, or the exchange gone

A tick comes with every command that traded, and whenever the best of a side is another, in price or size; timestamp_ns is the sequenced time of the
event behind it. `volume` counts what traded since we came. The quote is the newest snapshot, which is never older than the event and may be newer:
who lags sees every trade, and fewer quotes. An empty side is a price that is no number (nan) and a size of 0. A lapped feed counts a gap and goes on.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Self

from shm_exchange.client import EventFeed, MarketView
from shm_exchange.client.view import Level
from shm_exchange.domain.enums import EventKind
from shm_exchange.domain.errors import ConfigError, EventsLost, SnapshotBusy
from shm_exchange.pipeline.tick import Tick
from shm_exchange.shm.segment import Segment, attach

_NAP_SECONDS = 0.0005
_LOOK_SECONDS = 0.5
Quote = tuple[float, float, float, float]
"""Bid, ask, bid size, ask size."""


class _Symbol:
    """What was told of a symbol last."""

    def __init__(self, segment: Segment, symbol: str) -> None:
        self.symbol = symbol
        self.volume = 0.0
        self.quote: Quote = (math.nan, math.nan, 0.0, 0.0)
        self._view = MarketView(segment, symbol)

    def tick(self, time_ns: int) -> Tick:
        return Tick(self.symbol, time_ns, *self.quote, self.volume)

    def look(self) -> bool:
        """Read the snapshot; whether it shows another quote."""
        try:
            top = self._view.top()
        except SnapshotBusy:  # it changes this very moment, and the event of that is still to come
            return False
        (bid, bid_size), (ask, ask_size) = _price_and_size(top.bid), _price_and_size(top.ask)
        quote = (bid, ask, bid_size, ask_size)
        is_new = repr(quote) != repr(self.quote)  # nan is like nan here
        self.quote = quote
        return is_new


class MarketFeed:
    """One reader, for one thread. `gaps` counts how often it was lapped, `missed` the events that this cost."""

    def __init__(self, segment: Segment, symbols: Sequence[str] | None = None) -> None:
        if isinstance(symbols, str):
            raise ConfigError(f"symbols must be a list of symbols, not {symbols!r}")
        self.gaps = self.missed = 0
        self._segment = segment
        names = [instrument.symbol for instrument in segment.config.instruments] if symbols is None else list(dict.fromkeys(symbols))
        self._symbols = {symbol: _Symbol(segment, symbol) for symbol in names}
        self._events = EventFeed(segment)
        self._is_closed = False

    @classmethod
    def attach(cls, name: str, symbols: Sequence[str] | None = None) -> Self:
        """Follow these symbols of an exchange from now on (None: all). Raises ExchangeNotFound, UnknownSymbol."""
        from shm_exchange.runtime.warm import ensure_warm

        segment = attach(name)
        ensure_warm()
        return cls(segment, symbols)

    def first(self) -> list[Tick]:
        """The quotes that are there now, of all symbols that have one; they are hereby told."""
        now = time.time_ns()
        return [known.tick(now) for known in self._symbols.values() if known.look()]

    def poll(self) -> list[Tick]:
        """What is new, in the order of the events; empty when nothing is."""
        try:
            events = self._events.poll()
        except EventsLost as lost:
            self.gaps += 1
            self.missed += lost.last - lost.first + 1
            return self.first()
        newest = {event.symbol: event for event in events if event.symbol in self._symbols}
        untold = {symbol for symbol in newest if self._symbols[symbol].look()}
        ticks = []
        for _, group in groupby(events, lambda event: event.sequence):
            trades = [event for event in group if event.kind is EventKind.EXECUTED and event.symbol in self._symbols]
            if trades:
                known = self._symbols[trades[-1].symbol]
                known.volume += float(sum(trade.quantity for trade in trades))
                ticks.append(known.tick(trades[-1].time_ns))
                untold.discard(known.symbol)
        ticks += [self._symbols[symbol].tick(newest[symbol].time_ns) for symbol in sorted(untold)]
        return sorted(ticks, key=lambda tick: tick.timestamp_ns)

    def __iter__(self) -> Iterator[Tick]:
        """The quotes that are there, then what is new, until `close` or the end of the exchange; sleeps while nothing is."""
        yield from self.first()
        look = time.monotonic() + _LOOK_SECONDS
        while not self._is_closed:
            ticks = self.poll()
            yield from ticks
            if ticks or self._is_closed:
                continue
            time.sleep(_NAP_SECONDS)
            if time.monotonic() > look:
                look = time.monotonic() + _LOOK_SECONDS
                if not self._segment.is_current or not (self._segment.supervisor_alive or self._segment.matcher_alive):
                    return

    def end(self) -> None:
        """From any thread: whoever iterates comes to its end, within a moment."""
        self._is_closed = True

    def close(self) -> None:
        """Let the memory go. Not while another thread iterates: `end` first."""
        self.end()
        self._events.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _price_and_size(level: Level | None) -> tuple[float, float]:
    return (math.nan, 0.0) if level is None else (float(level.price), float(level.quantity))
