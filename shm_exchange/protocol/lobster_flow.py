"""A LOBSTER day as commands, and what can be known of the book after every row.

    type 1     ENTER by the makers' session, under the file's order id
    type 2, 3  REDUCE or CANCEL of that order
    type 4     the incoming order is not in the file: an IOC limit order at that price, from the other side, by the takers' session. It must hit
               the very order that the file names.
    type 5–7   hidden executions, crosses and halts change no visible book

Orders that rested before the file began have no names. The first row of the book file (the state AFTER the first message, which is undone) gives
one seed a level; a message about an unknown id is about the seed of its price. Seeds are older than every known order and stand in front of them.

What is held is what is known, and never more levels than the book file has:

    held       after each row's message: the levels on the exchange. They are compared, all of them.
    withdrawn  a level that the row pushed out at the edge: the file is silent about it from now on, so what is there is no longer known.
    learned    a level that the row let scroll in at the edge: the file has it, we held one fewer. It becomes a seed, and is compared from the next
               row on.

Where the file contradicts what is known (more is taken away than is open, an order in the middle of the queue trades) the level is rebuilt as one
seed with the total that the file implies, and the row is noted. Without a book file nothing is withdrawn, learned or seeded, and messages about
unknown orders are left out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from shm_exchange.domain.enums import CommandKind, Side, TimeInForce
from shm_exchange.protocol.flow import NO_ROW, Numbers, Records
from shm_exchange.protocol.lobster import Happening
from shm_exchange.protocol.lobster_book import KnownLevel, KnownSide

SEED = 1 << 63
"""Client order ids from here on are seeds; the files' own ids lie below."""
MAKERS, TAKERS = 0, 1
_TELL_ROWS = 1 << 14

PLANNED = np.dtype(
    [
        ("kind", "u1"),  # CommandKind
        ("side", "u1"),
        ("time_in_force", "u1"),
        ("session", "u1"),  # MAKERS or TAKERS
        ("id", "u8"),
        ("price", "i8"),
        ("quantity", "i8"),
        ("row", "i8"),
    ]
)
"""A command in the file's units: ten-thousandths and shares."""
EXECUTION = np.dtype([("command", "i8"), ("row", "i8"), ("id", "u8"), ("price", "i8"), ("quantity", "i8")])
"""An aggressive order: index of its command, and the client order id, price and quantity of the one resting order it must trade with."""


class Plan(NamedTuple):
    """Everything that follows from the files alone."""

    commands: Records  # PLANNED[n], in order
    executions: Records  # EXECUTION[m]
    held: Numbers  # i8[rows, 2]: levels known after each row's message, before it let others scroll in; buy side first
    learned: int  # levels that scrolled in
    notes: dict[str, list[int]]  # what did not fit -> rows (from 0)


def plan(messages: Records, book: Records | None, tell: Callable[[int], None] = lambda _: None) -> Plan:
    """Turn HAPPENED messages, and BOOK_LEVEL[rows, 2, N] where there is one, into commands. `tell` hears now and then how many rows are done."""
    planner = _Planner(book)
    if book is not None and len(messages):
        planner.seed_first(messages[0])
    columns = (messages[name].tolist() for name in ("kind", "side", "order_id", "quantity", "price"))
    for row, (kind, side, order_id, quantity, price) in enumerate(zip(*columns, strict=True)):
        planner.row = row
        if kind in planner.handlers:
            planner.handlers[kind](planner.sides[side], order_id, quantity, price)
        if book is not None:
            planner.follow_edge()
        if row % _TELL_ROWS == 0:
            tell(row)
    held = np.array(planner.held, np.int64).reshape(-1, 2)
    return Plan(np.array(planner.commands, PLANNED), np.array(planner.executions, EXECUTION), held, planner.learned, planner.notes)


