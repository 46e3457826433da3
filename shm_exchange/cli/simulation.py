"""A whole market in processes of its own, and the proof that nothing was lost: what `shm-exchange demo` runs.

this process ── supervisor ── matcher            traders  submit a seeded flow, settle their reports, keep the others' pace
             ├─ trader × n                       watcher  rebuilds all books from the events and reads every snapshot
             └─ watcher                          board    how far everybody is; the watcher may lag, and then the traders wait
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, NamedTuple, Self

import numpy as np

from shm_exchange.client import Depth, MarketView
from shm_exchange.domain.instrument import Instrument
from shm_exchange.participants.board import FIRST_TRADER_ROW, PARENT_ROW, WATCHER_ROW, Board
from shm_exchange.participants.histogram import percentiles
from shm_exchange.participants.trader import Place, trade
from shm_exchange.participants.watcher import watch
from shm_exchange.supervisor.exchange import Exchange
from shm_exchange.supervisor.spawn import Child

INSTRUMENTS = (Instrument("ACME", "0.01", "1"), Instrument("GLOBEX", "0.05", "10"), Instrument("INITECH", "0.0001", "100"))
MIDS = ("100.00", "250.00", "1.2000")
_SIZES: dict[str, Any] = {"report_capacity": 16_384, "event_capacity": 262_144}
"""Room for what the others may cause while one process waits for a core. With 8 sessions 32 MB in all."""
_SESSIONS_AT_LEAST = 8
_PERCENTS = {"latency_ns_p50": 50, "latency_ns_p99": 99, "latency_ns_p999": 99.9}
_READY_SECONDS = 0.01


class Plan(NamedTuple):
    """What is asked for."""

    orders: int
    gateways: int
    seed: int
    rate: int
    """New orders a second by all gateways together; 0: as fast as it goes."""


class Moment(NamedTuple):
    """The market at one moment."""

    seconds: float
    orders: int
    commands: int
    trades: int
    rejects: int
    open_orders: int
    behind: int
    """Events that the watcher has not seen yet."""
    books: dict[str, Depth]


class Simulation:
    """From the start of the exchange to the verdict. Raises ExchangeError, ProcessDied when a process dies."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._open = ExitStack()
        self._began_ns = 0
        with ExitStack() as undo:
            sessions = max(_SESSIONS_AT_LEAST, plan.gateways)
            self._exchange = undo.enter_context(Exchange.start(f"demo-{os.getpid()}", INSTRUMENTS, max_sessions=sessions, **_SIZES))
            self._board = Board(plan.gateways)
            undo.callback(self._board.close)
            name = self._exchange.name
            self._views = {instrument.symbol: undo.enter_context(MarketView.attach(name, instrument.symbol)) for instrument in INSTRUMENTS}
            self._watcher = self._exchange.spawn(watch, name, self._board.path, gateway=False)[0]
            self._traders = [self._spawn_trader(number) for number in range(plan.gateways)]
            self._open = undo.pop_all()

    def _spawn_trader(self, number: int) -> Child[dict[str, Any]]:
        plan = self.plan
        orders, rest = divmod(plan.orders, plan.gateways)
        place = Place(self._board.path, FIRST_TRADER_ROW + number, plan.gateways)
        mids = [instrument.ticks(mid) for instrument, mid in zip(INSTRUMENTS, MIDS, strict=True)]
        rate = max(1, plan.rate // plan.gateways) if plan.rate else 0
        return self._exchange.spawn(
            trade, orders + (number < rest), plan.seed, mids, rate=rate, trader=number, place=place, session=f"gateway-{number + 1}"
        )[0]

    def moments(self, seconds: float) -> Iterator[Moment]:
        """Give the starting signal, and tell every so many seconds how it goes until all have traded."""
        while not self._board.rows["ready"][WATCHER_ROW:].all():
            self._mourn()
            time.sleep(_READY_SECONDS)
        self._began_ns = time.monotonic_ns()
        self._board.rows["go"][PARENT_ROW] = 1
        due = time.monotonic()
        while not self._board.rows["done"][FIRST_TRADER_ROW:].all():
            if time.monotonic() >= due:
                due += seconds
                yield self._moment()
            self._mourn()
            time.sleep(min(_READY_SECONDS, seconds))
        yield self._moment()

    def _mourn(self) -> None:
        """Raise ProcessDied if a process is dead that should not be."""
        for child in (self._watcher, *self._traders):
            if child.problem:
                child.wait(0)

    def _moment(self) -> Moment:
        rows, status = self._board.rows, self._exchange.status()
        return Moment(
            seconds=(time.monotonic_ns() - self._began_ns) / 1e9,
            orders=int(rows["orders"].sum()),
            commands=int(rows["commands"].sum()),
            trades=status["trades"],
            rejects=status["rejects"],
            open_orders=status["open_orders"],
            behind=max(0, status["events"] - int(rows["events"][WATCHER_ROW])),
            books={symbol: view.top() for symbol, view in self._views.items()},
        )

    def verdict(self) -> dict[str, Any]:
        """Let everybody tell what was seen, and compare. Caller: `moments` is at its end."""
        accounts = [child.wait() for child in self._traders]
        book = self._exchange.verify()
        self._board.rows["stop"][PARENT_ROW] = 1
        seen = self._watcher.wait()
        status = self._exchange.status()
        total = {name: sum(account[name] for account in accounts) for name in ("orders", "commands", "rejects", "executions", "bought", "sold")}
        seconds = (max(account["ended_ns"] for account in accounts) - self._began_ns) / 1e9
        complete = not seen["lost"]
        checks = {
            "reports_gapless": all(account["gapless"] for account in accounts),
            "quantity_conserved": all(account["conserved"] for account in accounts) and total["orders"] == self.plan.orders,
            "both_sides_told": total["executions"] == 2 * status["trades"] and total["bought"] == total["sold"],
            "book_check": book.holds,
            "replica_equals_engine": complete and all(seen["hashes_agree"].values()),
            "snapshot_equals_replica": complete and all(seen["tops_agree"].values()),
            "snapshots_never_back": complete and seen["snapshots"] > 0 and seen["snapshots_backwards"] == 0,
        }
        latencies = np.sum([account["latencies"] for account in accounts], axis=0)
        return {
            "orders": total["orders"],
            "trades": status["trades"],
            "rejects": total["rejects"],
            "seconds": round(seconds, 3),
            "checks": checks,
            "orders_per_second": round(total["orders"] / seconds),
            "commands": total["commands"],
            "commands_per_second": round(total["commands"] / seconds),
            **dict(zip(_PERCENTS, percentiles(latencies, list(_PERCENTS.values())), strict=True)),
            "events": status["events"],
            "open_orders": status["open_orders"],
            "snapshots_read": seen.get("snapshots", 0),
            "state_hash": book.state_hash,
            **self.plan._asdict(),
            "problem": seen["problem"],
            "ladders": seen["ladders"],
        }

    def close(self) -> None:
        """End whatever still runs, and remove the memory."""
        self._open.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
