"""The whole book, order by order, rebuilt from the events alone.

The same pool and ladders as the engine's hold the orders, but none of its rules run here: an ACCEPTED order is put at its price even while it
still trades (an EXECUTED of the same command follows), so between two commands the replica equals the engine's book. A MARKET order has no
price; it is known but stands in no level. The replica must see every event from the first: where the ring no longer has it, EventsLost says so.
"""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple, Self

import numpy as np

from shm_exchange._jit import inlined, kernel
from shm_exchange.client import derived
from shm_exchange.client.feed import EventFeed
from shm_exchange.client.shards import attach_symbol
from shm_exchange.client.view import index_of
from shm_exchange.domain.config import ExchangeConfig
from shm_exchange.domain.enums import EventKind, OrderType, Place, Side
from shm_exchange.domain.instrument import Number
from shm_exchange.domain.limits import POSITION_BITS, SHARD_BITS_FROM
from shm_exchange.domain.names import words_name
from shm_exchange.engine.book import NIL, new_book
from shm_exchange.engine.check import book_hash
from shm_exchange.engine.index import find_node, find_order
from shm_exchange.engine.ladder import (
    ladder_of,
    link_order,
    next_level,
    page_key,
    price_of_rank,
    rank_of_level,
    rank_of_price,
    shrink_order,
    unlink_order,
)
from shm_exchange.engine.orders import free_slot, take_slot
from shm_exchange.engine.outputs import Subject
from shm_exchange.runtime.warm import ensure_warm
from shm_exchange.shm.segment import Segment

_NO_LEVEL = 0


class RestingOrder(NamedTuple):
    """An order in the book, first in its queue first."""

    order_id: int
    participant: str  # the account's name
    side: Side
    quantity: Decimal  # still open


@inlined
def _lower(book, order_id, quantity):
    """Take quantity off an order; it leaves the book with the last of it. False when the order is unknown."""
    slot = find_order(book, order_id)
    if slot == NIL:
        return False
    order = book.orders[slot]
    if quantity < order.leaves_quantity:
        if order.level_index == _NO_LEVEL:
            order.leaves_quantity -= quantity
        else:
            shrink_order(book, slot, quantity)
        return True
    if order.level_index != _NO_LEVEL:
        unlink_order(book, slot)
    free_slot(book, slot)
    return True


@inlined
def _accept(book, event):
    ladder = ladder_of(np.int64(event.instrument), np.int64(event.side))
    session = event.order_id >> POSITION_BITS
    subject = Subject(event.order_id, np.uint64(0), session, np.int64(event.account), ladder)
    slot = take_slot(book, subject, event.quantity, 0)
    book.orders[slot].level_index = _NO_LEVEL
    if event.order_type == OrderType.LIMIT:
        link_order(book, ladder, rank_of_price(ladder, event.price_ticks), slot)


@inlined
def _move(book, event):
    """REPLACED: in place with less, or to the end of the queue at its new price."""
    slot = find_order(book, event.order_id)
    if slot == NIL:
        return False
    order = book.orders[slot]
    if event.reason == Place.KEPT:
        shrink_order(book, slot, order.leaves_quantity - event.quantity)
    else:
        ladder = ladder_of(np.int64(event.instrument), np.int64(event.side))
        unlink_order(book, slot)
        order.leaves_quantity = event.quantity
        link_order(book, ladder, rank_of_price(ladder, event.price_ticks), slot)
    return True


@kernel
def apply_events(book, events):
    """Apply EVENT records to a replica; returns how many fitted (all of them, unless the stream is not what it should be)."""
    for index in range(len(events)):
        event = events[index]
        kind = event.kind
        fits = True
        if kind == EventKind.ACCEPTED:
            fits = find_order(book, event.order_id) == NIL
            if fits:
                _accept(book, event)
        elif kind == EventKind.EXECUTED:
            fits = _lower(book, event.order_id, event.quantity) and _lower(book, event.resting_order_id, event.quantity)
        elif kind == EventKind.CANCELED or kind == EventKind.REDUCED:
            fits = _lower(book, event.order_id, event.quantity)
        elif kind == EventKind.REPLACED:
            fits = _move(book, event)
        if not fits:
            return index
        book.state[0].next_event = event.number + 1
        book.state[0].snapshots_due = 0
        book.traded[event.instrument].snapshot_due = 0
    return len(events)


