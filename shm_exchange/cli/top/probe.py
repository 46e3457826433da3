"""A round trip of our own, where the user asks for it: shared memory holds no latencies, because nobody stamps an order on its way.

The probe has a session and sends a mass cancel that has nothing to cancel: it goes the whole way of an order, through lane, sweep, log, engine and
report ring, and can neither trade nor change a book. Far-away orders could trade, after all, and would stand on everybody's event feed.
What it measures is what a Python gateway sees, and it is a process more: where cores are few, the matcher may stop spinning because of it.
"""

from __future__ import annotations

import time
from collections import deque
from typing import NamedTuple, Self

from shm_exchange.client import Gateway
from shm_exchange.domain.errors import ExchangeError, LaneFull

SESSION = "top-probe"
"""One name, so that every probe takes the lane of the one before. Two at once do not go: the second is told so."""
_KEPT = 4096
_PATIENCE_SECONDS = 0.02
"""A screen must not wait longer; an answer that comes later is counted when it is seen."""


class RoundTrips(NamedTuple):
    """Request → report, as often as it was measured; nanoseconds."""

    measured: int
    p50: int
    p99: int | None
    """None while there are too few."""
    greatest: int

    def words(self) -> list[tuple[str, int]]:
        """What can be said, with its name."""
        return [("p50", self.p50), *([("p99", self.p99)] if self.p99 is not None else []), ("max", self.greatest)]


def round_trips(samples: deque[int]) -> RoundTrips:
    """Percentiles of the samples kept; a p99 only from a hundred on."""
    ordered = sorted(samples)
    count = len(ordered)
    if not count:
        return RoundTrips(0, 0, None, 0)
    return RoundTrips(count, ordered[(count - 1) // 2], ordered[-(-count * 99 // 100) - 1] if count >= 100 else None, ordered[-1])


class Probe:
    """Measures one round trip at a call. Raises what Gateway.attach raises."""

    def __init__(self, name: str) -> None:
        self._gateway = Gateway.attach(name, session=SESSION, lane_full="raise")
        self._samples: deque[int] = deque(maxlen=_KEPT)
        self._sent_ns = 0

    def measure(self) -> None:
        """Send one request, and wait a moment for its answer; while an answer is due nothing more is sent."""
        try:
            if not self._sent_ns:
                began = time.perf_counter_ns()
                self._gateway.mass_cancel()
                self._sent_ns = began
            if not self._gateway.wait(_PATIENCE_SECONDS):
                return
        except LaneFull:
            return
        self._samples.append(time.perf_counter_ns() - self._sent_ns)
        self._sent_ns = 0
        self._gateway.poll()

    def figures(self) -> RoundTrips:
        """Of the last 4096 round trips."""
        return round_trips(self._samples)

    def close(self) -> None:
        """Give the session back."""
        try:
            self._gateway.close()
        except ExchangeError:
            return

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
