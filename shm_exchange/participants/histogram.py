"""Durations in log-linear buckets: 64 buckets to every power of two, so a percentile is off by less than 1 %. Histograms of several add up."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from shm_exchange._jit import inlined

Counts = np.ndarray[Any, np.dtype[np.int64]]

_LINEAR = 128
"""Values below it have a bucket of their own."""
_HALF = _LINEAR // 2
_SHIFTS = 63 - _LINEAR.bit_length() + 1
BUCKETS = _HALF * (_SHIFTS + 2)


def new_histogram() -> Counts:
    """Nothing seen."""
    return np.zeros(BUCKETS, np.int64)


@inlined
def observe(counts, value):
    """Count one value; a negative one as 0."""
    rest, shift = max(value, 0), 0
    while rest >= _LINEAR:
        rest >>= 1
        shift += 1
    counts[_HALF * shift + rest] += 1


def percentiles(counts: Counts, wanted: Sequence[float]) -> list[int]:
    """The values below which those percentages lie, each to within its bucket; zeros where nothing was counted."""
    total = int(counts.sum())
    if not total:
        return [0] * len(wanted)
    ranks = [max(1, math.ceil(round(total * percent / 100, 6))) for percent in wanted]
    return [_middle(int(bucket)) for bucket in np.searchsorted(np.cumsum(counts), ranks)]


def lowest_values() -> Counts:
    """The smallest value of each bucket, i8[BUCKETS]; a bucket ends where the next begins."""
    buckets = np.arange(BUCKETS, dtype=np.int64)
    shifts = np.maximum(buckets // _HALF - 1, 0)
    lowest: Counts = (buckets - _HALF * shifts) << shifts
    return lowest


def _middle(bucket: int) -> int:
    if bucket < _LINEAR:
        return bucket
    shift = bucket // _HALF - 1
    return ((bucket - _HALF * shift) << shift) + (1 << shift) // 2
