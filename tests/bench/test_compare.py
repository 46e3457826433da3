"""`bench compare`: equal builds are "no difference", a slower one is found, and what cannot be compared is refused in words."""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.compare import runs, trees
from bench.compare.command import add_arguments, failed, run
from bench.compare.quiet import watched
from bench.compare.runs import MEASURES, best, in_turns, is_rate, pick
from bench.compare.verdict import ROUNDS_MIN, judge
from bench.measurement import Measurement
from shm_exchange.domain.errors import ConfigError

ROOT = Path(__file__).parents[2]
NOISE = {
    "calm": lambda random, count: 0.02 * random.standard_normal(count),
    "fat tails": lambda random, count: 0.02 * random.standard_t(3, count),
    "a busy host": lambda random, count: 0.02 * random.standard_normal(count) + 0.4 * (random.random(count) < 0.1) * random.random(count),
    "drift": lambda random, count: 0.02 * random.standard_normal(count) + np.linspace(0, 0.3, count),
    "a wandering clock": lambda random, count: 0.02 * random.standard_normal(count) + np.cumsum(0.02 * random.standard_normal(count)),
    "going second costs": lambda random, count: 0.02 * random.standard_normal(count) + 0.1 * (np.arange(count) % 2),
}
TRIALS = 200


def in_order(logarithms, slowdown=1.0):
    """Times of A and B, from those of the runs in the order A B, B A, and so on."""
    first, second = np.exp(logarithms[0::2]), np.exp(logarithms[1::2])
    a_begins = np.arange(len(first)) % 2 == 0
    return np.where(a_begins, first, second), slowdown * np.where(a_begins, second, first)


def share_found(noise, rounds, slowdown):
    random = np.random.default_rng(1)
    found = [judge(*in_order(NOISE[noise](random, 2 * rounds), slowdown), resamples=999, seed=trial).differs for trial in range(TRIALS)]
    return np.mean(found)


@pytest.mark.parametrize("noise", NOISE)
def test_equal_builds_are_seldom_called_different(noise):
    assert share_found(noise, 16, 1.0) <= 0.03  # 1 % is promised; 200 trials cannot tell it from 3


@pytest.mark.parametrize("noise", NOISE)
def test_ten_percent_are_found(noise):
    assert share_found(noise, 16, 1.1) >= (0.65 if noise == "a busy host" else 0.95)


times = st.lists(st.floats(0.5, 2.0), min_size=24, max_size=24)


@given(times, st.floats(0.1, 10))
def test_units_and_names_do_not_matter(values, unit):
    a, b = values[:12], values[12:]
    one, swapped = judge(a, b, resamples=199), judge(b, a, resamples=199)
    scaled = judge([unit * time for time in a], [unit * time for time in b], resamples=199)
    assert one.low <= one.ratio <= one.high
    assert scaled[:4] == pytest.approx(one[:4], rel=1e-6)
    assert (1 / swapped.ratio, 1 / swapped.high, 1 / swapped.low) == pytest.approx((one.ratio, one.low, one.high), rel=1e-6)


@given(times, st.floats(0.5, 2.0))
def test_what_going_second_costs_does_not_count(values, cost):
    a, b = values[:12], values[12:]
    burdened_a = [time if number % 2 == 0 else time * cost for number, time in enumerate(a)]
    burdened_b = [time * cost if number % 2 == 0 else time for number, time in enumerate(b)]
    plain, burdened = judge(a, b, resamples=199), judge(burdened_a, burdened_b, resamples=199)
    assert burdened[:4] == pytest.approx(plain[:4], rel=1e-6)


def test_one_disturbed_run_decides_nothing():
    random = np.random.default_rng(3)
    a, b = in_order(0.01 * random.standard_normal(32))
    b[5] *= 50
    assert not judge(a, b).differs
    assert judge(a, 1.1 * b).differs


def test_the_sentence_says_which_way_and_how_far():
    a, b = in_order(0.005 * np.random.default_rng(4).standard_normal(32))
    slower, faster, same = judge(a, 1.1 * b), judge(1.1 * a, b), judge(a, a)
    assert slower.sentence().startswith("B is 10.")
    assert " % slower (" in slower.sentence()
    assert " % faster (" in faster.sentence()
    assert same.sentence() == "no difference: B / A is 1.000 (1.000–1.000); 0.0 % would have been found"
    assert judge(a, b).sentence().startswith("no difference: B / A is")


