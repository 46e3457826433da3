"""Histograms of the kernels against HdrHistogram, merged, corrected, and read by percentiles that admit what they do not know."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.corrected import corrected, count_values
from bench.statistics import percentiles, recorded_percentiles
from shm_exchange.participants import histogram
from shm_exchange.participants.histogram import BUCKETS, lowest_values, middle_values, new_histogram
from shm_exchange.participants.memory import SharedTable, open_table

HIGHEST = 1 << 62
DIGITS = 3
COUNT = np.dtype([("count", "i8")])
nanoseconds = st.integers(0, HIGHEST) | st.integers(0, 63).map(lambda bits: (1 << bits) - 1) | st.integers(0, 1 << 20)


def counted(values: list[int]) -> np.ndarray:
    counts = new_histogram()
    count_values(counts, np.array(values, np.int64), np.ones(len(values), np.int64), 0)
    return counts


def width(value: int) -> int:
    """Of the bucket that a value lies in: 1/64 of its power of two."""
    return max(1, (1 << (value.bit_length() - 1)) // 64) if value else 1


@given(st.lists(nanoseconds, min_size=1, max_size=300), st.data())
def test_percentiles_are_those_of_hdrhistogram_within_a_bucket(values, data):
    hdrh = pytest.importorskip("hdrh.histogram")
    reference = hdrh.HdrHistogram(1, 1 << 63, DIGITS)
    for value in values:
        reference.record_value(value)
    rank = data.draw(st.integers(1, len(values)))
    percent = 100 * rank / len(values)
    [ours] = histogram.percentiles(counted(values), [percent])
    theirs = reference.get_value_at_percentile(percent)
    true = sorted(values)[rank - 1]
    assert abs(ours - true) <= width(true)
    assert abs(ours - theirs) <= width(true) + true // 10**DIGITS + 1


@given(st.lists(nanoseconds, max_size=100), st.lists(nanoseconds, max_size=100))
def test_merging_adds_up(one, other):
    assert np.array_equal(counted(one) + counted(other), counted(one + other))
    assert counted(one + other).sum() == len(one) + len(other)


def test_every_bucket_has_its_value():
    values = middle_values().tolist()
    assert values == sorted(set(values))
    assert np.array_equal(counted(values), np.ones(BUCKETS))


@given(nanoseconds)
def test_a_bucket_lies_between_its_lowest_value_and_the_next(value):
    [bucket] = np.flatnonzero(counted([value]))
    lowest = [*lowest_values().tolist(), 1 << 63]
    assert lowest[bucket] <= value < lowest[bucket + 1]


@pytest.mark.parametrize("count", [0, 19, 20, 99, 100, 999, 1000, 100_000])
def test_recorded_percentiles_are_refused_exactly_where_those_of_samples_are(count):
    samples = np.arange(count)
    known, recorded = percentiles(samples), recorded_percentiles(counted(samples.tolist()))
    assert known.keys() == recorded.keys()
    for name, value in known.items():
        assert recorded[name] == (value if value is None else pytest.approx(value, rel=0.01))


@given(st.lists(st.integers(0, 100), min_size=1, max_size=30), st.integers(1, 30))
def test_the_correction_puts_back_what_each_answer_kept_from_being_sent(values, interval):
    missing = [value - step for value in values for step in range(interval, value - interval + 1, interval)]
    assert np.array_equal(corrected(counted(values), interval), counted(values + missing))


def test_a_stall_of_a_millisecond_at_one_microsecond_is_a_thousand_samples():
    counts = corrected(counted([1 << 20]), 1 << 10)
    assert counts.sum() == pytest.approx(1024, rel=0.01)
    assert histogram.percentiles(counts, [50])[0] == pytest.approx(1 << 19, rel=0.02)


def test_another_process_records_into_our_memory():
    program = (
        "import sys, numpy as np; from bench.corrected import count_values; from shm_exchange.participants.memory import open_table;"
        "count_values(open_table(sys.argv[1], np.dtype([('count', 'i8')]))['count'], np.array([7, 7, 1 << 40]), np.ones(3, np.int64), 0)"
    )
    with closing(SharedTable("recorder", COUNT, BUCKETS)) as shared:
        subprocess.run([sys.executable, "-c", program, shared.path], check=True)
        assert np.array_equal(shared.rows["count"], counted([7, 7, 1 << 40]))


def test_memory_that_was_closed_cannot_be_opened_any_more():
    with closing(SharedTable("recorder", COUNT, 4)) as shared:
        assert len(open_table(shared.path, COUNT)) == 4
    with pytest.raises(FileNotFoundError):
        open_table(shared.path, COUNT)
