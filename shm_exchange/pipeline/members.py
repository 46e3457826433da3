"""Where a member of a pipeline runs: in a process, in a thread, or as a task of one event loop. All are watched in the same way.

`start` returns at once; the member is `is_ready` when it has acknowledged, `has_ended` when it is over, and `problem` says why it should not be.
"""

from __future__ import annotations

import os
import pickle
import threading
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from shm_exchange.domain.errors import ConfigError
from shm_exchange.pipeline.body import Body, Job
from shm_exchange.pipeline.table import Hand, SharedTable
from shm_exchange.runtime import pidfd
from shm_exchange.runtime.launch import launch, memory_file, memory_text

MODULE = "shm_exchange.pipeline.worker"


class Member(ABC):
    """One worker or source, from its start to its end."""

    pid: int | None = None
    """Of a process of its own."""
    problem = ""
    """Why it ended, where that was no good end."""

    def __init__(self, name: str) -> None:
        self.name = name

    @property
    @abstractmethod
    def is_ready(self) -> bool:
        """It has its function and its queues."""

    @property
    @abstractmethod
    def has_ended(self) -> bool:
        """It is over."""

    @abstractmethod
    def wait_ready(self) -> None:
        """Until it is ready, or over."""

    @abstractmethod
    def interrupt(self) -> None:
        """Wake it, so that it sees that it was told to stop."""

    @abstractmethod
    def cancel(self) -> None:
        """Give it up: from here on it counts nothing more."""

    def fileno(self) -> int:
        """Readable when it is over; -1 for one that says so itself."""
        return -1

    def close(self) -> None:  # noqa: B027 (most have nothing to let go)
        """Let its descriptors go. It is over, or given up."""


class Order(NamedTuple):
    """What a child is told."""

    job: Job
    row: int
    rows: int
    table_fd: int
    hand_fd: int
    parent: int


class ProcessMember(Member):
    """`python -m shm_exchange.pipeline.worker`, which ends with us at the latest."""

    def __init__(self, job: Job, table: SharedTable, row: int, hand: Hand, shared: Iterable[int]) -> None:
        super().__init__(job.name)
        order = Order(job, row, len(table.rows), table.fd, hand.fd, os.getpid())
        request, self._answer = memory_file("request", packed(order)), memory_file("answer")
        self._ready, ready = os.pipe2(os.O_CLOEXEC)
        self._is_ready = False
        try:
            self._process = launch(
                MODULE, (str(request), str(self._answer), str(ready)), pass_fds=(request, self._answer, ready, table.fd, hand.fd, *shared)
            )
        finally:
            os.close(request)
            os.close(ready)
        self.pid = self._process.pid
        self._pidfd = pidfd.open_pidfd(self.pid)

    @property
    def is_ready(self) -> bool:
        """As Member says."""
        if not self._is_ready and self._ready >= 0 and pidfd.readable((self._ready,), 0) and os.read(self._ready, 1):
            self._is_ready = True  # and never back: another thread may have read the byte at the same time
        return self._is_ready

    @property
    def has_ended(self) -> bool:
        """As Member says."""
        code = self._process.poll()
        if code and not self.problem:
            said = memory_text(self._answer)
            self.problem = f"{self.name}, process {self.pid}, died: {pidfd.describe_exit(code)}" + "".join(
                f"\n    {line}" for line in said.splitlines()
            )
        return code is not None

    def wait_ready(self) -> None:
        """As Member says: its pipe has a byte, or closes at its end."""
        pidfd.readable((self._ready,), None)

    def interrupt(self) -> None:
        """As Member says."""
        pidfd.send(self._pidfd, 15)

    def cancel(self) -> None:
        """As Member says; `kill` follows for one that does not end."""
        pidfd.send(self._pidfd, 15)

    def kill(self, grace: float) -> None:
        """End it for certain, after so many seconds at most."""
        if not pidfd.has_ended(self._pidfd, grace):
            pidfd.send(self._pidfd, 9)
            pidfd.has_ended(self._pidfd, None)
        self._process.wait()

    def fileno(self) -> int:
        """As Member says."""
        return self._pidfd

    def close(self) -> None:
        """As Member says."""
        for fd in (self._pidfd, self._answer, self._ready):
            if fd >= 0:
                os.close(fd)
        self._pidfd = self._answer = self._ready = -1


class ThreadMember(Member):
    """A daemon thread. It cannot be ended from outside: one that is given up goes on with what it does, and is counted no more."""

    def __init__(self, body: Body, wake: Callable[[], None]) -> None:
        super().__init__(body.job.name)
        self._body = body
        self._wake = wake
        self._is_ready = False
        self._has_ended = False
        self._news = threading.Event()
        threading.Thread(target=self._live, name=body.job.name, daemon=True).start()

    @property
    def is_ready(self) -> bool:
        """As Member says."""
        return self._is_ready

    @property
    def has_ended(self) -> bool:
        """As Member says."""
        return self._has_ended

    def wait_ready(self) -> None:
        """As Member says."""
        self._news.wait()

    def interrupt(self) -> None:
        """Nothing wakes a thread; it looks at its row after each item."""

    def cancel(self) -> None:
        """As Member says."""
        self._body.abandon()

    def _live(self) -> None:
        try:
            self._body.open()
            self._is_ready = True
            self._news.set()
            try:
                self._body.run()
            finally:
                self._body.close()
        except BaseException:  # noqa: BLE001 (a thread has nobody else to tell)
            self.problem = told(self.name)
        finally:
            self._has_ended = True
            self._news.set()
            self._wake()


def packed(order: Any) -> bytes:
    """Pickled. Raises ConfigError for what does not travel."""
    try:
        return pickle.dumps(order, protocol=5)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise ConfigError(f"{order.job.name} cannot be sent to another process: {error}; pass plain data, and open handles there") from error


def told(name: str) -> str:
    """The exception that is being handled, as the problem of a member."""
    return f"{name} failed" + "".join(f"\n    {line}" for line in traceback.format_exc().splitlines())