@pytest.mark.parametrize(
    ("a", "b", "word"),
    [([1.0] * 6, [1.0] * 6, f"{ROUNDS_MIN}"), ([1.0] * 9, [1.0] * 9, "even number"), ([1.0] * 8, [1.0] * 7 + [math.inf], "no positive figure")],
)
def test_rounds_that_decide_nothing_are_refused(a, b, word):
    with pytest.raises(ConfigError, match=word):
        judge(a, b)


def test_runs_take_turns_and_warm_up_uncounted():
    made, order = iter(range(100)), []

    def made_up(tree):
        order.append(tree)
        return next(made)

    a, b = (trees.Tree(name, Path(), None, None) for name in "ab")
    figures = in_turns(a, b, 3, made_up, lambda _text: None)
    assert [tree.given for tree in order] == list("ab" + "ab" + "ba" + "ab")
    assert figures == ([2, 5, 6], [3, 4, 7], 0)


def test_a_disturbed_round_is_tried_again_in_the_same_order(monkeypatch):
    shares = iter([0.0, 0.5, 0.0, 0.0, 0.3, 0.9, 0.2, 0.2, 0.4, 0.0])
    monkeypatch.setattr(runs, "watched", lambda run: (run(), next(shares)))
    made, order = iter(range(100)), []

    def made_up(tree):
        order.append(tree.given)
        return next(made)

    a, b = (trees.Tree(name, Path(), None, None) for name in "ab")
    figures = in_turns(a, b, 2, made_up, lambda _text: None)
    assert order == list("ab" + "abab" + "bababa")
    assert figures == ([4, 9], [5, 8], 1)  # the first round's second try; of the second round's three the quietest, still disturbed


def test_what_others_use_is_seen_and_our_own_work_is_not():
    burn = "import time; end = time.process_time() + 0.6\nwhile time.process_time() < end: pass"
    ours = watched(lambda: subprocess.run([sys.executable, "-c", burn], check=True))[1]
    other = subprocess.Popen([sys.executable, "-c", burn.replace("0.6", "30")])
    try:
        theirs = watched(lambda: time.sleep(0.8))[1]
    finally:
        other.kill()
        other.wait()
    assert theirs > 0.05
    if not os.getloadavg()[0] > 1:
        assert ours < theirs
    assert watched(lambda: 7) == (7, 0.0)


def test_figures_are_picked_by_path_and_the_best_run_counts():
    result = {"p50": 5, "rows": [{"per_second": 7.5}], "name": "lane"}
    assert (pick(result, "p50"), pick(result, "rows.0.per_second")) == (5, 7.5)
    several = {"runs": [{"p50": 4, "orders_per_second": 1}, {"p50": 3, "orders_per_second": 9}], "p50": 3.5, "orders_per_second": 5}
    assert (best(several, "p50"), best(several, "orders_per_second"), best({"p50": 2, "runs": [1, 2]}, "p50")) == (3, 9, 2)
    for path, word in (("p51", "p50, rows, name"), ("rows.1.x", "1 rows"), ("name", "no number"), ("p50.x", "plain value")):
        with pytest.raises(ConfigError, match=word):
            pick(result, path)
    assert is_rate("rows.0.messages_per_second")
    assert not is_rate("order_rtt_ns_p50")


FAKE = """
import json, pathlib, random, sys
count = pathlib.Path("count")
number = int(count.read_text()) if count.exists() else 0
count.write_text(str(number + 1))
noise = random.Random(f"{SEED} {number}").gauss(1.0, 0.01)
print(json.dumps({"orders_per_second": 1e6 / SLOWER * noise, "arguments": sys.argv[1:]}))
"""


def fake_tree(folder, seed, slower):
    for package in ("bench", "shm_exchange"):
        (folder / package).mkdir(parents=True)
        (folder / package / "__init__.py").touch()
    (folder / "bench" / "__main__.py").write_text(f"SEED, SLOWER = {seed}, {slower}\n{FAKE}")
    return str(folder)


def compare(*arguments):
    command = [sys.executable, "-m", "bench", "compare", *map(str, arguments), "--json"]
    return subprocess.run(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False)


