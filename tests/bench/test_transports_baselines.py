"""The baselines measure something, and a transport that is missing or fails costs its row alone."""

from __future__ import annotations

import sys

import pytest

from bench import transports_baselines
from bench.transports_baselines import FasterFifoLink, PipeLink, QueueLink, baselines


class BrokenLink:
    def __init__(self, context):
        pass

    def send(self, records):
        raise SystemExit(1)

    def receive(self):
        raise SystemExit(1)


@pytest.fixture
def only(monkeypatch):
    return lambda **makes: monkeypatch.setattr(transports_baselines, "TRANSPORTS", makes)


@pytest.mark.parametrize("make", [PipeLink, pytest.param(QueueLink, marks=pytest.mark.long)])
def test_a_row_has_both_figures(only, make):
    only(transport=make)
    [row] = baselines(2000, 0.2)
    assert row.keys() == {"name", "messages_per_second", "rtt_ns_p50"}
    assert row["name"] == "transport"
    assert row["messages_per_second"] > 0
    assert row["rtt_ns_p50"] > 0


def test_faster_fifo_has_both_figures_where_it_is_installed(only):
    pytest.importorskip("faster_fifo")
    only(transport=FasterFifoLink)
    [row] = baselines(2000, 0.2)
    assert row["messages_per_second"] > 0
    assert row["rtt_ns_p50"] > 0


def test_what_is_missing_or_fails_is_unavailable(only, monkeypatch, capfd):
    monkeypatch.setitem(sys.modules, "faster_fifo", None)
    only(missing=FasterFifoLink, broken=BrokenLink)
    missing, broken = baselines(100, 0.1)
    assert "faster_fifo is not installed" in missing["unavailable"]
    assert "ended without a result" in broken["unavailable"]
    assert missing["messages_per_second"] is broken["rtt_ns_p50"] is None
