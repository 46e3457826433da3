"""Percentiles by definition, and runs merged."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.statistics import median, merge_runs, percentile, percentiles


def test_percentiles_are_samples_at_nearest_rank():
    samples = np.random.RandomState(1).permutation(np.arange(1, 100_001))
    assert percentiles(samples) == {
        "p50": 50_000,
        "p90": 90_000,
        "p99": 99_000,
        "p99.9": 99_900,
        "p99.99": 99_990,
        "max": 100_000,
        "samples": 100_000,
    }


@pytest.mark.parametrize(
    ("count", "known"), [(0, 0), (19, 0), (20, 1), (99, 1), (100, 2), (999, 2), (1000, 3), (10_000, 4), (99_999, 4), (100_000, 5)]
)
def test_a_percentile_needs_ten_samples_above_it(count, known):
    found = percentiles(np.zeros(count, np.int64), ("50", "90", "99", "99.9", "99.99"))
    assert [found[f"p{percent}"] is not None for percent in ("50", "90", "99", "99.9", "99.99")] == [True] * known + [False] * (5 - known)


@given(st.lists(st.integers(0, 50), min_size=20, max_size=200))
def test_half_of_the_samples_lie_at_or_below_the_median(samples):
    middle = percentile(np.array(samples), "50")
    assert sorted(samples)[math.ceil(len(samples) / 2) - 1] == middle


def test_the_samples_are_not_reordered():
    samples = np.arange(30)[::-1].copy()
    percentile(samples, "50")
    assert samples[0] == 29


@pytest.mark.parametrize(("values", "middle"), [([3, 1, 2], 2), ([1, 2], 1.5), ([1, 3], 2), ([1.0, 3.0], 2.0)])
def test_median_of_runs(values, middle):
    assert median(values) == middle
    assert type(median(values)) is type(middle)


def test_runs_are_merged_by_their_medians():
    runs = [
        {"name": "ring", "rate": rate, "ok": True, "host": f"h{rate}", "p99": p99, "latency": {"p50": rate}, **extra}
        for rate, p99, extra in ((3, None, {}), (1, 5, {"retries": 1}), (2, 6, {}))
    ]
    assert merge_runs(runs) == {"name": "ring", "rate": 2, "ok": True, "latency": {"p50": 2}, "runs": runs}


def test_one_run_is_its_own_median():
    assert merge_runs([{"rate": 5, "p99": None}]) == {"rate": 5, "p99": None, "runs": [{"rate": 5, "p99": None}]}
