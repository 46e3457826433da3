"""What a histogram of counts can say: percentiles that enough samples stand behind, and the curve through all of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.statistics import PERCENTILES, TAIL_MIN
from shm_exchange.participants.histogram import Counts, lowest_values, percentiles


def summary(counts: Counts) -> dict[str, Any]:
    """`samples`, `p50` … `p99.99` (ns; None where fewer than `TAIL_MIN` samples lie above) and `max`."""
    total = int(counts.sum())
    found: dict[str, Any] = {"samples": total}
    for percent, value in zip(PERCENTILES, percentiles(counts, [float(text) for text in PERCENTILES]), strict=True):
        found[f"p{percent}"] = value if total * (100 - float(percent)) / 100 >= TAIL_MIN else None
    return found | {"max": percentiles(counts, [100.0])[0] if total else None}


def curve(counts: Counts) -> tuple[np.ndarray, np.ndarray, int]:
    """(1 / (1 - share), nanoseconds, solid): one point for each bucket that counted something; behind the first `solid` points the tail is thin.

    The last point is the largest sample, at 1 / (1 - share) = number of samples × 2: no sample is above it, but it is somewhere.
    """
    buckets = np.flatnonzero(counts)
    above = int(counts.sum()) - np.cumsum(counts[buckets])
    lowest = lowest_values()
    values = (lowest[buckets] + np.append(lowest[1:], lowest[-1])[buckets]) / 2
    rarity = counts.sum() / np.maximum(above, 0.5)
    return rarity, values, int(np.count_nonzero(above >= TAIL_MIN))


def density(counts: Counts, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """(edges, samples a doubling of time) with `steps` bars to each doubling, over what was counted; bars are whole nanoseconds wide at least."""
    buckets = np.flatnonzero(counts)
    lowest = lowest_values()
    first, last = max(int(lowest[buckets[0]]), 1), int(lowest[min(buckets[-1] + 1, len(lowest) - 1)])
    wanted = first * 2.0 ** (np.arange(int(np.log2(max(last / first, 2)) * steps) + 2) / steps)
    nearest = np.searchsorted(lowest, wanted)
    edges = np.unique(np.append(lowest[np.minimum(nearest, len(lowest) - 1)], max(last, first + 1))).astype(float)
    bars, _ = np.histogram(np.maximum(lowest[buckets], 1), edges, weights=counts[buckets])
    return edges, bars / np.log2(edges[1:] / edges[:-1])
