"""Other processes for the tests of queues: forks, because many must be killed in little time."""

from __future__ import annotations

import mmap
import os
import signal
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np


class Child:
    """A fork that runs a function, and nothing of the test."""

    def __init__(self, function: Callable[[], None]) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # the watchdog's thread does nothing
            self.pid = os.fork()
        if self.pid == 0:
            code = 1
            try:
                function()
                code = 0
            finally:
                os._exit(code)

    def kill(self) -> int:
        """However far it is. Returns its exit code, negative for a signal."""
        os.kill(self.pid, signal.SIGKILL)
        return self.wait()

    def wait(self) -> int:
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def wait_until_stopped(self) -> None:
        assert os.WIFSTOPPED(os.waitpid(self.pid, os.WUNTRACED)[1])

    def go_on(self) -> None:
        os.kill(self.pid, signal.SIGCONT)


class Log:
    """Numbers that a child has written, whatever became of it."""

    def __init__(self, capacity: int) -> None:
        self._words: Any = np.frombuffer(mmap.mmap(-1, 8 * (capacity + 1)), "i8")

    def append(self, value: int) -> None:
        count = int(self._words[0])
        self._words[count + 1] = value
        self._words[0] = count + 1

    def values(self) -> list[int]:
        values: list[int] = self._words[1 : 1 + int(self._words[0])].tolist()
        return values


def stop_myself() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def kill_myself() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
