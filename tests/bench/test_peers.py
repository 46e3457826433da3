"""`bench peers`: one flow through every engine, ours beside them; whoever cannot be had or fails costs its row alone, in words."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from bench.flow import generate
from bench.peers.command import OURS_ANSWERED, OURS_BATCH, OURS_STREAMED, PEERS, Peer, as_tuples, measure
from bench.peers.environments import Unavailable, environment, reason
from bench.peers.play import latencies, play, rate
from shm_exchange.domain.enums import EventKind
from tests.bench import fake_engines, naive

ROOT = Path(__file__).parents[2]
COUNT, SEED = 600, 5
WHEEL = "throw_away_engine-1.0-py3-none-any.whl"


@pytest.fixture(scope="module")
def flow():
    return generate("normal", SEED, COUNT)


@pytest.fixture(scope="module")
def trades(flow):
    """What a naive matcher makes of it."""
    return naive.run(flow, 1, 2).matches


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A package made by hand; it leaves a note of the environment that it ran in."""
    folder = tmp_path_factory.mktemp("wheel")
    info = "throw_away_engine-1.0.dist-info"
    code = f"import pathlib\ndef said_in(prefix):\n    pathlib.Path({str(folder / 'prefix')!r}).write_text(prefix)\n"
    with zipfile.ZipFile(folder / WHEEL, "w") as archive:
        archive.writestr("throw_away_engine.py", code)
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: throw-away-engine\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return folder / WHEEL


@pytest.fixture(scope="module")
def made(flow, wheel, tmp_path_factory):
    absent = tmp_path_factory.mktemp("none") / "absent-1.0-py3-none-any.whl"
    peers = {
        "right": Peer(None, "tests.bench.fake_engines", "Python"),
        "wrong": Peer(None, "tests.bench.fake_wrong", "Python"),
        "failing": Peer(None, "tests.bench.no_such_adapter", "Python"),
        "absent": Peer(str(absent), "tests.bench.fake_engines", "Python"),
        "installed": Peer(str(wheel), "tests.bench.fake_installed", "Python", "tells no trades"),
    }
    return measure(peers, flow, 60.0, lambda _text: None)


def row(made, name):
    [found] = [row for row in made.figures["engines"] if row["name"] == name]
    return found


@pytest.mark.parametrize("name", [pytest.param(OURS_BATCH, marks=pytest.mark.long), OURS_STREAMED, OURS_ANSWERED, "right"])
def test_rows_have_figures_and_agree_with_a_naive_matcher(made, flow, trades, name):
    found = row(made, name)
    assert (found["messages"], found["trades"], found["agrees"], found["stopped_early"]) == (len(flow), trades, True, False)
    assert found["messages_per_second"] > 0
    if name != OURS_BATCH:
        assert found["latency_ns_p50"] <= found["latency_ns_p99"] <= found["latency_ns_max"]
    assert made.figures["trades"] == trades > 20


def test_who_trades_otherwise_is_named(made, trades):
    assert (row(made, "wrong")["trades"], row(made, "wrong")["agrees"]) == (trades + 1, False)
    assert any(text.startswith("wrong traded") for text in made.warnings)


def test_who_fails_or_is_not_to_be_had_says_why(made):
    assert "no_such_adapter" in row(made, "failing")["unavailable"]
    assert "could not be installed" in row(made, "absent")["unavailable"]
    assert sum("has no figures" in text for text in made.warnings) == 2
    assert "messages_per_second" not in row(made, "failing")


def test_an_environment_is_made_and_thrown_away(made, wheel):
    assert row(made, "installed")["agrees"] is None
    assert "tells no trades" in row(made, "installed")["calls"]
    prefix = Path((wheel.parent / "prefix").read_text())
    assert prefix != Path(sys.prefix)
    assert not prefix.exists()
    with pytest.raises(ImportError):
        importlib.import_module("throw_away_engine")


def test_figures_fit_json(made):
    assert json.loads(json.dumps(made.figures)) == made.figures


def test_a_slow_engine_is_stopped_and_measured_as_far_as_it_came(flow):
    messages = as_tuples(flow)
    played, taken = rate(fake_engines.Adapter(), messages, 0.0)
    assert 0 < played < len(messages)
    assert taken > 0
    assert len(latencies(fake_engines.Adapter(), messages, 0.0)) < len(messages)


def test_the_trades_expected_of_a_stopped_engine_are_those_of_its_messages(flow):
    from bench.peers.ours import trades_by_message

    told = naive.run(flow, 1, 2)
    expected = trades_by_message(told.reports(), len(flow))
    engine, messages = fake_engines.Adapter(), as_tuples(flow)
    for index, message in enumerate(messages):
        play(engine, [message])
        assert engine.trades() == expected[index]
    assert np.count_nonzero(told.reports()["kind"] == EventKind.EXECUTED) == 2 * expected[-1]


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("WARNING: Retrying (Retry(total=0)) after NewConnectionError\nERROR: No matching distribution found for x", "no network"),
        ("ERROR: Could not find a version that satisfies the requirement x", "no release of it"),
        ("error: subprocess-exited-with-error\n  gcc: not found", "could not be built here"),
        ("WARNING: old pip\nERROR: disk full", "ERROR: disk full"),
        ("", "it said nothing"),
    ],
)
def test_pips_words_become_a_reason(said, words):
    assert words in reason(said)


def test_an_environment_that_cannot_be_made_is_unavailable(tmp_path):
    with pytest.raises(Unavailable, match="could not be installed"), environment(str(tmp_path / "none-1.0-py3-none-any.whl")):
        pass


def test_every_peer_has_an_adapter_that_needs_only_its_engine():
    for name, peer in PEERS.items():
        assert peer.requirement
        assert peer.requirement.partition("==")[0].partition("[")[0] == name
        assert issubclass(importlib.import_module(peer.adapter).Adapter, object)
    loaded = "import bench.peers.play, sys; raise SystemExit('numpy' in sys.modules or 'shm_exchange' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", loaded], cwd=ROOT, check=False).returncode == 0


@pytest.mark.long
def test_a_real_peer_agrees():
    command = [sys.executable, "-m", "bench", "peers", "--only", "obook", "--count", "3000", "--json"]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["engines"][-1]
    if "unavailable" in found:
        pytest.skip(found["unavailable"])
    assert (found["name"], found["agrees"]) == ("obook", True)
