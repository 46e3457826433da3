"""The stamps of an order on its way, and where its time went.

    planned    when it should have been sent
    enqueued   read just before it was put into the lane: never later than what follows
    dequeued   the matcher has copied it into its log
    matched    it was applied to the book, with all that came in the same sweep; nothing is published yet
    visible    its gateway has seen its last report

All are CLOCK_MONOTONIC of one machine. They live in arrays of bench alone, never in a record of the exchange, whose outputs depend on the log only.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import numpy as np

from bench.statistics import PERCENTILES, TAIL_MIN, rank_of

STAMPS = np.dtype(
    [
        ("order_id", "i8"),
        ("planned_ns", "i8"),
        ("enqueued_ns", "i8"),
        ("dequeued_ns", "i8"),
        ("matched_ns", "i8"),
        ("visible_ns", "i8"),
    ]
)
"""One order, in the order of its way."""
MARKS = np.dtype([("dequeued_ns", "i8"), ("matched_ns", "i8")])
"""The matcher's half, by lane position, in memory that it shares with the gateway."""
MOMENTS = tuple(name for name in STAMPS.names or () if name.endswith("_ns"))
STAGES = {f"{before[:-3]} → {after[:-3]}": (before, after) for before, after in pairwise(MOMENTS)}
"""Stage → the two stamps it lies between."""

Stamps = np.ndarray[Any, np.dtype[np.void]]
_BAND = 200
"""A percentile's breakdown is the mean of the orders around it: of one in so many, and TAIL_MIN at least."""
_BAR, _BAR_AT_LEAST = 60, 20
_FILLS = "░▒▓█"


def latencies(stamps: Stamps) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Planned to visible, nanoseconds."""
    return np.asarray(stamps["visible_ns"] - stamps["planned_ns"], np.int64)


def slowest(stamps: Stamps, count: int) -> Stamps:
    """The `count` orders that took longest, the slowest first."""
    return stamps[np.argsort(-latencies(stamps), kind="stable")[:count]]


def breakdown(stamps: Stamps, percents: Iterable[str] = PERCENTILES) -> dict[str, dict[str, float]]:
    """By percentile: stage → mean nanoseconds of the orders around that rank. None are given where the tail is too thin to know."""
    ordered = stamps[np.argsort(latencies(stamps), kind="stable")]
    found = {}
    for percent in percents:
        rank = rank_of(percent, len(ordered))
        if len(ordered) - rank < TAIL_MIN:
            continue
        half = min(max(TAIL_MIN, len(ordered) // _BAND) // 2, len(ordered) - rank)
        around = ordered[max(0, rank - 1 - half) : rank + half]
        found[f"p{percent}"] = {stage: round(float((around[after] - around[before]).mean()), 1) for stage, (before, after) in STAGES.items()}
    return found


def stacked_bars(stages: dict[str, dict[str, float]], width: int = 150) -> str:
    """The breakdown as text, `width` columns if that is enough: a bar for each percentile, all as long as each other, and its nanoseconds."""
    if not stages:
        return ""
    names = list(next(iter(stages.values())))
    label = max(map(len, stages))
    figures = {
        percent: f"{sum(parts.values()):,.0f} ns = " + " + ".join(f"{value:,.0f}" for value in parts.values()) for percent, parts in stages.items()
    }
    length = min(_BAR, max(_BAR_AT_LEAST, width - label - 4 - max(map(len, figures.values()))))
    lines = ["  ".join(f"{fill} {name}" for fill, name in zip(_FILLS, names, strict=True))]
    lines += [f"{percent:>{label}}  {_bar(list(parts.values()), length)}  {figures[percent]}" for percent, parts in stages.items()]
    return "\n".join(lines)


def _bar(parts: list[float], length: int) -> str:
    """One bar; every part begins where the one before it ends."""
    total = sum(parts) or 1.0
    edges = [round(length * sum(parts[: index + 1]) / total) for index in range(len(parts))]
    return f"{''.join(fill * (end - begin) for fill, begin, end in zip(_FILLS, [0, *edges], edges, strict=False)):{length}}"
