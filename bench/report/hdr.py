"""Our log-linear counts in HdrHistogram's words, so that its viewers can read them: V2 logs (`.hlog`) and percentile text (`.hgrm`).

Three significant digits give HdrHistogram 1024 buckets to a power of two where we have 64. Each of our counts goes to the middle of its bucket,
and that lies in one of theirs inside ours: nothing is lost, and what is decoded falls into the same bucket again.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogWriter

from shm_exchange.participants.histogram import BUCKETS, Counts, lowest_values, new_histogram

_DIGITS = 3
_HIGHEST = (1 << 62) - 1
_TICKS_A_HALF = 5
_NANOSECONDS = 1.0
"""Unit of both files; scaled ones would have a standard deviation that hdrhistogram 0.10 does not scale."""


def to_hdr(counts: Counts) -> HdrHistogram:
    """A HdrHistogram (1 ns … 146 years, three digits) with the same counts."""
    histogram = HdrHistogram(1, _HIGHEST, _DIGITS)
    lowest = lowest_values()
    highest = np.append(lowest[1:], np.iinfo(np.int64).max)
    for bucket in np.flatnonzero(counts):
        low = int(lowest[bucket])
        histogram.record_value(min(low + (int(highest[bucket]) - low) // 2, _HIGHEST), int(counts[bucket]))
    return histogram


def from_hdr(histogram: HdrHistogram) -> Counts:
    """Our counts of what a HdrHistogram holds."""
    counts = new_histogram()
    lowest = lowest_values()
    for item in histogram.get_recorded_iterator():
        value = histogram.get_lowest_equivalent_value(item.value_iterated_to)
        counts[min(int(np.searchsorted(lowest, value, side="right")) - 1, BUCKETS - 1)] += item.count_at_value_iterated_to
    return counts


def write_log(path: Path, name: str, histogram: HdrHistogram, ended: float) -> None:
    """One interval in one V2 log; `ended`: seconds since the epoch. Values are nanoseconds."""
    text = io.StringIO()
    log = HistogramLogWriter(text)
    log.output_comment(f"[{name}; values in nanoseconds]")
    log.output_log_format_version()
    text.write(f"#[StartTime: {ended:.3f} (seconds since epoch)]\n")
    log.output_legend()
    log.output_interval_histogram(histogram, ended, ended, _NANOSECONDS)
    path.write_text(text.getvalue())


def write_percentiles(path: Path, histogram: HdrHistogram) -> None:
    """The percentile text that HdrHistogram's plotters take; values in nanoseconds."""
    text = io.BytesIO()
    histogram.output_percentile_distribution(text, _NANOSECONDS, _TICKS_A_HALF)
    path.write_bytes(text.getvalue())