class _Planner:
    """The known book, moved along row by row, and the commands that move the exchange's along with it."""

    def __init__(self, book: Records | None) -> None:
        self.sides = {int(side): KnownSide(side) for side in Side}
        self.handlers: dict[int, Callable[[KnownSide, int, int, int], None]] = {
            Happening.NEW: self._new,
            Happening.PARTIAL_CANCEL: self._cancel,
            Happening.DELETE: self._delete,
            Happening.EXECUTION: self._execute,
        }
        self.row = NO_ROW
        self.commands: list[tuple[int, ...]] = []
        self.executions: list[tuple[int, ...]] = []
        self.held: list[tuple[int, int]] = []
        self.learned = 0
        self.notes: dict[str, list[int]] = {}
        self._seeds = SEED
        self._book = book
        self._depth = 0 if book is None else book.shape[2]
        self._counts = [] if book is None else (book["quantity"] > 0).sum(axis=2).tolist()

    def seed_first(self, message: np.void) -> None:
        """The book before the first message: the first row of the book file with that message undone."""
        assert self._book is not None
        for known, levels in zip(self.sides.values(), self._book[0], strict=True):
            totals = {int(level["price"]): int(level["quantity"]) for level in levels if level["quantity"]}
            if message["side"] == known.side:
                undone: dict[int, int] = {Happening.NEW: -1, Happening.PARTIAL_CANCEL: 1, Happening.DELETE: 1, Happening.EXECUTION: 1}
                price = int(message["price"])
                totals[price] = totals.get(price, 0) + undone.get(int(message["kind"]), 0) * int(message["quantity"])
            for price, total in totals.items():
                if total > 0:
                    self._seed(known, price, known.get_or_add(price), total)

    def follow_edge(self) -> None:
        """Withdraw what the message pushed out of sight, count what is held, and learn what came into sight."""
        assert self._book is not None
        buys, sells = self.sides.values()
        for known in (buys, sells):
            while len(known) > self._depth:
                self._withdraw(known, known.worst())
        self.held.append((len(buys), len(sells)))
        for index, known in enumerate((buys, sells)):
            for level in range(len(known), self._counts[self.row][index]):
                price, total = self._book[self.row, index, level].tolist()
                if not known.is_worse_than_all(price) or self._opposite(known).would_trade(price):
                    break  # it did not come in at the edge: a difference, for the comparison to find
                self._seed(known, price, known.get_or_add(price), total)
                self.learned += 1

    def _new(self, known: KnownSide, order_id: int, quantity: int, price: int) -> None:
        other = self._opposite(known)
        while other.would_trade(price):
            best = other.best()
            assert best is not None
            self._note("in the way of a new order")
            self._withdraw(other, best)
        level = known.get_or_add(price)
        if order_id in level.orders:
            self._note("a new order under an id that is open")
            self._rebuild(known, price, level, level.total() + quantity)
            return
        level.orders[order_id] = quantity
        self._say(CommandKind.ENTER, known.side, order_id, quantity, price)

    def _delete(self, known: KnownSide, order_id: int, quantity: int, price: int) -> None:
        self._cancel(known, order_id, quantity, price, whole=True)

    def _cancel(self, known: KnownSide, order_id: int, quantity: int, price: int, *, whole: bool = False) -> None:
        level = self._level(known, order_id, price)
        if level is None:
            return
        is_open = level.open_of(order_id)
        if quantity > is_open or (whole and order_id in level.orders and quantity < is_open):
            self._note("takes away what is not open")
            self._rebuild(known, price, level, level.total() - quantity)
            return
        client_id = order_id if order_id in level.orders else level.seed_id
        if level.lower(order_id, quantity):
            self._say(CommandKind.CANCEL, 0, client_id, 0, 0)
        else:
            self._say(CommandKind.REDUCE, 0, client_id, quantity, 0)
        self._drop_empty(known, price, level)

    def _execute(self, known: KnownSide, order_id: int, quantity: int, price: int) -> None:
        level = self._level(known, order_id, price)
        if level is None:
            return
        total = level.total()
        if known.best() != price:
            self._note("trades behind the best price")
            self._rebuild(known, price, level, total - quantity)
            return
        client_id = order_id if order_id in level.orders else level.seed_id
        self.executions.append((len(self.commands), self.row, client_id, price, quantity))
        self._say(CommandKind.ENTER, self._opposite(known).side, 0, quantity, price, taker=True)
        fits = level.names_front(order_id, quantity)
        level.take(quantity)
        if not fits:
            self._note("trades out of turn")
            self._rebuild(known, price, level, total - quantity)
            return
        self._drop_empty(known, price, level)

    def _opposite(self, known: KnownSide) -> KnownSide:
        return self.sides[Side.BUY + Side.SELL - known.side]

    def _level(self, known: KnownSide, order_id: int, price: int) -> KnownLevel | None:
        """The level that a message is about; None, noted, where nothing can be known of it."""
        level = known.get(price)
        if self._book is None:
            if level is None or order_id not in level.orders:
                self._note("about an order from before the file")
                return None
        elif level is None:
            self._note("about a price out of sight")
        return level

    def _seed(self, known: KnownSide, price: int, level: KnownLevel, total: int) -> None:
        self._seeds += 1
        level.seed_id, level.seed_quantity = self._seeds, total
        self._say(CommandKind.ENTER, known.side, self._seeds, total, price)

    def _rebuild(self, known: KnownSide, price: int, level: KnownLevel, total: int) -> None:
        """One seed in the place of everything at a price."""
        self._clear(level)
        if total > 0:
            self._seed(known, price, level, total)
        else:
            known.remove(price)

    def _withdraw(self, known: KnownSide, price: int) -> None:
        level = known.get(price)
        assert level is not None
        self._clear(level)
        known.remove(price)

    def _clear(self, level: KnownLevel) -> None:
        for client_id in [level.seed_id] * (level.seed_quantity > 0) + list(level.orders):
            self._say(CommandKind.CANCEL, 0, client_id, 0, 0)
        level.orders.clear()
        level.seed_quantity = 0

    def _drop_empty(self, known: KnownSide, price: int, level: KnownLevel) -> None:
        if not level.orders and not level.seed_quantity:
            known.remove(price)

    def _say(self, kind: int, side: int, client_id: int, quantity: int, price: int, *, taker: bool = False) -> None:
        time_in_force = 0 if kind != CommandKind.ENTER else TimeInForce.IOC if taker else TimeInForce.GTC
        self.commands.append((kind, side, time_in_force, TAKERS if taker else MAKERS, client_id, price, quantity, self.row))

    def _note(self, what: str) -> None:
        self.notes.setdefault(what, []).append(self.row)
