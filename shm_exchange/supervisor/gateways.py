"""Gateway processes against an exchange that runs already: what `shm-exchange spawn` and `tools.spawn_gateways` do.

    with GatewayRun("demo", Wanted("maker", gateways=4, rate=1000)) as run:     checks everything, then starts the processes
        for moment in run.moments(0.2):                                      until all are done
            …
        figures = run.figures()

A target is a built-in flow, whose gateways record into memory of ours, or a function "module:function", which is called as `Exchange.spawn` calls it.
What a killed gateway recorded still counts, and it is named.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, NamedTuple, Self

from shm_exchange.client.view import MarketView, index_of
from shm_exchange.domain.errors import ExchangeError
from shm_exchange.participants.arrivals import arrivals_of
from shm_exchange.participants.drive import Course
from shm_exchange.participants.flows import FLOWS, MID_TICKS
from shm_exchange.participants.portfolio import Traded
from shm_exchange.participants.recorder import READY, RUNNING, STATES, Recorder, figures_of
from shm_exchange.runtime.pidfd import describe_exit
from shm_exchange.shm.segment import Segment, attach
from shm_exchange.supervisor.exchange import Exchange
from shm_exchange.supervisor.spawn import Child
from shm_exchange.supervisor.wanted import Wanted, checked, free_sessions, function_arguments

SECONDS = 10.0
"""How long a flow goes on when nothing says when it ends."""
_DRIVE = "shm_exchange.participants.drive:drive"
_LEAD_NS = 2_000_000
_LOOK_SECONDS = 0.005
_END_SECONDS = 10.0


class Seen(NamedTuple):
    """One gateway process now."""

    session: str
    pid: int
    state: str
    figures: dict[str, Any]


class GatewayRun:
    """From the check of what is wanted to the figures. Raises ExchangeError of all kinds before anything is started."""

    def __init__(self, name: str, wanted: Wanted) -> None:
        checked(wanted)
        self.name, self.wanted = name, wanted
        self.is_flow = wanted.target in FLOWS
        self.children: list[Child[object]] = []
        self.was_stopped = False
        self._began = 0.0
        with ExitStack() as undo:
            self._segment = undo.enter_context(attach(name, populate=False))
            if self._segment.matcher_lost:
                raise ExchangeError(f"the matcher of exchange {name!r} is dead; stop it with `shm-exchange stop {name}` and start it again")
            traded = self._traded()
            named = {} if self.is_flow else function_arguments(wanted)
            sessions = free_sessions(self._segment, wanted)
            self._exchange = Exchange.attach(name)
            undo.callback(self._exchange.close)
            self._recorder = Recorder(wanted.gateways)
            undo.callback(self._recorder.close)
            for row, session in enumerate(sessions):
                arguments = (self._course(row, traded), self._recorder.path, row) if self.is_flow else ()
                target = _DRIVE if self.is_flow else wanted.target
                core = wanted.cores[row % len(wanted.cores)] if wanted.cores else None
                self.children += self._exchange.spawn(target, *arguments, session=session, core=core, **named)
            self._open = undo.pop_all()

    def moments(self, seconds: float) -> Iterator[list[Seen]]:
        """Give the word to begin once all are ready, and tell every so many seconds how it goes, until all have ended."""
        rows, due = self._recorder.rows, time.monotonic()
        waiting = self.is_flow
        self._began = time.monotonic()
        while any(child.poll() is None for child in self.children):
            if waiting and not any(child.poll() is None and rows["row"]["state"][row] < READY for row, child in enumerate(self.children)):
                waiting = False
                self._began = time.monotonic()
                rows["parent"]["start_ns"] = time.monotonic_ns() + _LEAD_NS
            if time.monotonic() >= due:
                due = max(due + seconds, time.monotonic())
                yield self.seen()
            time.sleep(min(_LOOK_SECONDS, seconds))
        yield self.seen()

    def stop(self) -> None:
        """Let all end early: gateways of flows take their last answers and cancel, functions get SIGTERM. Returns when all have ended."""
        self.was_stopped = True
        if self.is_flow:
            self._recorder.rows["parent"]["stop"] = 1
            self._recorder.rows["parent"]["start_ns"] = time.monotonic_ns()
        deadline = time.monotonic() + _END_SECONDS
        while self.is_flow and any(child.poll() is None for child in self.children) and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)
        for child in self.children:
            child.terminate()
        for child in self.children:
            child.end()

    @property
    def seconds(self) -> float:
        """Since the word to begin."""
        return time.monotonic() - self._began

    def seen(self) -> list[Seen]:
        """Every process as it is now."""
        lanes = {} if self.is_flow else {lane["session"]: dict(lane) for lane in self._exchange.status()["lanes"]}
        return [
            Seen(
                child.name, child.pid, self._state(row), figures_of(self._recorder.rows[row : row + 1]) if self.is_flow else lanes.get(child.name, {})
            )
            for row, child in enumerate(self.children)
        ]

    def merged(self) -> dict[str, Any]:
        """Counts and distributions of all gateways together."""
        return figures_of(self._recorder.rows)

    def figures(self) -> dict[str, Any]:
        """What is left of it all, fit for JSON. Caller: all have ended."""
        wanted = self.wanted
        return {
            "exchange": self._segment.name,
            "target": wanted.target,
            "processes": wanted.gateways,
            "rate": wanted.rate,
            "burst": wanted.burst,
            "seed": _seed(wanted) if self.is_flow else wanted.seed,
            "cores": list(wanted.cores) or None,
            "interrupted": self.was_stopped,
            "matcher_alive": self._segment.matcher_alive,
            "gateways": [self._gateway(seen, child) for seen, child in zip(self.seen(), self.children, strict=True)],
            **({"merged": self.merged()} if self.is_flow else {}),
        }

    def _gateway(self, seen: Seen, child: Child[object]) -> dict[str, Any]:
        figures = seen.figures if self.is_flow else {"result": _as_json(child)}
        return {"session": seen.session, "pid": seen.pid, "state": seen.state, "problem": child.problem, **figures}

    def close(self) -> None:
        """End whatever still runs."""
        self._open.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _state(self, row: int) -> str:
        child = self.children[row]
        if (code := child.poll()) is None:
            return STATES[int(self._recorder.rows["row"]["state"][row])] if self.is_flow else STATES[RUNNING]
        return "done" if code == 0 else "ended" if not child.problem else describe_exit(code)

    def _course(self, row: int, traded: list[Traded]) -> Course:
        wanted = self.wanted
        endless = wanted.orders is None and wanted.seconds is None
        return Course(
            flow=wanted.target,
            traded=traded,
            seed=_seed(wanted),
            trader=row,
            rate=wanted.rate or 0,
            burst=wanted.burst or 1,
            arrivals=arrivals_of(wanted.arrivals or "poisson"),
            orders=wanted.orders or 0,
            seconds=SECONDS if endless else wanted.seconds or 0,
            keep=wanted.keep,
        )

    def _traded(self) -> list[Traded]:
        """The instruments of the flow, around the price they have now. Raises UnknownSymbol."""
        segment = self._segment
        symbols = self.wanted.symbols or tuple(instrument.symbol for instrument in segment.config.instruments)
        return [traded_of(segment, symbol, index_of(segment, symbol)) for symbol in symbols]


def _seed(wanted: Wanted) -> int:
    return 1 if wanted.seed is None else wanted.seed


def traded_of(segment: Segment, symbol: str, index: int) -> Traded:
    """An instrument and the price it has: the middle of its touch, one side of it, its last trade, or one of our own."""
    instrument, top = segment.config.instruments[index], MarketView(segment, symbol).top()
    sides = [instrument.ticks(level.price) for level in (top.bid, top.ask) if level is not None]
    if not sides and top.last is not None:
        sides = [instrument.ticks(top.last.price)]
    mid = sum(sides) // len(sides) if sides else min(max(MID_TICKS, instrument.min_ticks), instrument.max_ticks)
    return Traded(index, mid, instrument.min_ticks, instrument.max_ticks)


def _as_json(child: Child[object]) -> object:
    """What a function returned, or its text where JSON cannot say it; nothing when it died or was ended."""
    if child.poll() != 0:
        return None
    result = child.wait()
    try:
        json.dumps(result)
    except (TypeError, ValueError):
        return repr(result)
    return result
