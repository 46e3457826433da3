"""kill -9 of whoever writes, at any moment: what it said to be written is there, the rest is an exact beginning, and the next one goes on.

On a real disk, where a write takes its time.
"""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

import shm_exchange
from shm_exchange.journal.reading import Journal
from tests.journal.logs import contents, history

CHECKOUT = Path(shm_exchange.__file__).parents[1]


def _kill_a_writer(directory: Path, seed: int) -> tuple[int, int]:
    """Let it write for some lines, then kill it; the last thing it said."""
    draw = random.Random(seed)
    command = [sys.executable, "-m", "tests.journal.writing", str(directory), str(seed)]
    with subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(draw.choice([1, 3, 30, 300]))]
        process.kill()
        lines += process.stdout.readlines()
    assert process.returncode == -9
    whole = [line for line in lines if line.endswith("\n")]
    written, durable = map(int, whole[-1].split())
    return written, durable


def _expect_survival(directory: Path, rounds: int) -> None:
    for seed in range(rounds):
        written, durable = _kill_a_writer(directory, seed)
        journal = Journal(directory)
        assert journal.end >= written
        assert journal.durable >= durable
        assert contents(journal, chunk=10_000) == history(0, journal.end)


def test_killed_writers_leave_an_exact_beginning(tmp_path_factory: pytest.TempPathFactory) -> None:
    _expect_survival(tmp_path_factory.mktemp("journal"), 4)


@pytest.mark.long
def test_many_killed_writers_leave_an_exact_beginning(tmp_path_factory: pytest.TempPathFactory) -> None:
    _expect_survival(tmp_path_factory.mktemp("journal"), 60)