@pytest.mark.long
def test_the_command_tells_builds_apart_and_can_fail(tmp_path):
    a, same, slow = (fake_tree(tmp_path / name, seed, slower) for name, seed, slower in (("a", 1, 1.0), ("b", 2, 1.0), ("c", 3, 1.1)))
    equal = compare(a, same, "--rounds", 8, "--fail-if-slower", 5)
    assert (equal.returncode, equal.stdout.count("\n")) == (0, 1), equal.stderr
    figures = json.loads(equal.stdout)
    assert figures["verdict"] == "no difference"
    assert figures["ratio_low"] < 1 < figures["ratio_high"]
    assert figures["smallest_found_percent"] < 10
    assert [row["round"] for row in figures["by_round"]] == list(range(1, 9))
    assert figures["command"].startswith("python -m bench throughput")
    slower = compare(a, slow, "--rounds", 8, "--fail-if-slower", 5)
    assert (slower.returncode, json.loads(slower.stdout)["verdict"]) == (1, "slower")
    assert json.loads(slower.stdout)["slower_percent"] == pytest.approx(10, abs=3)
    measured = Measurement({"verdict": "slower", "slower_percent": 10.0})
    limits = [failed(measured, argparse.Namespace(fail_if_slower=limit)) for limit in (None, 0, 10, 10.1)]
    assert limits == [False, True, True, False]
    assert not failed(Measurement({"verdict": "no difference", "slower_percent": 10.0}), argparse.Namespace(fail_if_slower=0))


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ((ROOT / "tests", "."), "without bench/__main__.py"),
        (("no-such-revision", "."), "neither a folder nor a revision"),
        ((".", ".", "--rounds", 7), "--rounds 8"),
        ((".", ".", "--fail-if-slower", -1), "0 or more"),
    ],
)
def test_what_cannot_be_compared_is_refused(arguments, word):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    with pytest.raises(ConfigError, match=word):
        run(parser.parse_args([*map(str, arguments)]), lambda _text: None)


def test_a_build_that_imports_another_is_refused(tmp_path):
    fake_tree(tmp_path / "a", 1, 1.0)
    shutil.rmtree(tmp_path / "a" / "shm_exchange")
    (tmp_path / "a" / "shm_exchange").symlink_to(ROOT / "shm_exchange")
    with pytest.raises(ConfigError, match="not its own"), trees.trees(str(tmp_path / "a"), str(tmp_path / "a")):
        pass


def test_a_failing_build_says_its_last_line(tmp_path):
    fake_tree(tmp_path / "a", 1, 1.0)
    (tmp_path / "a" / "bench" / "__main__.py").write_text("raise SystemExit('no cores')")
    with pytest.raises(ConfigError, match="ended with 1: no cores"), trees.trees(str(tmp_path / "a"), str(tmp_path / "a")) as (tree, _):
        runs.run_once(tree, ["throughput"], "orders_per_second")


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="needs a git checkout: this is an unpacked source distribution")
def test_a_revision_is_laid_out_and_gone_afterwards():
    with trees.trees("HEAD", str(ROOT)) as (revision, folder):
        laid_out = revision.folder
        assert laid_out != ROOT
        assert (laid_out / "bench" / "__main__.py").is_file()
        assert (revision.revision or "")[:7] == (folder.revision or "")[:7]
    assert not laid_out.exists()
    listed = subprocess.run(["git", "worktree", "list"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert str(laid_out) not in listed


def test_every_measure_is_a_command_with_that_figure():
    from bench.__main__ import _parser

    for name, measure in MEASURES.items():
        size = ["--count", str(measure.size)] if measure.size else []
        assert _parser().parse_args([*measure.arguments, *size]).command == name


DELAY = """
    waste = monotonic_ns() + (monotonic_ns() - began) // 9
    while monotonic_ns() < waste:
        pass
"""


@pytest.fixture(scope="module")
def builds(tmp_path_factory):
    """Two equal copies of this tree, and one whose engine wastes a ninth of the time of every batch."""
    folder = tmp_path_factory.mktemp("builds")
    for name in ("a", "b", "c"):
        for package in ("bench", "shm_exchange"):
            shutil.copytree(ROOT / package, folder / name / package, ignore=shutil.ignore_patterns("__pycache__"))
    rules = folder / "c" / "shm_exchange" / "engine" / "apply.py"
    text = rules.read_text().rstrip() + DELAY
    for found, patched in (
        ("import hash31, prefetch", "import hash31, monotonic_ns, prefetch"),
        ("    first = state", "    began = monotonic_ns()\n    first = state"),
    ):
        assert text.count(found) == 1
        text = text.replace(found, patched)
    rules.write_text(text)
    return {name: str(folder / name) for name in ("a", "b", "c", "kernels")}


@pytest.mark.long
@pytest.mark.timeout(1200)  # kernels are compiled for three builds
@pytest.mark.parametrize(("other", "verdict"), [("b", "no difference"), ("c", "slower")])
def test_real_builds(builds, other, verdict, monkeypatch):
    monkeypatch.setenv("SHM_EXCHANGE_CACHE", builds["kernels"])
    done = compare(builds["a"], builds[other], "--measure", "engine", "--rounds", 8)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["verdict"] == verdict, done.stdout
