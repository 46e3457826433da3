"""Rates from counters that only grow: of the last second, and one a second for the last minutes. Pure: it is fed with looks.

The matcher counts the time of a busy period when it ends, that of an idle one likewise. So between two looks the time that neither has
accounted for belongs to the period that still runs: a busy one if there were sweeps, else an idle one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, NamedTuple

from shm_exchange.cli.top.reading import Reading

_WINDOW_NS = 1_000_000_000
_HISTORY = 300
"""Seconds remembered."""
_COUNTERS = ("commands", "trades", "rejects", "events", "sweeps", "sweep_ns", "idle_ns", "parks")


class Figures(NamedTuple):
    """Rates a second; None where one look alone cannot tell."""

    seconds: float
    """That the rates cover."""
    commands: float | None
    trades: float | None
    rejects: float | None
    events: float | None
    parks: float | None
    busy: float | None
    """Share of its time that the matcher swept and matched."""
    command_ns: float | None
    """The matcher's time for a command: of the last second, else (`is_recent` is false) of all its life."""
    sweep_ns: float | None
    batch: float | None
    """Commands a sweep."""
    is_recent: bool
    lanes: Mapping[int, float]
    """Commands a second of each session's lane."""
    history: tuple[float, ...]
    """Commands a second, a figure a second, the newest last."""


class _Sample(NamedTuple):
    now_ns: int
    counts: dict[str, int]
    lanes: dict[int, int]


class Pace:
    """Turns looks into rates."""

    def __init__(self) -> None:
        self._samples: deque[_Sample] = deque()
        self._history: deque[float] = deque(maxlen=_HISTORY)
        self._marked: _Sample | None = None

    def add(self, reading: Reading) -> Figures:
        """Rates including this look, which is newer than all before."""
        status = reading.status
        sample = _Sample(reading.now_ns, {name: status[name] for name in _COUNTERS}, {lane["number"]: lane["commands"] for lane in status["lanes"]})
        self._samples.append(sample)
        while len(self._samples) > 2 and self._samples[1].now_ns <= sample.now_ns - _WINDOW_NS:
            self._samples.popleft()
        self._mark(sample)
        return self._figures(status)

    def _mark(self, sample: _Sample) -> None:
        """Remember the rate of a whole second."""
        marked = self._marked = self._marked or sample
        seconds = (sample.now_ns - marked.now_ns) / 1e9
        if seconds >= 1:
            self._history.append((sample.counts["commands"] - marked.counts["commands"]) / seconds)
            self._marked = sample

    def _figures(self, status: Mapping[str, Any]) -> Figures:
        first, last = self._samples[0], self._samples[-1]
        seconds = (last.now_ns - first.now_ns) / 1e9
        counts = {name: last.counts[name] - first.counts[name] for name in _COUNTERS}
        rates = {name: count / seconds if seconds else None for name, count in counts.items()}
        busy_ns = float(sum(_busy_ns(*pair) for pair in pairwise(self._samples)))
        is_recent = bool(seconds and counts["commands"] and counts["sweeps"])
        commands, sweeps = (counts[name] if is_recent else status[name] for name in ("commands", "sweeps"))
        spent = busy_ns if is_recent else status["sweep_ns"]
        return Figures(
            seconds=seconds,
            commands=rates["commands"],
            trades=rates["trades"],
            rejects=rates["rejects"],
            events=rates["events"],
            parks=rates["parks"],
            busy=busy_ns / (last.now_ns - first.now_ns) if seconds else None,
            command_ns=spent / commands if commands else None,
            sweep_ns=spent / sweeps if sweeps else None,
            batch=commands / sweeps if sweeps else None,
            is_recent=is_recent,
            lanes={number: (count - first.lanes.get(number, 0)) / seconds for number, count in last.lanes.items()} if seconds else {},
            history=tuple(self._history),
        )


def _busy_ns(before: _Sample, after: _Sample) -> int:
    """The matcher's busy time between two looks, within what the two leave possible."""
    span = after.now_ns - before.now_ns
    sweeps, busy, idle = (after.counts[name] - before.counts[name] for name in ("sweeps", "sweep_ns", "idle_ns"))
    if not sweeps:
        return 0
    if not busy:  # no busy period has ended: one still runs, and what is not idle was its
        return max(0, span - idle)
    return min(busy, span)
