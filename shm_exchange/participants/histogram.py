"""Histograms in kernels: the bucket of a value, and counting it. What a histogram is stands in `layout.histogram`."""

from __future__ import annotations

from shm_exchange._jit import inlined
from shm_exchange.layout.histogram import BUCKETS, HALF, LINEAR, Counts, lowest_values, middle_values, new_histogram, percentiles

__all__ = ["BUCKETS", "Counts", "bucket_of", "lowest_values", "middle_values", "new_histogram", "observe", "percentiles"]


@inlined
def bucket_of(value):
    """Where a value is counted; a negative one as 0."""
    rest, shift = max(value, 0), 0
    while rest >= LINEAR:
        rest >>= 1
        shift += 1
    return HALF * shift + rest


@inlined
def observe(counts, value):
    """Count one value."""
    counts[bucket_of(value)] += 1
