"""Durations in log-linear buckets."""

from __future__ import annotations

import numpy as np
import pytest

from shm_exchange._jit import kernel
from shm_exchange.participants.histogram import BUCKETS, new_histogram, observe, percentiles


@kernel
def observe_all(counts, values):
    """Count all values."""
    for value in values:
        observe(counts, value)


def counted(values: np.ndarray) -> np.ndarray:
    counts = new_histogram()
    observe_all(counts, values.astype(np.int64))
    return counts


def test_small_values_are_exact() -> None:
    assert percentiles(counted(np.arange(100)), [1, 50, 100]) == [0, 49, 99]


@pytest.mark.parametrize("seed", range(5))
def test_percentiles_are_those_of_the_sample_within_a_hundredth(seed: int) -> None:
    values = np.sort(np.exp(np.random.default_rng(seed).uniform(0, 40, 5000)).astype(np.int64))
    ranks = {1: 50, 25: 1250, 50: 2500, 75: 3750, 99: 4950, 99.9: 4995}
    found = percentiles(counted(values), list(ranks))
    assert found == pytest.approx([values[rank - 1] for rank in ranks.values()], rel=0.01)


def test_the_greatest_value_has_a_bucket_and_a_negative_one_counts_as_0() -> None:
    counts = counted(np.array([-5, 0, 2**63 - 1]))
    assert (len(counts), counts[0], counts[-1]) == (BUCKETS, 2, 1)


def test_histograms_add_up() -> None:
    values = np.arange(1, 10_000, 7)
    halves = counted(values[:500]) + counted(values[500:])
    assert np.array_equal(halves, counted(values))


def test_nothing_counted_is_zeros() -> None:
    assert percentiles(new_histogram(), [50, 99]) == [0, 0]
