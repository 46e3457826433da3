"""A population: the participants of a market file as processes on an exchange that runs, from the check of what is wanted to the verdict.

    with Population(description, "demo", seconds=60) as population:      checks everything, starts a nursery and all processes
        for moment in population.moments(0.2):                           until all have ended
            …
        figures = population.figures()                                   with `problems` in it: empty where everything holds

What a killed participant had not folded into its ledger is still in its report ring: the parent takes its session, folds the rest, and cancels what
it left open. So the books balance whatever becomes of anybody.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, NamedTuple, Self

from shm_exchange.client.view import MarketView
from shm_exchange.domain.errors import ConfigError, ExchangeError, SnapshotBusy
from shm_exchange.participants.description import Description
from shm_exchange.participants.drive import Course
from shm_exchange.participants.flows import FLOWS
from shm_exchange.participants.ledger import Ledgers, ledger_of, page_of
from shm_exchange.participants.portfolio import Traded
from shm_exchange.participants.recorder import READY, STATES, Recorder, figures_of
from shm_exchange.participants.scheduler import Seat
from shm_exchange.runtime.affinity import checked_cores, parallel_processes, usable_cores
from shm_exchange.runtime.pidfd import describe_exit
from shm_exchange.runtime.warm import ensure_warm
from shm_exchange.shm.segment import attach
from shm_exchange.supervisor.balance import balance_of, settle_rest
from shm_exchange.supervisor.brood import Brood, Fledgling
from shm_exchange.supervisor.gateways import traded_of
from shm_exchange.supervisor.spawn import Task, packed_arguments
from shm_exchange.supervisor.status import status_of
from shm_exchange.supervisor.wanted import check_sessions

SECONDS = 30.0
"""How long a market goes on when nothing says when it ends."""
NICENESS = 5
"""Of participants, where they are more than the cores: the matcher, whom all wait for, goes first."""
_DRIVE, _PARTAKE = "shm_exchange.participants.drive:drive", "shm_exchange.participants.live:partake"
_LEAD_NS = 5_000_000
_LOOK_SECONDS = 0.01
_END_SECONDS = 10.0


class Moment(NamedTuple):
    """One participant now. Money is ticks × lots, a value an instrument."""

    session: str
    behaviour: str
    pid: int
    state: str
    positions: list[int]
    cash: list[int]
    pnl: list[float]
    figures: dict[str, Any]


class Population:
    """See the module. Raises ExchangeError of all kinds before anything is started."""

    def __init__(self, description: Description, name: str, *, seconds: float = 0.0, orders: int = 0, seed: int | None = None) -> None:
        if seed is not None:
            description = description._replace(seed=seed)
        self.name, self.description = name, description
        self.was_stopped, self._began = False, 0.0
        orders = orders or description.orders
        self.seconds_wanted = seconds or description.seconds or (0.0 if orders else SECONDS)
        with ExitStack() as undo:
            self._segment = undo.enter_context(attach(name, populate=False))
            if self._segment.matcher_lost:
                raise ExchangeError(f"the matcher of exchange {name!r} is dead; stop it with `shm-exchange stop {name}` and start it again")
            self._instruments = self._segment.config.instruments
            symbols = tuple(instrument.symbol for instrument in self._instruments)
            self._check_instruments(symbols)
            seated = description.seats(symbols, self.seconds_wanted, orders)
            self.seats = [seat for seat, _ in seated]
            check_sessions(self._segment, [seat.session for seat in self.seats])
            for _, core in seated:
                if core is not None:
                    checked_cores(core)
            self._views = [undo.enter_context(MarketView.attach(name, symbol)) for symbol in symbols]
            self._mids = [0.0] * len(symbols)
            self._recorder, self._ledgers = Recorder(len(seated)), Ledgers(len(seated), len(symbols))
            undo.callback(self._recorder.close)
            undo.callback(self._ledgers.close)
            ensure_warm()
            self._before = status_of(self._segment)
            self._brood = undo.enter_context(Brood())
            for row, (seat, core) in enumerate(seated):
                self._start(row, seat, core)
            self._open = undo.pop_all()

    def moments(self, seconds: float) -> Iterator[list[Moment]]:
        """Give the word to begin once all are ready, and tell every so many seconds how it goes, until all have ended."""
        rows, due, waiting = self._recorder.rows, time.monotonic(), True
        self._began = time.monotonic()
        while self._brood.watch(min(_LOOK_SECONDS if waiting else seconds, seconds)):
            if waiting and all(child.code is not None or rows["row"]["state"][row] >= READY for row, child in enumerate(self._brood.children)):
                waiting = False
                self._began = time.monotonic()
                rows["parent"]["start_ns"] = time.monotonic_ns() + _LEAD_NS
            if time.monotonic() >= due:
                due = max(due + seconds, time.monotonic())
                yield self.seen()
        yield self.seen()

    def stop(self) -> None:
        """Let all end early: they take their last answers and cancel. Returns when all have ended."""
        self.was_stopped = True
        self._recorder.rows["parent"]["stop"] = 1
        self._recorder.rows["parent"]["start_ns"] = time.monotonic_ns()
        deadline = time.monotonic() + _END_SECONDS
        while self._brood.watch(_LOOK_SECONDS) and time.monotonic() < deadline:
            continue
        self._brood.terminate()
        while self._brood.watch(_LOOK_SECONDS) and time.monotonic() < deadline + _END_SECONDS:
            continue

    @property
    def seconds(self) -> float:
        """Since the word to begin."""
        return time.monotonic() - self._began

    @property
    def nursery_pid(self) -> int:
        """The process whose children they are."""
        return self._brood.pid

    @property
    def children(self) -> list[Fledgling]:
        """Their processes."""
        return self._brood.children

    def seen(self) -> list[Moment]:
        """Every participant as it is now."""
        self._mids = mids = [_mid_ticks(view, before) for view, before in zip(self._views, self._mids, strict=True)]
        moments = []
        for row, (seat, child) in enumerate(zip(self.seats, self._brood.children, strict=True)):
            page = page_of(ledger_of(self._ledgers.rows, row))
            positions, cash = page["position"].tolist(), page["cash"].tolist()
            pnl = [money + held * mid for money, held, mid in zip(cash, positions, mids, strict=True)]
            figures = figures_of(self._recorder.rows[row : row + 1])
            moments.append(Moment(seat.session, seat.setting.behaviour, child.pid, self._state(row, child), positions, cash, pnl, figures))
        return moments

    def merged(self) -> dict[str, Any]:
        """Counts and distributions of all together."""
        return figures_of(self._recorder.rows)

    def figures(self) -> dict[str, Any]:
        """What is left of it all, fit for JSON. Caller: all have ended."""
        problems = [child.problem for child in self._brood.children if child.problem]
        if not self._segment.matcher_alive:
            problems.append(f"the matcher of exchange {self.name!r} ended meanwhile; look with `shm-exchange status {self.name}`")
            balance: dict[str, Any] = {"alone": False, "positions": [], "cash": [], "note": "there is nobody left to balance with"}
        else:
            problems += settle_rest(self._segment, self.seats, self._recorder.rows, self._ledgers.rows)
            balance = balance_of(self._segment, self.seats, self._before, self._ledgers.rows, self.merged()["reports_lost"])
        merged, seen = self.merged(), self.seen()
        if merged["misfits"]:
            problems.append(f"this must not be: {merged['misfits']} reports do not add up; run it again with the same seed and report it")
        if balance["alone"] and not balance["holds"]:
            problems.append(f"this must not be: positions {balance['positions']} and cash {balance['cash']} of all participants are not zero")
        return {
            "exchange": self.name,
            "participants": len(self.seats),
            "seconds": round(self.seconds, 3),
            "seed": self.description.seed,
            "interrupted": self.was_stopped,
            "matcher_alive": self._segment.matcher_alive,
            "symbols": [instrument.symbol for instrument in self._instruments],
            "balance": balance,
            "members": [self._member(moment, row) for row, moment in enumerate(seen)],
            "merged": merged,
            "problems": problems,
        }

    def close(self) -> None:
        """End whatever still runs."""
        self._open.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(self, row: int, seat: Seat, core: int | None) -> None:
        """A built-in flow without a distance is all kernel; everything else is a participant in Python."""
        own = seat.setting
        niceness = NICENESS if len(self.seats) >= parallel_processes() else 0
        if own.behaviour in FLOWS and own.latency.is_none:
            traded = [traded_of(self._segment, symbol, self._number(symbol)) for symbol in own.symbols]
            payload = packed_arguments((_course(seat, traded), self._recorder.path, row, self._ledgers.path), {"niceness": niceness})
            function = _DRIVE
        else:
            payload = packed_arguments((own, self._recorder.path, self._ledgers.path, row), {"niceness": niceness})
            function = _PARTAKE
        cores = list(usable_cores()) if core is None else [core]
        self._brood.bear(seat.session, Task(function, self.name, seat.session, seat.account, cores, []), payload)

    def _check_instruments(self, symbols: tuple[str, ...]) -> None:
        """What the file says it is traded on must be there."""
        for wanted in self.description.instruments:
            if wanted.symbol not in symbols:
                raise ConfigError(f"{self.description.path}: exchange {self.name!r} has no instrument {wanted.symbol!r}; it has {', '.join(symbols)}")
            there = self._instruments[symbols.index(wanted.symbol)]
            if (there.tick, there.lot) != (wanted.tick, wanted.lot):
                raise ConfigError(
                    f"{self.description.path}: {wanted.symbol} has tick {wanted.tick} and lot {wanted.lot} here, {there.tick} and {there.lot} on "
                    f"exchange {self.name!r}; make them the same"
                )

    def _number(self, symbol: str) -> int:
        return [instrument.symbol for instrument in self._instruments].index(symbol)

    def _state(self, row: int, child: Fledgling) -> str:
        if child.code is None:
            return STATES[int(self._recorder.rows["row"]["state"][row])]
        return "done" if child.code == 0 else "ended" if child.is_asked else describe_exit(child.code)

    def _member(self, moment: Moment, row: int) -> dict[str, Any]:
        page = page_of(ledger_of(self._ledgers.rows, row))
        realised = (page["cash"] + page["cost"]).tolist()
        unrealised = [total - done for total, done in zip(moment.pnl, realised, strict=True)]
        return {
            "session": moment.session,
            "account": self.seats[row].account,
            "behaviour": moment.behaviour,
            "pid": moment.pid,
            "state": moment.state,
            "problem": self._brood.children[row].problem,
            "positions": moment.positions,
            "cash": moment.cash,
            "pnl": moment.pnl,
            "realised": realised,
            "unrealised": unrealised,
            **moment.figures,
        }


def _course(seat: Seat, traded: list[Traded]) -> Course:
    own = seat.setting
    return Course(own.behaviour, traded, own.seed, own.number, own.rate, own.burst, own.arrivals, own.orders, own.seconds, own.keep)


def _mid_ticks(view: MarketView, before: float) -> float:
    """Between the best prices; where there are none, as it was before."""
    try:
        bids, asks = view.depth_array()
    except SnapshotBusy:
        return before
    sides = [int(levels[0]["price_ticks"]) for levels in (bids, asks) if len(levels)]
    return sum(sides) / 2 if len(sides) == 2 else before or float(sum(sides))
