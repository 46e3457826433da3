"""Handles of processes: they tell an end, carry signals, and never mean somebody else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from shm_exchange.runtime import pidfd
from shm_exchange.runtime.launch import environment

if TYPE_CHECKING:
    from collections.abc import Iterator

IGNORE = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
WAIT = "print(os.getpid(), flush=True); sys.stdin.read()"


@contextmanager
def _child(program: str) -> Iterator[subprocess.Popen[str]]:
    """A child that has said its first line, which is its pid."""
    command = [sys.executable, "-c", "import os, sys; " + program]
    with subprocess.Popen(command, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == str(process.pid)
        yield process
        process.kill()


@pytest.mark.parametrize(
    ("returncode", "words"),
    [(0, "exit code 0"), (3, "exit code 3"), (-9, "killed by SIGKILL"), (-11, "killed by SIGSEGV"), (-63, "killed by signal 63")],
)
def test_an_exit_in_words(returncode: int, words: str) -> None:
    assert pidfd.describe_exit(returncode) == words


def test_a_handle_tells_the_end() -> None:
    with _child(WAIT) as child:
        handle = pidfd.open_pidfd(child.pid)
        assert not pidfd.has_ended(handle)
        assert not pidfd.has_ended(handle, 0.01)
        child.kill()
        assert pidfd.has_ended(handle, 10)
        child.wait()
        assert pidfd.has_ended(handle)
        pidfd.send(handle, signal.SIGTERM)
        with pytest.raises(ProcessLookupError):
            pidfd.open_pidfd(child.pid)
        assert pidfd.open_pidfds([child.pid]) == {}
        os.close(handle)


@pytest.mark.parametrize(("program", "number"), [(WAIT, signal.SIGTERM), (IGNORE + WAIT, signal.SIGKILL)])
def test_an_end_is_asked_for_and_then_taken(program: str, number: signal.Signals) -> None:
    with _child(program) as child:
        handle = pidfd.open_pidfd(child.pid)
        pidfd.end(handle, 0.05 if number == signal.SIGKILL else 10)
        assert child.wait() == -number
        os.close(handle)


def test_only_what_is_ready_is_readable() -> None:
    reader, writer = os.pipe()
    other, _writer = os.pipe()
    assert pidfd.readable((reader, other), 0) == set()
    os.write(writer, b"x")
    assert pidfd.readable((reader, other), None) == {reader}
    os.read(reader, 1)
    os.close(writer)
    assert pidfd.readable((reader, other), None) == {reader}
    for fd in (reader, other, _writer):
        os.close(fd)


@pytest.mark.parametrize("program", ["", IGNORE])
def test_a_process_ends_with_another(program: str) -> None:
    with _child(WAIT) as parent:
        ends = f"{program}from shm_exchange.runtime.pidfd import end_with; end_with([os.getppid(), {parent.pid}], 0.05); {WAIT}"
        with _child(ends) as child:
            assert child.poll() is None
            parent.kill()
            assert child.wait(10) == (-signal.SIGKILL if program else -signal.SIGTERM)


def test_whose_parent_has_ended_already_is_told() -> None:
    with _child(WAIT) as parent:
        parent.kill()
        parent.wait()
        with pytest.raises(ProcessLookupError):
            pidfd.end_with([parent.pid], 1)
