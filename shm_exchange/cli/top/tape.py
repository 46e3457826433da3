"""The last trades of every instrument. An exchange may produce millions of events between two looks: only the newest few are read.

Whoever wants all of them reads an EventFeed; a screen says how many it passed by.
"""

from __future__ import annotations

from collections import defaultdict, deque
from decimal import Decimal
from typing import NamedTuple

from shm_exchange.client import Event, EventFeed
from shm_exchange.domain.enums import EventKind, Side
from shm_exchange.domain.errors import EventsLost
from shm_exchange.domain.instrument import Instrument
from shm_exchange.shm import Segment

_EVENTS_A_LOOK = 256
_EVENTS_AT_FIRST = 4096
KEPT = 100
"""Trades kept of an instrument, and of all together."""


class Trade(NamedTuple):
    """An EXECUTED event; `side` is the incoming order's."""

    number: int
    time_ns: int
    symbol: str
    side: Side
    price: Decimal
    quantity: Decimal


class Tape:
    """Reads trades from the event ring of a segment, which may be a dead exchange's."""

    def __init__(self, segment: Segment) -> None:
        self._feed = EventFeed(segment, batch=_EVENTS_AT_FIRST)
        self._instruments: tuple[Instrument, ...] = segment.config.instruments
        self._trades: dict[str | None, deque[Trade]] = defaultdict(lambda: deque(maxlen=KEPT))
        self._limit = min(_EVENTS_AT_FIRST, segment.config.event_capacity)
        self.unseen = 0
        """Events passed by since we began to look."""
        self._feed.seek(self._feed.tail - self._limit)

    def update(self) -> None:
        """Take the newest events."""
        passed = self._feed.tail - self._limit - self._feed.next_event
        if passed > 0:
            self.unseen += passed
            self._feed.seek(self._feed.next_event + passed)
        self._take()
        self._limit = _EVENTS_A_LOOK

    def _take(self) -> None:
        for _ in range(2):  # a reader that was lapped goes on behind the gap; one lapped twice in a row has the next look
            try:
                events = self._feed.poll_array(self._limit)
            except EventsLost as lost:
                self.unseen += lost.last - lost.first + 1
                continue
            for event in events[events["kind"] == EventKind.EXECUTED].tolist():
                self._keep(Event(event, self._instruments))
            return

    def _keep(self, event: Event) -> None:
        trade = Trade(event.number, event.time_ns, event.symbol, event.side, event.price, event.quantity)
        for key in (None, event.symbol):
            self._trades[key].appendleft(trade)

    def trades(self, symbol: str | None = None) -> list[Trade]:
        """The newest first, of one instrument or of all."""
        return list(self._trades[symbol])
