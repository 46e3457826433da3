"""Stamps of real orders, and what is made of stamps."""

from __future__ import annotations

import numpy as np
import pytest

from bench.passes import Load
from bench.stages import MOMENTS, STAGES, STAMPS, breakdown, latencies, slowest, stacked_bars
from bench.stamped import stamped_pass

RATE, SECONDS = 20_000, 0.1


@pytest.fixture(scope="module")
def real():
    return stamped_pass(Load(RATE, SECONDS))


def made(stage_ns: np.ndarray) -> np.ndarray:
    """Stamps whose stages last as said: rows of nanoseconds."""
    stamps = np.zeros(len(stage_ns), STAMPS)
    stamps["order_id"] = np.arange(len(stage_ns))
    moments = 1000 + np.cumsum(np.insert(stage_ns, 0, 0, axis=1), axis=1)
    for column, name in enumerate(MOMENTS):
        stamps[name] = moments[:, column]
    return stamps


def test_every_order_has_its_stamps_in_the_order_of_its_way(real):
    done, stamps = real
    assert len(stamps) == done.answered == RATE * SECONDS
    assert (np.diff(stamps["order_id"]) == 1).all()
    for earlier, later in STAGES.values():
        assert (stamps[earlier] > 0).all()
        assert (stamps[earlier] <= stamps[later]).all(), f"{earlier} comes after {later}"


def test_stamps_and_histogram_tell_the_same(real):
    done, stamps = real
    assert done.latencies.sum() == len(stamps)
    assert done.row()["latency_ns_p50"] == pytest.approx(np.sort(latencies(stamps))[len(stamps) // 2 - 1], rel=0.01)


def test_the_slowest_come_first(real):
    _, stamps = real
    found = slowest(stamps, 7)
    assert latencies(found).tolist() == sorted(latencies(stamps).tolist(), reverse=True)[:7]
    assert len(slowest(stamps, 10**9)) == len(stamps)


def test_stages_add_up_to_the_percentile():
    stage_ns = np.random.default_rng(1).integers(1, 1000, (10_000, 4))
    found = breakdown(made(stage_ns))
    assert list(found) == ["p50", "p90", "p99", "p99.9"]
    totals = np.sort(stage_ns.sum(axis=1))
    for percent, parts in found.items():
        assert list(parts) == list(STAGES)
        assert sum(parts.values()) == pytest.approx(totals[int(len(totals) * float(percent[1:]) / 100) - 1], rel=0.01)


def test_a_breakdown_shows_where_the_tail_comes_from():
    stage_ns = np.full((1000, 4), 10)
    stage_ns[:50, 1] = 5000
    found = breakdown(made(stage_ns))
    assert found["p50"]["enqueued → dequeued"] == 10
    assert found["p99"]["enqueued → dequeued"] == 5000


def test_bars_are_as_long_as_each_other_and_show_the_shares():
    text = stacked_bars({"p50": dict.fromkeys(STAGES, 10.0), "p99": dict(zip(STAGES, (0.0, 30.0, 10.0, 20.0), strict=True))})
    heading, half, tail = text.splitlines()
    assert all(stage in heading for stage in STAGES)
    assert [half.count(fill) for fill in "░▒▓█"] == [15, 15, 15, 15]
    assert [tail.count(fill) for fill in "░▒▓█"] == [0, 30, 10, 20]
    assert "60 ns = 0 + 30 + 10 + 20" in tail


def test_no_stamps_no_bars():
    assert breakdown(np.zeros(0, STAMPS)) == {}
    assert stacked_bars({}) == ""
