"""The report folder: complete, readable by others' tools, self-contained, and honest about what the samples cannot say."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.measurement import Measurement
from bench.report import check_folder, write_report
from bench.report.hdr import from_hdr, to_hdr, write_log
from bench.report.summary import curve, density, summary
from bench.report.words import count, duration, figure, slug, title
from shm_exchange.domain.errors import ConfigError
from shm_exchange.participants.histogram import BUCKETS, lowest_values, new_histogram, observe, percentiles
from tests.bench.test_environment import QUIET

CARD = QUIET | {
    "cpu_model": "Test & Sons <CPU>",
    "cores_online": 4,
    "l2_bytes": None,
    "l3_bytes": None,
    "huge_pages_shared": None,
    "shared_memory_bytes": 1 << 33,
    "kernel": "Linux",
    "python": "3.11",
    "numba": "1",
    "llvmlite": "1",
    "numpy": "1",
}
COMMAND = "python -m bench latency --rates 100 --report 'a <b>'"


def counted(*values):
    counts = new_histogram()
    for value in values:
        observe(counts, value)
    return counts


def example():
    samples = np.random.default_rng(1).lognormal(6, 0.3, 3000).astype(np.int64)
    return Measurement(
        figures={"order_rtt_ns_p50": 376, "orders_per_second": 10_500_000.0, "rows": [{"name": "<script>", "p99": None}], "part": {"dropped": 0}},
        histograms={"open loop, 100,000/s": counted(*samples), "open loop 100000 s": counted(1, 2), "empty": new_histogram()},
        stages={"p50": {"planned → enqueued": 40.0, "matched": 60.0}, "p99": {"planned → enqueued": 1.0, "matched": 1e6}},
        curve=[
            {"rate": 1000, "achieved": 1000, "p50": 300, "p99": 500, "p99.9": None, "dropped": 0, "knee": True},
            {"rate": 2000, "achieved": 1900, "p50": 400, "p99": 50_000, "p99.9": None, "dropped": 5, "knee": False},
        ],
        warnings=["too few samples & no cores"],
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("report") / "new" / "folder"
    write_report(made, "latency", example(), CARD, COMMAND, lambda _text: None)
    return made


class Page(HTMLParser):
    """Everything that a browser would load, and all text."""

    def __init__(self):
        super().__init__()
        self.loads, self.text, self.open = [], [], []

    def handle_starttag(self, tag, attrs):
        self.loads += [value for key, value in attrs if key in ("src", "srcset", "href", "data", "action")]
        if tag not in ("meta", "img", "source", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


@pytest.mark.long
def test_the_folder_holds_data_logs_pictures_and_page(folder):
    names = {path.name for path in folder.iterdir()}
    stems = {"open-loop-100000-s", "open-loop-100000-s-2", "empty"}
    logs = {stem + suffix for stem in stems for suffix in (".hlog", ".hgrm")}
    assert names == {"result.json", "report.html", "percentiles.png", "stages.png", "sweep.png", "histograms.png"} | logs
    assert all((folder / name).read_bytes().startswith(b"\x89PNG") for name in names if name.endswith(".png"))


def test_the_result_says_everything_in_json(folder):
    result = json.loads((folder / "result.json").read_text())
    made = example()
    assert result["figures"] == made.figures
    assert (result["stages"], result["curve"], result["environment"]) == (made.stages, made.curve, CARD)
    assert (result["name"], result["command"]) == ("latency", COMMAND)
    assert result["warnings"] == ["too few samples & no cores"]
    assert result["histograms"]["open loop, 100,000/s"]["samples"] == 3000


def test_the_page_stands_alone_and_says_all(folder):
    page = Page()
    page.feed((folder / "report.html").read_text())
    assert not page.open
    assert len(page.loads) == 4 * 4
    assert all(load.startswith("data:image/png;base64,") for load in page.loads)
    assert not re.search(r"url\(|@import|<script", (folder / "report.html").read_text())
    text = " ".join(page.text)
    for said in ("376 ns", "10,500,000", "<script>", "too few samples & no cores", COMMAND, "Test & Sons <CPU>", "50 µs", "–", "0123456789ab"):
        assert said in text
    assert text.index("too few samples") < text.index("376 ns") < text.index("Test & Sons <CPU>, L2")


def test_a_second_report_replaces_the_first_and_nothing_else(folder, tmp_path):
    target = tmp_path / "report"
    target.mkdir()
    for name in ("result.json", "report.html", "sweep.png", "old.hlog", "old.hgrm"):
        (target / name).write_text("old")
    write_report(target, "throughput", Measurement({"orders_per_second": 1}), CARD, COMMAND, lambda _text: None)
    assert {path.name for path in target.iterdir()} == {"result.json", "report.html"}
    (target / "thesis.tex").touch()
    with pytest.raises(ConfigError, match=r"thesis\.tex.*new or empty folder"):
        check_folder(target)
    with pytest.raises(ConfigError, match="another folder"):
        check_folder(target / "thesis.tex")


def test_a_bad_folder_is_refused_before_anything_is_measured(tmp_path):
    (tmp_path / "thesis.tex").touch()
    command = [sys.executable, "-m", "bench", "throughput", "--json", "--report", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "thesis.tex" in done.stderr


values = st.one_of(st.integers(0, 300), st.integers(0, (1 << 62) - 1), st.integers(0, 60).map(lambda power: 1 << power))


@settings(max_examples=20)
@given(st.lists(values, min_size=1, max_size=30))
def test_hdr_logs_lose_nothing(samples):
    counts = counted(*samples)
    decoded = HdrHistogram.decode(to_hdr(counts).encode())
    assert decoded.get_total_count() == len(samples)
    assert np.array_equal(from_hdr(decoded), counts)
    for percent in (1.0, 50.0, 99.0, 100.0):
        [ours] = percentiles(counts, [percent])
        theirs = decoded.get_value_at_percentile(percent)
        rank = int(percent * len(samples) / 100 + 0.5) or 1  # theirs rounds to the nearest rank, ours up
        if rank == max(1, -(-percent * len(samples) // 100)):
            assert abs(theirs - ours) <= ours / 500 + 1


def test_every_bucket_survives_the_log(tmp_path):
    counts = np.arange(BUCKETS, dtype=np.int64) % 5
    counts[-64:] = 0  # beyond 2^62 ns, 146 years
    path = tmp_path / "all.hlog"
    write_log(path, "every bucket", to_hdr(counts), 1_700_000_000.0)
    reader = HistogramLogReader(str(path), HdrHistogram(1, (1 << 62) - 1, 3))
    assert np.array_equal(from_hdr(reader.get_next_interval_histogram()), counts)
    assert reader.get_next_interval_histogram() is None
    reader.close()


def test_lowest_values_are_where_buckets_begin():
    lowest = lowest_values()
    for bucket in (0, 1, 127, 128, 129, 191, 192, 1000, BUCKETS - 1):
        assert np.flatnonzero(counted(int(lowest[bucket]))) == [bucket]
        if bucket:
            assert np.flatnonzero(counted(int(lowest[bucket]) - 1)) == [bucket - 1]


def test_a_percentile_needs_ten_samples_behind_it():
    found = summary(counted(*range(1000)))
    assert (found["samples"], found["p50"], found["p99"], found["p99.9"]) == (1000, 498, 988, None)
    assert summary(counted(*range(999)))["p99"] is None
    assert summary(new_histogram()) == {"samples": 0, "p50": None, "p90": None, "p99": None, "p99.9": None, "p99.99": None, "max": None}


@given(st.lists(values, min_size=1, max_size=200))
def test_curves_rise_and_bars_hold_every_sample(samples):
    counts = counted(*samples)
    rarity, nanoseconds, solid = curve(counts)
    assert np.all(np.diff(rarity) > 0)
    assert np.all(np.diff(nanoseconds) > 0)
    assert 0 <= solid < len(rarity)
    edges, heights = density(counts, 12)
    assert np.all(np.diff(edges) > 0)
    assert (heights * np.log2(edges[1:] / edges[:-1])).sum() == pytest.approx(len(samples))


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (duration(376), "376 ns"),
        (duration(1240), "1.24 µs"),
        (duration(200e6), "200 ms"),
        (duration(0.25), "0.25 ns"),
        (duration(None), "–"),
        (count(10_500_000), "10.5 M"),
        (count(950), "950"),
        (figure("orders_per_second", 1234567.8), "1,234,568"),
        (figure("order_rtt_ns_p50", 1240), "1.24 µs"),
        (figure("commands", 2_000_000), "2,000,000"),
        (figure("shared", True), "yes"),
        (figure("runs", [1, 2]), "1, 2"),
        (figure("slower_percent", 10.31), "10.3 %"),
        (title("order_rtt_ns_p50"), "order rtt p50"),
        (slug("open loop, 100,000/s"), "open-loop-100000-s"),
        (slug("µ"), "histogram"),
    ],
)
def test_words(made, text):
    assert made == text
