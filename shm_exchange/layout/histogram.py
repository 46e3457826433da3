"""Durations in log-linear buckets: 64 buckets to every power of two, so a percentile is off by less than 1 %. Histograms of several add up.

Kernels count with `participants.histogram.observe`, plain Python with `count`; both find the same bucket.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

Counts = np.ndarray[Any, np.dtype[np.int64]]

LINEAR = 128
"""Values below it have a bucket of their own."""
HALF = LINEAR // 2
_SHIFTS = 63 - LINEAR.bit_length() + 1
BUCKETS = HALF * (_SHIFTS + 2)


def new_histogram() -> Counts:
    """Nothing seen."""
    return np.zeros(BUCKETS, np.int64)


def count(counts: Counts, value: int) -> None:
    """Count one value; a negative one as 0."""
    value = max(value, 0)
    shift = max(0, value.bit_length() - (LINEAR.bit_length() - 1))
    counts[HALF * shift + (value >> shift)] += 1


def percentiles(counts: Counts, wanted: Sequence[float]) -> list[int]:
    """The values below which those percentages lie, each to within its bucket; zeros where nothing was counted."""
    total = int(counts.sum())
    if not total:
        return [0] * len(wanted)
    ranks = [max(1, math.ceil(round(total * percent / 100, 6))) for percent in wanted]
    middles = middle_values()
    return [int(middles[bucket]) for bucket in np.searchsorted(np.cumsum(counts), ranks)]


def lowest_values() -> Counts:
    """The smallest value of each bucket, i8[BUCKETS]; a bucket ends where the next begins."""
    buckets = np.arange(BUCKETS, dtype=np.int64)
    shifts = np.maximum(buckets // HALF - 1, 0)
    lowest: Counts = (buckets - HALF * shifts) << shifts
    return lowest


def middle_values() -> Counts:
    """The value that stands for each bucket, i8[BUCKETS]: the middle of it."""
    lowest = lowest_values()
    widths = np.diff(lowest, append=2 * lowest[-1:] - lowest[-2:-1])
    middles: Counts = lowest + widths // 2
    return middles
