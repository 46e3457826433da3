"""One look at an exchange, running or dead. It maps the memory read-only and takes part in nothing: nobody can tell that it looks."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any, NamedTuple, Self

import numpy as np

from shm_exchange.cli.top.processes import Processes, ProcessFigures
from shm_exchange.cli.top.tape import Tape, Trade
from shm_exchange.client import Depth, MarketView
from shm_exchange.domain.config import ExchangeConfig
from shm_exchange.domain.errors import SnapshotBusy
from shm_exchange.runtime.affinity import parallel_processes
from shm_exchange.shm import attach
from shm_exchange.supervisor.status import Status, status_of

_BOOKS_A_LOOK = 32
"""Of an exchange with more instruments only the chosen one and its first neighbours are read."""
PROCESSES_SECONDS = 1.0
"""cpu shares of a shorter time say little, and /proc costs more than shared memory."""
_HANGS_SECONDS = 1.0
_COST_NS = 3_000_000_000


class Reading(NamedTuple):
    """What was there at one moment."""

    config: ExchangeConfig
    now_ns: int
    """CLOCK_MONOTONIC."""
    clock_ns: int
    """Since 1970."""
    started_ns: int
    """When the exchange was made, likewise."""
    status: Mapping[str, Any]
    """As `supervisor.status.status_of` tells it; waiting commands are counted in the lane itself when no matcher does it."""
    processes: Mapping[int, ProcessFigures]
    books: Mapping[str, Depth]
    busy: frozenset[str]
    """Instruments whose snapshot could not be copied this time; `books` has their last copy, if there is one."""
    trades: Mapping[str | None, list[Trade]]
    """The newest first: of the chosen instrument, and under None of all."""
    events_unseen: int
    cores: int
    """Processes that can run at the same time."""
    own_pid: int
    own_cpu: float | None
    """What looking costs us: of one core, in the last seconds; None in the first ones."""
    is_current: bool
    """False once the exchange has ended and its memory was removed: this is what it was then."""

    @property
    def is_live(self) -> bool:
        """Whether a matcher works on this memory."""
        return self.is_current and self.status["matcher"] in ("running", "starting")


class Reader:
    """Looks at one exchange. Raises ExchangeNotFound, LayoutMismatch."""

    def __init__(self, name: str, *, timeout: float = 5.0, processes_seconds: float = PROCESSES_SECONDS) -> None:
        self._segment = attach(name, dead_ok=True, populate=False, timeout=timeout)
        self.config = self._segment.config
        self._views = {instrument.symbol: MarketView(self._segment, instrument.symbol) for instrument in self.config.instruments}
        self._versions = self._segment.array("snapshot_latest").view(np.ndarray)["version"]
        self._tape = Tape(self._segment)
        self._processes = Processes()
        self._books: dict[str, Depth] = {}
        self._seen: dict[int, ProcessFigures] = {}
        self._every_ns = int(processes_seconds * 1e9)
        self._looked_ns = 0
        self._cost: float | None = None
        self._cost_since = (time.monotonic_ns(), time.process_time_ns())

    def read(self, symbol: str | None = None) -> Reading:
        """Everything now. `symbol`: the instrument whose trades are wanted (default: the first)."""
        symbol = symbol or self.config.instruments[0].symbol
        status = status_of(self._segment)
        self._count_waiting(status)
        now = time.monotonic_ns()
        if now - self._looked_ns >= self._every_ns:
            self._looked_ns = now
            self._seen = self._processes.look(_living(status))
        self._tape.update()
        return Reading(
            config=self.config,
            now_ns=now,
            clock_ns=time.time_ns(),
            started_ns=self._segment.generation,
            status=status,
            processes=self._seen,
            busy=self._read_books(symbol),
            books=dict(self._books),
            trades={None: self._tape.trades(), symbol: self._tape.trades(symbol)},
            events_unseen=self._tape.unseen,
            cores=parallel_processes(),
            own_pid=os.getpid(),
            own_cpu=self._own_cpu(now),
            is_current=self._segment.is_current,
        )

    def _own_cpu(self, now: int) -> float | None:
        """Anew every few seconds."""
        since, spent = self._cost_since
        if now - since >= _COST_NS:
            self._cost_since = now, time.process_time_ns()
            self._cost = (self._cost_since[1] - spent) / (now - since)
        return self._cost

    def _read_books(self, symbol: str) -> frozenset[str]:
        """Copy the books that changed; returns those that could not be copied."""
        busy = set()
        for index, (other, view) in enumerate(self._views.items()):
            if index >= _BOOKS_A_LOOK and other != symbol:
                continue
            if other in self._books and self._books[other].version == int(self._versions[index]):
                continue
            try:
                self._books[other] = view.depth()
            except SnapshotBusy:
                busy.add(other)
        return frozenset(busy)

    def _count_waiting(self, status: Status) -> None:
        """A matcher that works measures its lanes itself. Where none does, they are counted: from its head on, while slots carry their positions."""
        age = status["heartbeat_age_seconds"]
        if status["matcher"] == "running" and age is not None and age < _HANGS_SECONDS:
            return
        heads = self._segment.array("lane_heads")
        for lane in status["lanes"]:
            numbers = self._segment.array("lane", lane["number"]).view(np.ndarray)["number"]
            positions = int(heads[lane["number"]].head) + np.arange(len(numbers))
            is_there = numbers[positions & (len(numbers) - 1)] == positions
            lane["depth"] = len(numbers) if is_there.all() else int(is_there.argmin())

    def close(self) -> None:
        """Let the memory go."""
        self._segment.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _living(status: Mapping[str, Any]) -> set[int]:
    """Processes that hold a lock: a pid whose lock is gone may be somebody else's by now."""
    pids = {lane["pid"] for lane in status["lanes"] if lane["alive"]}
    if status["supervisor_alive"]:
        pids.add(status["supervisor_pid"])
    if status["matcher"] in ("running", "starting"):
        pids.add(status["matcher_pid"])
    if status["journal"] is not None and status["journal"]["keeper"] in ("running", "starting"):
        pids.add(status["journal"]["keeper_pid"])
    return pids - {0}