class BookReplica:
    """Order-by-order books of an exchange; `update` (or any question) takes what is new. With one symbol attached, questions need none."""

    def __init__(self, segment: Segment, symbol: str | None = None, shard: int = 0) -> None:
        self._segment = segment
        self._shard_bits = shard << SHARD_BITS_FROM
        self._config = segment.config
        self._feed = EventFeed(segment, from_start=True, complete=True)
        self._accounts = segment.array("accounts")
        self._default = index_of(segment, symbol) if symbol is not None else (0 if len(self._config.instruments) == 1 else None)
        self._book = new_book(_roomy(self._config), 1)
        if segment.journal.directory and (self._feed.tail > segment.config.event_capacity or segment.term.first_sequence):
            self._begin_at_files()

    @classmethod
    def attach(cls, name: str, symbol: str | None = None, *, dead_ok: bool = False) -> Self:
        """Rebuild from the first event, or from the journal where the event ring no longer holds it; without one EventsLost at the first update.

        Of an exchange in shards the one that trades `symbol`, which must be said.
        """
        segment, shard = attach_symbol(name, symbol, dead_ok=dead_ok)
        ensure_warm()
        return cls(segment, symbol, shard)

    def update(self) -> int:
        """Take all new events; returns how many. What it missed comes from the journal.

        Raises EventsLost where there is none: then this replica is wrong for good, attach a new one.
        """
        total = 0
        while len(events := self._feed.poll_array()):
            fitted = apply_events(self._book, events)
            assert fitted == len(events), f"event {events[fitted]['number']} does not fit the replica"
            total += fitted
        return total

    def _begin_at_files(self) -> None:
        """Take the book from the files, and go on with the event behind it."""
        self._book = derived.book(self._segment, _roomy(self._config))
        self._feed.seek(int(self._book.state[0].next_event))

    @property
    def event_number(self) -> int:
        """The newest event contained."""
        return self._feed.next_event - 1

    def volume(self, price: Number, symbol: str | None = None) -> Decimal:
        """Open quantity at a price, both sides together."""
        self.update()
        index = self._index(symbol)
        ticks = self._config.instruments[index].ticks(price)
        levels = (self._level(index, side, ticks) for side in Side)
        return self._config.instruments[index].quantity(sum(int(self._book.levels[level].quantity) for level in levels if level != NIL))

    def orders(self, price: Number, symbol: str | None = None) -> list[RestingOrder]:
        """Orders at a price, in the order in which they will trade."""
        self.update()
        index = self._index(symbol)
        ticks = self._config.instruments[index].ticks(price)
        return [order for side in Side for order in self._queue(index, side, self._level(index, side, ticks))]

    def levels(self, side: Side, symbol: str | None = None) -> list[tuple[Decimal, Decimal]]:
        """(price, quantity) of every level of a side, best first."""
        self.update()
        index = self._index(symbol)
        instrument, ladder = self._config.instruments[index], ladder_of(index, int(side))
        found, level = [], int(self._book.ladders[ladder].best_level)
        while level != NIL:
            price = instrument.price(price_of_rank(ladder, rank_of_level(self._book, level)))
            found.append((price, instrument.quantity(self._book.levels[level].quantity)))
            level = int(next_level(self._book, level))
        return found

    def book_hash(self, symbol: str | None = None) -> int:
        """Hash of every order of an instrument, to compare with the engine's own (`Exchange.verify`)."""
        return int(book_hash(self._book, self._index(symbol)))

    def close(self) -> None:
        """Let the memory go."""
        self._segment.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _index(self, symbol: str | None) -> int:
        if symbol is not None:
            return index_of(self._segment, symbol)
        if self._default is None:
            return index_of(self._segment, "(say symbol=…)")
        return self._default

    def _level(self, index: int, side: Side, ticks: int) -> int:
        """Index of the level at a price, which may be empty; NIL when even its page is not there."""
        ladder = ladder_of(index, int(side))
        rank = rank_of_price(ladder, ticks)
        page = int(find_node(self._book, page_key(ladder, rank)))
        return NIL if page == NIL else (page << 6) | (rank & 63)

    def _queue(self, index: int, side: Side, level: int) -> list[RestingOrder]:
        orders, slot = [], int(self._book.levels[level].first) if level != NIL else NIL
        while slot != NIL:
            order = self._book.orders[slot]
            account = self._accounts[order.account]
            quantity = self._config.instruments[index].quantity(order.leaves_quantity)
            orders.append(RestingOrder(self._shard_bits | int(order.order_id), words_name(account.low, account.high), side, quantity))
            slot = int(order.following)
        return orders


def _roomy(config: ExchangeConfig) -> ExchangeConfig:
    """The same sizes with room for the one order that trades and does not rest yet."""
    return ExchangeConfig(
        config.name,
        config.instruments,
        max_orders=config.max_orders + 1,
        max_sessions=config.max_sessions,
        max_pages=config.max_pages + 1,
    )
