"""The supervisor's page: the words by which it tells the matcher what to do. The matcher looks at them between two slices."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import NamedTuple

from shm_exchange.domain.errors import ExchangeError
from shm_exchange.layout.regions import Writer
from shm_exchange.runtime.affinity import spin_polls_for
from shm_exchange.shm import Segment

_LOOK_SECONDS = 0.001


class Verdict(NamedTuple):
    """What the matcher found when it checked its book between two commands."""

    check_code: int
    """0: everything holds; else an index into `engine.check.CHECKS`."""
    state_hash: int
    sequence: int
    """The log number at which that was: a replay of all commands below it has the same hash."""

    @property
    def holds(self) -> bool:
        """Whether every invariant of the book holds."""
        return self.check_code == 0


class Control:
    """The control words of an exchange. Caller: holds the supervisor byte through this segment."""

    def __init__(self, segment: Segment) -> None:
        self._name = segment.name
        self._control = segment.writable(Writer.SUPERVISOR)["control"]
        self._matcher = segment.array("matcher")
        self._control["supervisor_pid"] = os.getpid()

    def ask_to_stop(self) -> None:
        """Let the matcher finish what was submitted, and end."""
        self._control["stop"] = 1

    def go_on(self) -> None:
        """Take back what a supervisor before us asked for, who died over it."""
        self._control["stop"] = 0

    def set_processes(self, count: int) -> None:
        """Say how many processes the exchange has, the matcher included: more than cores, and the matcher no longer spins."""
        self.set_spin_polls(spin_polls_for(count))

    def set_spin_polls(self, polls: int) -> None:
        """Say how often the matcher looks in vain before it begins to yield, and then to sleep."""
        self._control["spin_polls"] = polls

    def verify(self, has_ended: Callable[[float], bool], timeout: float) -> Verdict | None:
        """Let the matcher check its book. None when it ended instead: `has_ended(seconds)` waits for that. Raises ExchangeError after `timeout`."""
        request = int(self._control["verify"][0]) + 1
        self._control["verify"] = request
        return await_verdict(self._name, lambda: self._verdict(request), has_ended, timeout)

    def _verdict(self, request: int) -> Verdict | None:
        """The answer to a request, once it is there: `verified` is stored last, so it is read first."""
        return read_verdict(self._matcher) if int(self._matcher["verified"][0]) == request else None


def read_verdict(matcher: object) -> Verdict:
    """The matcher's last answer."""
    words = matcher[0]  # type: ignore[index]
    return Verdict(int(words["check_code"]), int(words["state_hash"]), int(words["verified_sequence"]))


def await_verdict(name: str, answer: Callable[[], Verdict | None], has_ended: Callable[[float], bool], timeout: float) -> Verdict | None:
    """Look for an answer until it is there (None: the matcher ended). Raises ExchangeError after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while (verdict := answer()) is None:
        if has_ended(_LOOK_SECONDS):
            return None
        if time.monotonic() > deadline:
            raise ExchangeError(f"the matcher of exchange {name!r} did not check its book within {timeout:g} s; it may be stopped: send it SIGCONT")
    return verdict
