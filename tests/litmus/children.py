"""Processes that trade or watch while a test looks on. They are forked from a server that has imported everything once, and nothing of the test.

A child runs a function of `tests.litmus.programs` that gets its end of a pipe first. What it says is heard in order; when it dies the pipe tells.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import pytest

from tests.litmus.waiting import PATIENCE, state_of

Program = Callable[..., None]

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["tests.litmus.warm"])


class Trouble(str):
    """The traceback of a child."""

    __slots__ = ()


def _run(program: Program, pipe: Connection, arguments: tuple[Any, ...]) -> None:
    try:
        program(pipe, *arguments)
    except BaseException:
        pipe.send(Trouble(traceback.format_exc()))
        raise


class Child:
    """A running program."""

    def __init__(self, program: Program, *arguments: Any) -> None:
        self._pipe, theirs = _context.Pipe()
        self._process = _context.Process(target=_run, args=(program, theirs, arguments), daemon=True)
        self._process.start()
        theirs.close()
        assert self._process.pid is not None
        self.pid = self._process.pid

    def hear(self) -> Any:
        """What it says next. Fails the test with the child's traceback, or with what it does when it says nothing."""
        if not self._pipe.poll(PATIENCE):
            pytest.fail(f"child {self.pid} said nothing for {PATIENCE:g} s; its state is {state_of(self.pid)!r}")
        said = self._pipe.recv()
        if isinstance(said, Trouble):
            pytest.fail(f"child {self.pid} failed:\n{said}")
        return said

    def said(self) -> list[Any]:
        """All that it has said by now, without waiting."""
        words = []
        while self._pipe.poll():
            words.append(self.hear())
        return words

    def tell(self, *words: Any) -> None:
        """Send it something; as a rule: go on."""
        self._pipe.send(words)

    def kill(self) -> None:
        """SIGKILL, and wait until the kernel has taken everything from it."""
        os.kill(self.pid, signal.SIGKILL)
        self.end()

    def end(self) -> int:
        """Wait for its end; its exit status, negative for a signal."""
        self._process.join(PATIENCE)
        if self._process.exitcode is None:
            pytest.fail(f"child {self.pid} did not end within {PATIENCE:g} s; its state is {state_of(self.pid)!r}")
        return self._process.exitcode

    def close(self) -> None:
        """Whatever it does: it ends now."""
        if self._process.exitcode is None:
            self._process.kill()
            self._process.join()
        self._pipe.close()
        self._process.close()
