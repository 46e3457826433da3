"""Which cores we may use, and when nobody may spin."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from shm_exchange.domain.errors import ConfigError
from shm_exchange.runtime.affinity import SPIN_POLLS, checked_cores, parallel_processes, pin, spin_polls_for, usable_cores
from shm_exchange.runtime.launch import environment

if TYPE_CHECKING:
    from pathlib import Path

NOWHERE = 4095


def _narrowed(program: str) -> str:
    """What a program says that may use one core only."""
    lines = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); from shm_exchange.runtime.affinity import *; " + program
    return subprocess.run([sys.executable, "-c", lines], env=environment(), capture_output=True, text=True, check=True).stdout.strip()


def test_the_affinity_mask_says_what_is_usable() -> None:
    assert usable_cores() == tuple(sorted(os.sched_getaffinity(0)))
    assert _narrowed("print(usable_cores())") == f"({usable_cores()[0]},)"


def test_more_processes_than_cores_do_not_spin() -> None:
    assert spin_polls_for(1) == SPIN_POLLS > 0
    assert spin_polls_for(parallel_processes()) == SPIN_POLLS
    assert spin_polls_for(parallel_processes() + 1) == 0
    assert _narrowed("print(spin_polls_for(1) > 0, spin_polls_for(2))") == "True 0"


@pytest.mark.parametrize(
    ("quota", "expected"), [("max 100000", 64), ("50000 100000", 1), ("150000 100000", 1), ("200000 100000", 2), ("rubbish", 64)]
)
def test_a_quota_counts_like_fewer_cores(tmp_path: Path, quota: str, expected: int) -> None:
    folder = tmp_path / "sys/fs/cgroup"
    folder.mkdir(parents=True)
    (folder / "cpu.max").write_text(quota)
    assert parallel_processes(tmp_path) == min(expected, len(usable_cores()))
    assert parallel_processes(tmp_path / "missing") == len(usable_cores())


def test_wanted_cores_are_checked_one_by_one() -> None:
    first = usable_cores()[0]
    assert checked_cores(first) == (first,)
    assert checked_cores([first, first]) == (first, first)
    assert checked_cores([7, 5], usable={5, 7}) == (7, 5)


@pytest.mark.parametrize("wanted", [NOWHERE, [0, NOWHERE], -1, True])
def test_a_core_outside_the_cpuset_is_an_error_that_names_the_usable_ones(wanted: int | list[int]) -> None:
    with pytest.raises(ConfigError, match="cannot be used: this process may run on core") as caught:
        checked_cores(wanted)
    assert all(str(core) in str(caught.value) for core in usable_cores())
    assert "\n" not in str(caught.value)


def test_no_core_at_all_is_an_error() -> None:
    with pytest.raises(ConfigError, match="leave it out"):
        checked_cores([])


def test_pinning() -> None:
    last = usable_cores()[-1]
    assert _narrowed(f"pin({last}); print(usable_cores())") == f"({last},)"
    with pytest.raises(ConfigError, match=f"cannot pin to core {NOWHERE}"):
        pin(NOWHERE)
