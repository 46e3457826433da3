"""The parent's side of a nursery: children by the hundred, each watched by a pidfd, all ended with us at the latest."""

from __future__ import annotations

import os
import pickle
import socket
from typing import Self

from shm_exchange.domain.errors import ProcessDied
from shm_exchange.runtime import pidfd
from shm_exchange.runtime.launch import launch
from shm_exchange.supervisor.spawn import GRACE_SECONDS, Task

MODULE = "shm_exchange.supervisor.nursery"
_MESSAGE_BYTES = 1 << 17
_BIRTH_SECONDS = 120.0
"""Loading everything takes a second or two; kernels that are compiled first take longer."""


class Fledgling:
    """One child of a nursery."""

    def __init__(self, name: str, pid: int, handle: int) -> None:
        self.name, self.pid, self.handle = name, pid, handle
        self.code: int | None = None
        """Its exit status, negative for a signal; None until the nursery has told it."""
        self.said = b""
        self.is_asked = False

    @property
    def problem(self) -> str:
        """How it died, with its traceback; nothing while it runs, after a good end, or when we ended it."""
        if not self.code or self.is_asked:
            return ""
        lines = "".join(f"\n    {line}" for line in self.said.decode(errors="replace").strip().splitlines())
        return f"{self.name}, process {self.pid}, died: {pidfd.describe_exit(self.code)}{lines}"


class Brood:
    """A nursery and its children. `bear` starts one, `watch` learns who has ended, `close` ends them all. Raises ProcessDied."""

    def __init__(self) -> None:
        self.children: list[Fledgling] = []
        self._by_pid: dict[int, Fledgling] = {}
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = launch(MODULE, (str(theirs.fileno()),), pass_fds=(theirs.fileno(),))
        self._socket.settimeout(_BIRTH_SECONDS)

    @property
    def pid(self) -> int:
        """Of the nursery."""
        return self._process.pid

    def bear(self, name: str, task: Task, payload: bytes) -> Fledgling:
        """Start a child, and wait until it is there."""
        self._socket.send(pickle.dumps((task, payload)))
        while True:
            try:
                message, fds, _, _ = socket.recv_fds(self._socket, _MESSAGE_BYTES, 1)
            except TimeoutError:
                raise ProcessDied(f"the nursery, process {self.pid}, did not start {name} within {_BIRTH_SECONDS:g} seconds; end something") from None
            if not message:
                raise ProcessDied(f"the nursery, process {self.pid}, ended while it started {name}: {pidfd.describe_exit(self._process.wait())}")
            pid, what, said = pickle.loads(message)  # noqa: S301 (our own child made it)
            if what != "born":
                self._ended(pid, what, said)
                continue
            child = Fledgling(name, pid, fds[0])
            os.set_inheritable(child.handle, False)
            self.children.append(child)
            self._by_pid[pid] = child
            return child

    def watch(self, seconds: float) -> bool:
        """Wait at most so long until somebody ends, and note who has; whether any child is left. Raises ProcessDied when the nursery died."""
        pidfd.readable([self._socket.fileno()], seconds)
        while pidfd.readable([self._socket.fileno()], 0):
            message = self._socket.recv(_MESSAGE_BYTES)
            if not message:
                raise ProcessDied(
                    f"the nursery, process {self.pid}, ended, and all its children with it: {pidfd.describe_exit(self._process.wait())}"
                )
            self._ended(*pickle.loads(message))  # noqa: S301
        return any(child.code is None for child in self.children)

    def is_running(self, child: Fledgling) -> bool:
        """Whether it lives: the kernel's word."""
        return child.code is None and not pidfd.has_ended(child.handle)

    def terminate(self) -> None:
        """Ask all who run to end, with SIGTERM."""
        for child in self.children:
            if self.is_running(child):
                child.is_asked = True
                pidfd.send(child.handle, 15)

    def close(self) -> None:
        """End them all, and the nursery. Again is harmless."""
        self._socket.close()
        try:
            self._process.wait(3 * GRACE_SECONDS)
        finally:
            self._process.kill()
            self._process.wait()
        for child in self.children:
            if child.handle >= 0:
                os.close(child.handle)
                child.handle = -1

    def _ended(self, pid: int, code: int, said: bytes) -> None:
        child = self._by_pid[pid]
        child.code, child.said = code, said

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
