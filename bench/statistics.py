"""Order statistics that were really measured: nearest rank, never interpolated, and none where the tail is too thin to know."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from shm_exchange.participants import histogram
from shm_exchange.participants.histogram import Counts

PERCENTILES = ("50", "90", "99", "99.9", "99.99")
TAIL_MIN = 10
"""A percentile with fewer samples above it says more about luck than about the system."""


def percentile(samples: np.ndarray, percent: str) -> int | None:
    """The sample at nearest rank; None where fewer than `TAIL_MIN` samples lie above it. `percent` is text, so that 99.9 is exact."""
    return _at_rank(np.sort(samples), percent)


def percentiles(samples: np.ndarray, percents: Iterable[str] = PERCENTILES) -> dict[str, int | None]:
    """`p50` … `p99.99`, `max` and `samples` of int64 nanoseconds; None is a figure that these samples cannot give."""
    ordered = np.sort(samples)
    found = {f"p{percent}": _at_rank(ordered, percent) for percent in percents}
    return found | {"max": int(ordered[-1]) if len(ordered) else None, "samples": len(ordered)}


def recorded_percentiles(counts: Counts, percents: Sequence[str] = PERCENTILES) -> dict[str, int | None]:
    """The same of a histogram, each to within its bucket."""
    total = int(counts.sum())
    known = [percent for percent in percents if total - rank_of(percent, total) >= TAIL_MIN]
    values = dict(zip(known, histogram.percentiles(counts, [float(percent) for percent in known]), strict=True))
    found = {f"p{percent}": values.get(percent) for percent in percents}
    return found | {"max": histogram.percentiles(counts, [100])[0] if total else None, "samples": total}


def rank_of(percent: str, total: int) -> int:
    """Nearest rank, from 1: so many samples lie at or below that percentile."""
    return int(-(-Fraction(percent) * total // 100))


def _at_rank(ordered: np.ndarray, percent: str) -> int | None:
    rank = rank_of(percent, len(ordered))
    if len(ordered) - rank < TAIL_MIN:
        return None
    return int(ordered[rank - 1])


def median(values: Sequence[float]) -> float:
    """The middle of the runs; of an even number of runs the mean of the two in the middle. Whole runs with a whole median stay whole."""
    middle = statistics.median(values)
    if all(isinstance(value, int) for value in values) and middle == int(middle):
        return int(middle)
    return middle


def merge_runs(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One result for several runs of the same: medians of every number, what all agree on, and the `runs` themselves."""
    return _merge(runs) | {"runs": [dict(run) for run in runs]}


def _merge(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Key by key; a key that a run lacks, or a word on which runs differ, has no median and stands in the runs alone."""
    merged: dict[str, Any] = {}
    for key in runs[0]:
        values = [run[key] for run in runs if key in run]
        if len(values) < len(runs):
            continue
        if all(isinstance(value, Mapping) for value in values):
            merged[key] = _merge(values)
        elif all(_is_number(value) for value in values):
            merged[key] = median(values)
        elif all(_is_table(value) for value in values) and len({len(value) for value in values}) == 1:
            merged[key] = [_merge(rows) for rows in zip(*values, strict=True)]
        elif all(value == values[0] for value in values):
            merged[key] = values[0]
    return merged


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_table(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(row, Mapping) for row in value)
