"""A process with a role, matcher or keeper: started as a child and waited for, or found alive by a supervisor that took over.

A child has a session of its own and none of our descriptors, so that with `end_with_parent=False` it goes on when its supervisor dies. What it writes
on standard error lies in memory until somebody asks why it died. Of a process that somebody else had started only its end can be seen.
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

MATCHER, KEEPER = "matcher", "keeper"
DRAIN_SECONDS = 5.0
"""For a matcher to match what was submitted."""
SYNC_SECONDS = 60.0
"""For a keeper to have everything on the disk."""
_GRACE_SECONDS = 2.0
_LINE_BYTES = 4096


class FoundProcess:
    """A living process of which we are not the parent, by its pid and a pidfd, which is ours from here on. `close` when it has ended."""

    def __init__(self, role: str, pid: int, handle: int) -> None:
        self.role, self.pid, self.pidfd = role, pid, handle

    def has_ended(self, timeout: float | None = 0) -> bool:
        """Wait at most `timeout` seconds for its end."""
        return pidfd.has_ended(self.pidfd, timeout)

    def death(self) -> str:
        """How it ended, in words, with what it wrote on standard error. Caller: it has ended."""
        return "an exit code that only its parent knew"

    def ended_well(self) -> bool:
        """Whether it ended as one that was asked to. Caller: it has ended."""
        return True

    def await_end(self, patience: float) -> str:
        """After it was asked to stop: wait so many seconds, then SIGTERM, then SIGKILL. Returns what was wrong with its end, or nothing."""
        drained = self.has_ended(patience)
        if not drained:
            self.kill(_GRACE_SECONDS)
        if drained and self.ended_well():
            return ""
        return self.death() if drained else f"did not stop within {patience:g} s: {self.death()}"

    def kill(self, grace: float = 0) -> None:
        """SIGTERM, `grace` seconds, SIGKILL; returns when it has ended."""
        pidfd.end(self.pidfd, grace)

    def close(self) -> None:
        """Forget it. Caller: it has ended."""
        os.close(self.pidfd)


class RoleProcess(FoundProcess):
    """A child that we started as `python -m shm_exchange.ROLE NAME`."""

    def __init__(self, role: str, name: str, directory: str | Path, core: int | None, *flags: str) -> None:
        arguments = [name, "--directory", str(directory), *flags]
        if core is not None:
            arguments += ["--core", str(core)]
        with ExitStack() as undo:
            self._stderr = memory_file(f"{role} stderr")
            undo.callback(os.close, self._stderr)
            self._process = launch(f"shm_exchange.{role}", arguments, stdout=subprocess.PIPE, stderr=self._stderr)
            undo.callback(self._process.kill)
            super().__init__(role, self._process.pid, pidfd.open_pidfd(self._process.pid))
            undo.pop_all()

    def await_ready(self, timeout: float, abort_on: Iterable[int] = ()) -> None:
        """Wait until it says that it is ready, or any descriptor of `abort_on` is readable. Raises ProcessDied, ExchangeError; it may run on then."""
        line = self._first_line(time.monotonic() + timeout, frozenset(abort_on))
        if not line:
            self._process.wait()
            raise ProcessDied(f"the {self.role} could not start: {self.death()}")
        answer = json.loads(line)
        if "error" in answer:
            raise ExchangeError(f"the {self.role} could not start: {answer['error']}")

    def _first_line(self, deadline: float, abort_on: frozenset[int]) -> bytes:
        """What it says first; nothing when it ended without a word."""
        assert self._process.stdout is not None
        line = b""
        stdout = self._process.stdout.fileno()
        while not line.endswith(b"\n"):
            ready = pidfd.readable((stdout, *abort_on), deadline - time.monotonic())
            if ready & abort_on:
                raise ExchangeError("the exchange was asked to stop while it was starting")
            if not ready:
                said = memory_text(self._stderr)
                raise ExchangeError(
                    f"the {self.role} was not ready in time: the machine is overloaded, or it is stuck; start again" + _indented(said)
                )
            piece = os.read(stdout, _LINE_BYTES)
            if not piece:
                return b""
            line += piece
        return line

    def death(self) -> str:
        """How it ended, in words, with the error it named and what it wrote on standard error. Caller: it has ended."""
        return pidfd.describe_exit(self._process.wait()) + _indented(self._last_error()) + _indented(memory_text(self._stderr))

    def ended_well(self) -> bool:
        """Whether it ended as one that was asked to. Caller: it has ended."""
        return self._process.wait() == 0

    def kill(self, grace: float = 0) -> None:
        """SIGTERM, `grace` seconds, SIGKILL; returns when it has ended."""
        super().kill(grace)
        self._process.wait()

    def close(self) -> None:
        """Forget it. Caller: it has ended."""
        super().close()
        os.close(self._stderr)
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _last_error(self) -> str:
        """What it said of itself before it ended: one that is no longer awaited says it all the same."""
        assert self._process.stdout is not None
        if self._process.stdout.closed:
            return ""
        last: list[bytes] = self._process.stdout.read().splitlines()[-1:]
        return str(json.loads(last[0]).get("error", "")) if last else ""


def _indented(text: str) -> str:
    return "".join(f"\n    {line}" for line in text.splitlines())
