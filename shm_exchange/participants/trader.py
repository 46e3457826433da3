"""A simulated trader: submits a seeded flow through one gateway, takes its reports, and checks that every lot and every number is accounted for.

It never has more than WINDOW commands unanswered, nor more orders open than it has slots, and with a board it lets neither the slowest trader nor
the watcher fall too far behind: so report rings and the event ring hold whatever the others may cause while somebody does not get a core.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from shm_exchange.client import EventFeed, Gateway
from shm_exchange.domain.errors import ReportsLost
from shm_exchange.layout.records import COMMAND
from shm_exchange.participants.board import FINISHED, FIRST_TRADER_ROW, PARENT_ROW, ROW, WATCHER_ROW, open_board
from shm_exchange.participants.clear import cancel_all, check_matcher
from shm_exchange.participants.flow import fence_command, fill_commands, warm_kernels
from shm_exchange.participants.portfolio import Portfolio, Traded, new_portfolio
from shm_exchange.participants.settle import check_open, settle

BATCH, BATCH_AT_LEAST = 64, 8
WINDOW = 1024
SLOTS = 1500
LEAD = 8192
"""New orders that a trader may be ahead of the slowest."""
LAG = 65_536
"""Events that the watcher may be behind."""
_NAP_SECONDS = 0.001
_LOOK_NS = 500_000_000


class Place(NamedTuple):
    """Where a trader stands on a board, and what the others must not fall behind."""

    board: str
    """Path of the board."""
    row: int
    traders: int
    """How many there are, in rows from FIRST_TRADER_ROW."""


class _Crowd:
    """The others. Without a board there are none."""

    def __init__(self, exchange: str, place: Place | None) -> None:
        self._feed = EventFeed.attach(exchange) if place else None
        rows = open_board(place.board) if place else np.zeros(FIRST_TRADER_ROW + 1, ROW)
        self._own = rows[place.row if place else FIRST_TRADER_ROW]
        self._go, self._seen = rows["go"][PARENT_ROW:], rows["events"][WATCHER_ROW:]
        traders = rows[FIRST_TRADER_ROW : FIRST_TRADER_ROW + place.traders] if place else rows[:0]
        self._paces, self._done = traders["pace"], traders["done"]

    def await_go(self) -> None:
        self._own["ready"] = 1
        while self._feed is not None and not self._go[0]:
            time.sleep(_NAP_SECONDS)

    def limit(self) -> int:
        """How many orders a trader may have submitted by now."""
        if self._feed is None:
            return FINISHED
        if self._feed.tail - int(self._seen[0]) > LAG:
            return 0
        return int(self._paces.min()) + LEAD

    def tell(self, orders: int, commands: int) -> None:
        self._own["orders"], self._own["commands"], self._own["pace"] = orders, commands, orders

    def leave(self) -> None:
        """Nobody needs to wait for us."""
        self._own["pace"] = FINISHED
        self._own["done"] = 1

    def all_done(self) -> bool:
        return bool(self._done.all())

    def close(self) -> None:
        if self._feed is not None:
            self._feed.close()


def trade(
    gateway: Gateway, orders: int, seed: int, mids: Sequence[int], *, rate: int = 0, trader: int = 0, place: Place | None = None, slots: int = SLOTS
) -> dict[str, Any]:
    """Submit `orders` new orders, and what belongs to them, around the given mid prices (ticks, an instrument each); returns the account of it.

    seed: of the market; trader: which of its traders we are. rate: new orders a second, 0 for as fast as it goes. Raises ExchangeError when the
    matcher dies, LaneFull.
    """
    warm_kernels()
    traded = [Traded(instrument, mid) for instrument, mid in enumerate(mids)]
    trading = _Trading(gateway, orders, new_portfolio(traded, seed, trader, slots), rate, place)
    try:
        trading.run()
    except ReportsLost as lost:
        trading.lost += lost.last - lost.first + 1
    finally:
        trading.crowd.leave()
    return trading.account()


class _Trading:
    def __init__(self, gateway: Gateway, orders: int, portfolio: Portfolio, rate: int, place: Place | None) -> None:
        self.crowd = _Crowd(gateway.name, place)
        self.lost = 0
        self._gateway = gateway
        self._wanted = orders
        # As plain arrays: numba takes ten times as long to see what a recarray is, and the loop below is short.
        self._portfolio = Portfolio(*(array.view(np.ndarray) for array in portfolio))
        self._tally = tally = self._portfolio.tally
        self._orders, self._sent, self._answered = tally["orders"], tally["commands"], tally["answered"]
        self._rate = rate
        self._commands = np.zeros(BATCH, COMMAND)
        self._began_ns = self._ended_ns = self._looked_ns = time.monotonic_ns()
        cancel_all(gateway)  # what an earlier holder of the session left
        self._next_id = gateway.submit_many(self._commands[:0]).first_id
        tally["next_id"] = self._next_id

    def run(self) -> None:
        self.crowd.await_go()
        self._began_ns = time.monotonic_ns()
        while self._orders[0] < self._wanted or self._answered[0] < self._sent[0]:
            sent = self._submit()
            if not self._poll() and not sent:
                self._wait()
        self._ended_ns = time.monotonic_ns()
        self.crowd.leave()
        while not self.crowd.all_done():
            if not self._poll():
                self._wait()
        self._fence()

    def _submit(self) -> int:
        """Make and submit what is due now."""
        now = time.monotonic_ns()
        until = min(self._wanted, self.crowd.limit())
        if self._rate:
            due = (now - self._began_ns) * self._rate // 1_000_000_000
            if due - int(self._orders[0]) < BATCH_AT_LEAST and due < self._wanted:
                return 0
            until = min(until, due)
        count = int(fill_commands(self._portfolio, self._commands, WINDOW, until, now))
        if count:
            batch = self._gateway.submit_many(self._commands[:count])
            assert batch == (self._next_id, count), f"commands from {self._next_id} became {batch}: somebody else submits through this gateway"
            self._next_id += count
            self.crowd.tell(int(self._orders[0]), int(self._sent[0]))
        return count

    def _poll(self) -> int:
        """Take what was reported."""
        reports = self._gateway.poll_array()
        if len(reports):
            settle(self._portfolio, reports, time.monotonic_ns())
        return len(reports)

    def _wait(self) -> None:
        """Nothing to do: sleep until a report comes or the next orders are due; look now and then whether there is still a matcher."""
        if self._gateway.wait(_NAP_SECONDS):
            return
        now = time.monotonic_ns()
        if now - self._looked_ns > _LOOK_NS:
            self._looked_ns = now
            check_matcher(self._gateway)

    def _fence(self) -> None:
        """All have traded: a last command, whose answer comes behind everything the others still caused us."""
        self._sent[0] += 1
        self._gateway.submit_many(fence_command())
        while self._answered[0] < self._sent[0]:
            if not self._poll():
                self._wait()

    def account(self) -> dict[str, Any]:
        """Plain figures, and the histogram of latencies."""
        tally = self._tally[0]
        figures = ("orders", "commands", "answered", "rejects", "executions", "bought", "sold", "reports", "gaps", "misfits")
        wrong = int(check_open(self._portfolio)) + int(tally["misfits"])
        return {
            "session": self._gateway.session,
            "pid": os.getpid(),
            **{name: int(tally[name]) for name in figures},
            "lost": self.lost,
            "open_orders": int((self._portfolio.own["order_id"] != 0).sum()),
            "seconds": (self._ended_ns - self._began_ns) / 1e9,
            "ended_ns": self._ended_ns,
            "gapless": not tally["gaps"] and not self.lost,
            "conserved": not wrong and not self.lost and int(tally["commands"]) == int(tally["answered"]),
            "latencies": self._portfolio.latencies,
        }
