"""The matcher as a child process: started, waited for, and described when it ends.

It has a session of its own and none of our descriptors, so that with `end_with_parent=False` it goes on when its supervisor dies. What it writes on
standard error lies in memory until somebody asks why it died.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

from shm_exchange.domain.errors import ExchangeError, ProcessDied
from shm_exchange.runtime import pidfd
from shm_exchange.runtime.launch import launch, memory_file, memory_text

MODULE = "shm_exchange.matcher"
_DRAIN_SECONDS = 5.0
_GRACE_SECONDS = 2.0
_LINE_BYTES = 4096


class MatcherChild:
    """A running matcher that we started. `close` when it has ended."""

    def __init__(self, name: str, directory: str | Path, core: int | None, *, end_with_parent: bool) -> None:
        arguments = [name, "--directory", str(directory)]
        if core is not None:
            arguments += ["--core", str(core)]
        if end_with_parent:
            arguments += ["--end-with-parent"]
        with ExitStack() as undo:
            self._stderr = memory_file("matcher stderr")
            undo.callback(os.close, self._stderr)
            self._process = launch(MODULE, arguments, stdout=subprocess.PIPE, stderr=self._stderr)
            undo.callback(self._process.kill)
            self.pid = self._process.pid
            self.pidfd = pidfd.open_pidfd(self.pid)
            undo.pop_all()

    def await_ready(self, timeout: float, abort_on: Iterable[int] = ()) -> None:
        """Wait until it matches, or any descriptor of `abort_on` is readable. Raises ProcessDied, ExchangeError; the matcher may still run then."""
        line = self._first_line(time.monotonic() + timeout, frozenset(abort_on))
        if not line:
            self._process.wait()
            raise ProcessDied(f"the matcher could not start: {self.death()}")
        answer = json.loads(line)
        if "error" in answer:
            raise ExchangeError(f"the matcher could not start: {answer['error']}")

    def _first_line(self, deadline: float, abort_on: frozenset[int]) -> bytes:
        """What it says first; nothing when it ended without a word."""
        assert self._process.stdout is not None
        line = b""
        with self._process.stdout as stdout:
            while not line.endswith(b"\n"):
                ready = pidfd.readable((stdout.fileno(), *abort_on), deadline - time.monotonic())
                if ready & abort_on:
                    raise ExchangeError("the exchange was asked to stop while it was starting")
                if not ready:
                    said = memory_text(self._stderr)
                    raise ExchangeError("the matcher was not ready in time: the machine is overloaded, or it is stuck; start again" + _indented(said))
                piece = os.read(stdout.fileno(), _LINE_BYTES)
                if not piece:
                    return b""
                line += piece
        return line

    def has_ended(self, timeout: float | None = 0) -> bool:
        """Wait at most `timeout` seconds for its end."""
        return pidfd.has_ended(self.pidfd, timeout)

    def death(self) -> str:
        """How it ended, in words, with what it wrote on standard error. Caller: it has ended."""
        return pidfd.describe_exit(self._process.wait()) + _indented(memory_text(self._stderr))

    def await_end(self) -> str:
        """After it was asked to stop: wait, then SIGTERM, then SIGKILL. Returns what was wrong with its end, or nothing."""
        drained = self.has_ended(_DRAIN_SECONDS)
        if not drained:
            self.kill(_GRACE_SECONDS)
        if drained and self._process.wait() == 0:
            return ""
        return self.death() if drained else f"did not stop within {_DRAIN_SECONDS:g} s: {self.death()}"

    def kill(self, grace: float = 0) -> None:
        """SIGTERM, `grace` seconds, SIGKILL; returns when it has ended."""
        pidfd.end(self.pidfd, grace)
        self._process.wait()

    def close(self) -> None:
        """Forget it. Caller: it has ended."""
        os.close(self.pidfd)
        os.close(self._stderr)
        if self._process.stdout is not None:
            self._process.stdout.close()


def _indented(text: str) -> str:
    return "".join(f"\n    {line}" for line in text.splitlines())
