"""The simulator: seeds are clean, a seed is the same every time, and every mistake that was put in is found."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from shm_exchange._jit import INTERPRETED
from tests.sim.mistakes import MISTAKES
from tests.sim.run import Outcome, play, repeat_command
from tests.sim.stage import Stage, staged
from tests.sim.world import playing

pytestmark = pytest.mark.skipif(INTERPRETED, reason="a matcher is never interpreted")

SEEDS, LONG_SEEDS = 16, 10_000
_SEEDS_FOR_A_MISTAKE = 500


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as stage:
        yield stage


def _expect_clean(outcome: Outcome) -> None:
    if outcome.wrong:
        pytest.fail(f"seed {outcome.seed}: {outcome.wrong}\nrepeat it: {repeat_command(outcome.seed)}", pytrace=False)


def test_seeds_are_clean(stage: Stage) -> None:
    outcomes = [play(seed, stage) for seed in range(SEEDS)]
    for outcome in outcomes:
        _expect_clean(outcome)
    happened = {line.split(":")[0] for outcome in outcomes for line in outcome.trace}
    assert {"matcher dies", "keeper dies", "gateway dies", "supervisor dies", "somebody is stopped", "power is lost"} <= happened
    assert sum(outcome.commands for outcome in outcomes) > 50 * SEEDS


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_ten_thousand_seeds_are_clean() -> None:
    command = [sys.executable, "-m", "tests.sim.run", "--seeds", f"0:{LONG_SEEDS}", "--processes", str(os.cpu_count())]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 0, done.stdout


def _digest(seed: int, stage: Stage) -> str:
    """Of all that happened and of the whole log, but for the clock in it."""
    with playing(seed, stage) as world:
        world.run()
        history = world.truth.history[: world.truth.sequence].copy()
        history["time_ns"] = 0
        return sha256("\n".join(world.trace).encode() + history.tobytes()).hexdigest()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_seed_is_the_same_every_time(seed: int, stage: Stage) -> None:
    assert _digest(seed, stage) == _digest(seed, stage)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_found(mistake: str, stage: Stage) -> None:
    made = MISTAKES[mistake]
    with made.replaced():
        for seed in range(made.first_seed, made.first_seed + _SEEDS_FOR_A_MISTAKE):
            if wrong := play(seed, stage, made.cast).wrong:
                assert re.search(made.found, wrong), wrong
                return
    pytest.fail(f"{_SEEDS_FOR_A_MISTAKE} seeds are clean although: {mistake}")
