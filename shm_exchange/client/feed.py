"""Every event of the exchange, in order, from the broadcast ring."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from decimal import Decimal
from typing import Self, cast

import numpy as np

from shm_exchange.client import derived
from shm_exchange.client.plain import Records, plain, rows
from shm_exchange.client.sleeper import BURST, word_sleeper
from shm_exchange.domain.config import Term
from shm_exchange.domain.enums import EventKind, Reason, Side, reason_of
from shm_exchange.domain.errors import EventsLost
from shm_exchange.domain.instrument import Instrument
from shm_exchange.domain.limits import SHARD_BITS_FROM
from shm_exchange.layout.records import EVENT
from shm_exchange.ring.broadcast import FEED, take_events
from shm_exchange.runtime.warm import ensure_warm
from shm_exchange.shm.group import shards_of
from shm_exchange.shm.segment import Segment, attach


class Event:
    """One EVENT record. Decimals are made when asked for; `*_ticks` and `*_lots` are the integers of the record."""

    __slots__ = (
        "account",
        "instrument",
        "kind",
        "number",
        "order_id",
        "order_type",
        "price_ticks",
        "quantity_lots",
        "reason_number",
        "resting_order_id",
        "sequence",
        "side",
        "time_ns",
    )

    def __init__(self, row: tuple[int, ...], instruments: tuple[Instrument, ...]) -> None:
        (
            self.number,
            self.sequence,
            self.time_ns,
            self.order_id,
            self.resting_order_id,
            self.price_ticks,
            self.quantity_lots,
            kind,
            self.reason_number,
            side,
            self.order_type,
            instrument,
            self.account,
        ) = row
        self.kind = EventKind(kind)
        self.side = Side(side)
        self.instrument = instruments[instrument]

    @property
    def symbol(self) -> str:
        """The instrument's symbol."""
        return self.instrument.symbol

    @property
    def price(self) -> Decimal:
        """EXECUTED: the trade price; else the order's."""
        return self.instrument.price(self.price_ticks)

    @property
    def quantity(self) -> Decimal:
        """EXECUTED: traded; ACCEPTED, REPLACED: now open; CANCELED, REDUCED: taken away."""
        return self.instrument.quantity(self.quantity_lots)

    @property
    def shard(self) -> int:
        """Of an exchange in shards: whose numbers `number`, `sequence` and `match_id` are; else 0."""
        return self.order_id >> SHARD_BITS_FROM

    @property
    def match_id(self) -> int | None:
        """Of an EXECUTED event: its own number, which both sides' reports carry."""
        return self.number if self.kind is EventKind.EXECUTED else None

    @property
    def reason(self) -> Reason:
        """Why it was canceled, reduced or moved."""
        return reason_of(self.kind, self.reason_number)

    def __repr__(self) -> str:
        return f"<Event {self.number} {self.kind.name} {self.symbol} {self.side.name} order {self.order_id}: {self.quantity} @ {self.price}>"


class EventFeed:
    """A reader of its own pace; the writer does not know it and never waits for it."""

    def __init__(self, segment: Segment, *, from_start: bool = False, complete: bool = False, batch: int = 8192) -> None:
        self._segment, self._complete = segment, complete
        self._derived = np.zeros(0, EVENT)
        self._instruments = segment.config.instruments
        self._events, self._words = plain(segment.array("events")), plain(segment.array("matcher"))
        self._feed = np.zeros(1, FEED)
        self._feed["next_event"] = 1 if from_start else max(1, self.tail)
        self._buffer = np.zeros(batch, EVENT)
        feed = self._feed
        self._sleeper = word_sleeper(segment, self._words["event_tail"], lambda: int(feed["next_event"][0]))

    @classmethod
    def attach(cls, name: str, *, from_start: bool = False, complete: bool = False, dead_ok: bool = False, merged: bool = False) -> Self:
        """Begin with the next event, or `from_start` with the first ever (if the ring still holds it, else EventsLost at the first poll).

        complete: what the ring no longer holds is derived from the journal, as far back as that goes. merged: events of an exchange in shards come
        in the order of their sequenced time, as soon as no earlier one can come (see `client.sharded_feed`); else each shard's in its own order.
        """
        if names := shards_of(name):
            from shm_exchange.client.sharded_feed import ShardedFeed

            return cast("Self", ShardedFeed(names, from_start=from_start, complete=complete, dead_ok=dead_ok, merged=merged))
        segment = attach(name, dead_ok=dead_ok)
        ensure_warm()
        return cls(segment, from_start=from_start, complete=complete)

    @property
    def term(self) -> Term:
        """Which life of the exchange this is. Events before the term's first may have been given out with other contents in a term that was cut."""
        return self._segment.term

    @property
    def next_event(self) -> int:
        """The number expected next: all below were taken or reported lost."""
        return int(self._feed["next_event"][0])

    @property
    def tail(self) -> int:
        """The number that the writer will give out next."""
        return int(self._words["event_tail"][0])

    def seek(self, number: int) -> None:
        """Go on with event `number`, at most with the next one to come. What was overwritten is EventsLost at the next poll."""
        self._feed["next_event"] = min(max(1, number), self.tail)
        self._derived = self._derived[:0]

    def poll_array(self, limit: int | None = None) -> Records:
        """The next EVENT records, at most `limit`; overwritten by the next poll. Raises EventsLost when lapped, then goes on behind the gap."""
        if not len(self._derived):
            count = take_events(self._feed, self._events, self._words, self._buffer[:limit])
            own = self._feed[0]
            if not own["lost_first"]:
                return self._buffer[:count]
            lost = int(own["lost_first"]), int(own["lost_last"])
            if not self._complete:
                raise EventsLost(*lost)
            self._derived = derived.events(self._segment, *lost)
        taken, self._derived = self._derived[:limit], self._derived[len(self._derived) if limit is None else limit :]
        self._feed["next_event"] = taken["number"][-1] + 1
        return taken

    def poll(self, limit: int | None = None) -> list[Event]:
        """The next events, in order; empty when there is nothing new. Raises EventsLost."""
        return [Event(row, self._instruments) for row in rows(self.poll_array(limit))]

    async def wait_async(self) -> bool:
        """In an event loop, until events are there to be polled; False once the feed was closed, or the exchange is gone and all was taken.

        One task may wait at a time. `asyncio.timeout` bounds it.
        """
        return await self._sleeper.wait()

    async def events(self) -> AsyncGenerator[Event, None]:
        """Every event as it comes, in order; ends when the feed is closed or the exchange gone. Raises EventsLost when lapped, then ask again."""
        from asyncio import sleep

        sleeper = self._sleeper
        while await sleeper.wait():
            for _ in range(BURST):
                if sleeper.ended or not (next_one := self.poll(1)):
                    break
                yield next_one[0]
            await sleep(0)

    def close(self) -> None:
        """Let the memory go."""
        self._sleeper.end()
        self._segment.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
