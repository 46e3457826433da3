"""Waiting for something that must happen. The limit is a watchdog against hangs, with a diagnosis; it never says how fast anything is."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PATIENCE = 90.0
"""Seconds. Far beyond what anything here takes, because the whole machine may be stopped for a while."""
_NAP_SECONDS = 0.0005


def await_that(condition: Callable[[], object], what: str, diagnosis: Callable[[], object] = str) -> None:
    """Return once the condition holds; fail with the diagnosis when it never does."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"never happened within {PATIENCE:g} s: {what}; {diagnosis()}")
        time.sleep(_NAP_SECONDS)


def state_of(pid: int) -> str:
    """R, S, T (stopped), Z …: the kernel's letter for what a process does; nothing for one that is gone."""
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return ""


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """SIGSTOP, and SIGCONT at the end of the block."""
    os.kill(pid, signal.SIGSTOP)
    try:
        await_that(lambda: state_of(pid) == "T", f"process {pid} stops", lambda: f"its state is {state_of(pid)!r}")
        yield
    finally:
        os.kill(pid, signal.SIGCONT)
