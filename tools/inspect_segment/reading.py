"""Consistent copies of what others write, with plain numpy: numbers are looked at before and after the copy, as kernels do it.

Between the two looks stands a fence. Python has none to offer, but a lock that is given back and taken again is one: no load may sink below its
release, and none may rise above its acquisition.
"""

from __future__ import annotations

import threading
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from shm_exchange.domain.limits import SNAPSHOT_SLOTS
from shm_exchange.shm import Segment

Rows: TypeAlias = "np.ndarray[Any, np.dtype[Any]]"
_TRIES = 8
_lock = threading.Lock()


def fence() -> None:
    """What was loaded before was loaded before what comes now."""
    with _lock:
        pass
    with _lock:
        pass


def newest(ring: Rows, tail: int, count: int, first: int = 1) -> Rows:
    """The last `count` records below `tail` that still stand in a ring whose slots carry their `number`, oldest first, as a copy."""
    numbers = np.arange(max(first, tail - min(count, len(ring))), max(first, tail))
    slots = numbers & (len(ring) - 1)
    before = ring["number"][slots] == numbers
    fence()
    rows = ring[slots]
    fence()
    kept: Rows = rows[before & (rows["number"] == numbers) & (ring["number"][slots] == numbers)]
    return kept


class LogPart(NamedTuple):
    """Neighbours in the log; the first has the number `first`."""

    first: int
    records: Rows


def newest_log(segment: Segment, count: int) -> LogPart:
    """The last `count` log records, as a copy.

    A log slot does not carry its number, and the sweep writes up to half a ring ahead of the tail: so only what was less than half a ring behind
    the tail after the copy is surely whole.
    """
    log, words = segment.array("log"), segment.array("matcher")
    tail = int(words[0].log_tail)
    first = max(0, tail - min(count, len(log) // 2))
    rows = log[np.arange(first, tail) & (len(log) - 1)]
    fence()
    sure = max(first, int(words[0].log_tail) - len(log) // 2)
    return LogPart(sure, rows[sure - first :])


def waiting_in(lane: Rows, head: int) -> int:
    """How many commands wait in a lane from position `head` on: a lane is filled without holes, so a few probes tell."""
    low, high = 0, len(lane)
    while low < high:
        middle = (low + high) // 2
        if int(lane[(head + middle) & (len(lane) - 1)]["number"]) == head + middle:
            low = middle + 1
        else:
            high = middle
    return low


class Slot(NamedTuple):
    """One version of one book top."""

    place: int  # 0 … 7
    stamp: int
    state: str
    head: np.void  # SNAPSHOT
    bids: Rows  # PRICE_LEVEL, best first
    asks: Rows

    @property
    def version(self) -> int:
        """The version that stands in the slot, or is being written there."""
        return (self.stamp + 1) // 2


UNUSED, WHOLE, LATEST, UNFINISHED, OVERTAKEN = "never written", "whole", "latest", "being written", "overwritten while read"


def slots_of(segment: Segment, instrument: int) -> list[Slot]:
    """All version slots of an instrument. On a running exchange they are copied again until the latest of them is whole, at most eight times."""
    slots: list[Slot] = []
    for _ in range(_TRIES):
        latest = int(segment.array("snapshot_latest")[instrument].version)
        fence()
        slots = [_slot(segment, instrument, index, latest) for index in range(SNAPSHOT_SLOTS)]
        if latest == 0 or any(slot.state == LATEST for slot in slots):
            break
    return slots


def latest_of(slots: list[Slot]) -> Slot | None:
    """The newest version that is whole; None before the first one, and where the matcher overtook us every time."""
    return next((slot for slot in slots if slot.state == LATEST), None)


def _slot(segment: Segment, instrument: int, index: int, latest: int) -> Slot:
    place, depth = instrument * SNAPSHOT_SLOTS + index, segment.config.depth
    heads, levels = segment.array("snapshots"), segment.array("snapshot_levels")
    stamp = int(heads[place].stamp)
    fence()
    head: Any = heads[place : place + 1].copy()[0]
    sides = levels[2 * place * depth : 2 * (place + 1) * depth].copy()
    fence()
    counts = [min(max(int(head[name]), 0), depth) for name in ("bid_count", "ask_count")]
    state = _state(stamp, int(heads[place].stamp), latest)
    return Slot(index, stamp, state, head, sides[: counts[0]], sides[depth : depth + counts[1]])


def _state(before: int, after: int, latest: int) -> str:
    if before != after:
        return OVERTAKEN
    if before == 0:
        return UNUSED
    if before % 2:
        return UNFINISHED
    return LATEST if before == 2 * latest else WHOLE
