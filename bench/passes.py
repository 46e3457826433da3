"""One pass: a schedule sent through one gateway, counted into histograms. Warm-up comes before the clock, and nothing is drawn while it runs.

Every half second the kernel comes back, because signals wait in Python and a matcher may have died; that is some microseconds twice a second.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from bench.arrivals import Schedule, planned_times
from bench.schedule import DONE, IDLE, PACE, send_on_schedule
from bench.stages import STAMPS, Stamps
from bench.statistics import recorded_percentiles
from shm_exchange.client.gateway import Gateway
from shm_exchange.domain.enums import CommandKind, OrderType, SelfTradePrevention, Side, TimeInForce
from shm_exchange.domain.errors import ConfigError, ExchangeError
from shm_exchange.domain.limits import POSITION_BITS
from shm_exchange.layout.records import kinds_word
from shm_exchange.participants.histogram import Counts, new_histogram
from shm_exchange.runtime import pidfd

PRICE_TICKS = 20_000
WARM_ORDERS = 2000
FLIGHTS = 1 << 16
"""More than a lane, a log and a report ring can hold of one gateway."""
_SLICE_NS = 500_000_000
_WORDS = {"kind": CommandKind.ENTER, "order_type": OrderType.LIMIT, "time_in_force": TimeInForce.GTC, "self_trade": SelfTradePrevention.NONE}


@dataclass(frozen=True)
class Load:
    """What is sent, and how. Raises ConfigError for a load that cannot be sent."""

    rate: int
    """Orders a second."""
    seconds: float = 2.0
    arrivals: str = "poisson"
    seed: int = 23
    closed: bool = False
    """The next order waits for the answer to the last one."""
    patience_ms: int = 1000
    """How long an order waits for room in its lane before it is dropped."""
    stall_ms: int = 0
    """For how long the matcher is stopped in the middle."""

    def __post_init__(self) -> None:
        if self.stall_ms and self.stall_ms / 1000 > self.seconds / 2:
            raise ConfigError(f"a stall of {self.stall_ms} ms does not fit the middle of {self.seconds:g} s; give --seconds {self.stall_ms / 250:g}")

    def schedule(self) -> Schedule:
        """The planned moments."""
        return planned_times(self.arrivals, self.rate, self.seconds, self.seed)

    @property
    def loop(self) -> str:
        """In a word."""
        return "closed" if self.closed else "open"


class Pass(NamedTuple):
    """What became of one load."""

    load: Load
    latencies: Counts
    """From the planned moment; in a closed loop from the actual one, because there is no other."""
    services: Counts
    """From the moment the order was really sent."""
    answered: int
    dropped: int
    retries: int
    seconds: float

    def row(self) -> dict[str, Any]:
        """Its figures."""
        return {
            "rate": self.load.rate,
            "loop": self.load.loop,
            "achieved": round(self.answered / self.seconds) if self.seconds else 0,
            "answered": self.answered,
            "dropped": self.dropped,
            "retries": self.retries,
            **{f"latency_ns_{key}": value for key, value in recorded_percentiles(self.latencies).items()},
            **{f"service_ns_{key}": value for key, value in recorded_percentiles(self.services).items()},
        }


@dataclass
class Recorders:
    """Where a pass counts; by default in memory of our own."""

    latencies: Counts = field(default_factory=new_histogram)
    services: Counts = field(default_factory=new_histogram)
    flights: Stamps = field(default_factory=lambda: np.zeros(FLIGHTS, STAMPS))

    def touch(self) -> None:
        """Have every page in place before the clock runs; what was counted stays."""
        self.flights.fill(0)
        self.latencies += 0
        self.services += 0


def order_words(instrument: int = 0) -> tuple[int, int, int]:
    """(price in ticks, kinds of the buy, kinds of the sell) of the pairs that kernels send."""
    buy, sell = (kinds_word(side=side, instrument=instrument, **_WORDS) for side in Side)
    return PRICE_TICKS, buy, sell


class Sender:
    """Sends loads through one gateway. eager: spin, because the core is ours; else sleep between orders."""

    def __init__(self, gateway: Gateway, *, eager: bool = True, instrument: int = 0, matcher: int | None = None) -> None:
        """`matcher`: its pidfd, for loads that stall it."""
        self._gateway, self._eager, self._matcher = gateway, eager, matcher
        self._orders = order_words(instrument)

    def warm(self, rate: int) -> None:
        """Kernels loaded, ring and book touched."""
        self.send(Load(rate, WARM_ORDERS / rate, "uniform"))

    def send(self, load: Load, recorders: Recorders | None = None) -> Pass:
        """One pass. Raises ExchangeError when the matcher dies."""
        into = recorders or Recorders()
        into.touch()
        schedule = load.schedule()
        pace = self._pace(load)
        start = int(pace["start_ns"][0])
        if load.stall_ms:
            self._run(schedule, pace, into, start + int(load.seconds * 5e8))
            with_matcher_stopped(self._stoppable(), lambda: self._run(schedule, pace, into, time.monotonic_ns() + load.stall_ms * 1_000_000))
        if load.closed:  # it may take for ever to send what was planned: it ends in time, and says how much it sent
            self._run(schedule, pace, into, start + int(load.seconds * 1e9))
            schedule = schedule[: pace["due_index"][0]]
        self._run(schedule, pace, into)
        own = pace[0]
        seconds = (int(own["ended_ns"]) - start) / 1e9 if own["answered"] else 0.0
        return Pass(load, into.latencies, into.services, int(own["answered"]), int(own["dropped"]), int(own["retries"]), seconds)

    def _pace(self, load: Load) -> np.ndarray[Any, np.dtype[np.void]]:
        pace = np.zeros(1, PACE)
        pace["patience_ns"] = load.patience_ms * 1_000_000
        pace["closed"], pace["eager"], pace["lane_id"] = load.closed, self._eager, self._gateway.number << POSITION_BITS
        pace["start_ns"] = pace["previous_ns"] = time.monotonic_ns() + 1_000_000
        return pace

    def _run(self, schedule: Schedule, pace: np.ndarray[Any, np.dtype[np.void]], into: Recorders, end: int = 1 << 62) -> None:
        """Until `end`, or until all is answered."""
        rings = self._gateway.rings()
        looked = time.monotonic_ns()
        while (now := time.monotonic_ns()) < end:
            until = min(end, now + _SLICE_NS)
            state = send_on_schedule(rings, self._orders, schedule, pace, into.flights, into.latencies, into.services, until)
            if state == DONE:
                return
            if state == IDLE:
                self._gateway.wait(_seconds_to_next(schedule, pace))
            if time.monotonic_ns() - looked >= _SLICE_NS:
                looked = time.monotonic_ns()
                if not self._gateway.matcher_alive:
                    raise ExchangeError(f"the matcher of exchange {self._gateway.name!r} ended in the middle of the measurement")

    def _stoppable(self) -> int:
        if self._matcher is None:
            raise ConfigError("this matcher cannot be stalled: it is not a child of this process")
        return self._matcher


def with_matcher_stopped(matcher: int, run: Callable[[], None]) -> None:
    """SIGSTOP, `run`, SIGCONT, whatever happens between."""
    pidfd.send(matcher, signal.SIGSTOP)
    try:
        run()
    finally:
        pidfd.send(matcher, signal.SIGCONT)


def _seconds_to_next(schedule: Schedule, pace: np.ndarray[Any, np.dtype[np.void]]) -> float:
    """How long a gateway may sleep when no report comes: until its next order is due, a tenth of a second at most."""
    own = pace[0]
    if own["due_index"] == len(schedule) or (own["closed"] and own["answered"] < own["sent"]):
        return 0.1
    return float(min(max(0, int(own["start_ns"]) + int(schedule[own["due_index"]]) - time.monotonic_ns()), 100_000_000)) / 1e9
