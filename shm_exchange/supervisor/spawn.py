"""Functions of the user as processes of their own, each with a gateway.

The function travels by its name, module:qualname, because the child is a fresh Python that never runs the caller's script; arguments and results
travel pickled, through memory that nobody has to read in time.
"""

from __future__ import annotations

import json
import logging
import os
import pickle
from typing import Generic, NamedTuple, TypeVar, cast

from shm_exchange.domain.errors import ConfigError, ProcessDied
from shm_exchange.domain.limits import NAME_BYTES
from shm_exchange.domain.names import checked_name
from shm_exchange.runtime import pidfd
from shm_exchange.runtime.launch import launch, memory_bytes, memory_file, memory_text

MODULE = "shm_exchange.supervisor.worker"
_log = logging.getLogger(__name__)
T_co = TypeVar("T_co", covariant=True)
GRACE_SECONDS = 2.0
"""Between SIGTERM and SIGKILL: time for a `finally` of the user's function."""


class Task(NamedTuple):
    """What a child is told, beside its arguments."""

    function: str
    exchange: str
    session: str | None
    """None: no gateway; the function gets its own arguments only."""
    account: str | None
    cores: list[int]
    parents: list[int]
    """Processes with which it ends; the first is the one that starts it."""


def session_names(template: str | None, function: str, first: int, count: int) -> list[str]:
    """Names of `count` sessions: {n} counts, and is added at the end where several need it. Raises ConfigError."""
    if template is None:
        short = function.rpartition(":")[2].rpartition(".")[2]
        template = short[: NAME_BYTES - 1 - len(str(first + count - 1))] + "-{n}"
    elif count > 1 and "{n}" not in template:
        template += "-{n}"
        first = 1
    elif "{n}" in template:
        first = 1
    return [checked_name(template.replace("{n}", str(number)), "session") for number in range(first, first + count)]


def packed_arguments(arguments: tuple[object, ...], named: dict[str, object]) -> bytes:
    """The arguments for another process. Raises ConfigError for what does not travel."""
    try:
        return pickle.dumps((arguments, named), protocol=5)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise ConfigError(f"an argument cannot be sent to another process: {error}; pass plain data, and open handles in the child") from error


class Child(Generic[T_co]):
    """A spawned process; T is what its function returns. It ends with the exchange and with the process that spawned it, at the latest."""

    def __init__(self, name: str, task: Task, payload: bytes) -> None:
        self.name = name
        self.task = task
        self._asked = False
        self._seen = False
        self._answer = memory_file("answer")
        request = memory_file("request", json.dumps(task).encode() + b"\n" + payload)
        try:
            self._process = launch(MODULE, (str(request), str(self._answer)), pass_fds=(request, self._answer))
        finally:
            os.close(request)
        self.pid = self._process.pid
        self._pidfd = pidfd.open_pidfd(self.pid)
        _log.info("spawned %s as process %d on cores %s", name, self.pid, ",".join(map(str, task.cores)))

    def poll(self) -> int | None:
        """The exit status, negative for a signal; None while it runs."""
        return self._process.poll()

    def wait(self, timeout: float | None = None) -> T_co:
        """Wait for its end, and return what the function returned (None when we ended it). Raises ProcessDied, TimeoutError."""
        if not pidfd.has_ended(self._pidfd, timeout):
            raise TimeoutError(f"{self.name}, process {self.pid}, still runs after {timeout:g} s")
        self._seen = True
        if problem := self.problem:
            raise ProcessDied(problem)
        result = None if self._process.wait() else pickle.loads(memory_bytes(self._answer))  # noqa: S301
        return cast("T_co", result)

    @property
    def result(self) -> T_co:
        """What the function returned; waits for it. Raises ProcessDied."""
        return self.wait()

    @property
    def problem(self) -> str:
        """How it died, with its traceback; nothing while it runs, after a good end, or when we ended it."""
        code = self.poll()
        if not code or self._asked:
            return ""
        said = memory_text(self._answer)
        return f"{self.name}, process {self.pid}, died: {pidfd.describe_exit(code)}" + "".join(f"\n    {line}" for line in said.splitlines())

    @property
    def unseen_problem(self) -> str:
        """`problem`, if no `wait` has raised it yet."""
        return "" if self._seen else self.problem

    def terminate(self) -> None:
        """Ask it to end, with SIGTERM; harmless when it has ended."""
        self._end(15)

    def kill(self) -> None:
        """End it with SIGKILL; harmless when it has ended."""
        self._end(9)

    def end(self, grace: float = GRACE_SECONDS) -> None:
        """SIGTERM, `grace` seconds, SIGKILL; returns when it has ended."""
        self.terminate()
        pidfd.end(self._pidfd, grace)
        self._process.wait()

    def __repr__(self) -> str:
        code = self.poll()
        return f"<Child {self.name}, process {self.pid}, {'running' if code is None else pidfd.describe_exit(code)}>"

    def __del__(self) -> None:
        for fd in (getattr(self, "_pidfd", -1), getattr(self, "_answer", -1)):
            if fd >= 0:
                os.close(fd)

    def _end(self, number: int) -> None:
        if self.poll() is None:
            self._asked = True
            pidfd.send(self._pidfd, number)
