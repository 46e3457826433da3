"""`python -m shm_exchange.supervisor.nursery SOCKET`: one process imports everything and loads the kernels, once, and forks a child for each task.

A fresh Python with numba costs about a second of a core and most of its memory for itself; a fork of this one a few milliseconds, and what it
shares it keeps sharing (gc.freeze). The nursery never opens an exchange, so a child inherits no mapping, no lock and no gateway (I3): it closes the
nursery's descriptors, resets signals, and does its task as `worker` does any.

    parent   ──▶ (task, payload)      ◀── (pid, "born") with a pidfd      ◀── (pid, exit status, what its answer file holds)

Who dies first takes the others along: the nursery ends with its parent (the socket), a child with the nursery (PR_SET_PDEATHSIG), and with
everybody that its task names (`end_with`).
"""

from __future__ import annotations

import ctypes
import gc
import os
import pickle
import select
import signal
import socket
import sys
import time
from pathlib import Path

from shm_exchange._jit import load_cached
from shm_exchange.runtime.launch import memory_bytes, memory_file
from shm_exchange.runtime.signals import SignalPipe
from shm_exchange.supervisor import worker
from shm_exchange.supervisor.spawn import GRACE_SECONDS, Task

MESSAGE_BYTES = 1 << 17
_PDEATHSIG = 1  # PR_SET_PDEATHSIG
_KEPT_BYTES = 1 << 15
_NAP_SECONDS = 0.01


def main() -> int:
    """Until the parent closes its end."""
    load()
    gc.collect()
    gc.freeze()
    with socket.socket(fileno=int(sys.argv[1])) as parent, SignalPipe(signal.SIGCHLD, signal.SIGTERM, signal.SIGINT) as signals:
        return _Nursery(parent, signals).run()


def load() -> None:
    """Everything that participants use: modules, and kernels for the types that the cache knows."""
    from shm_exchange.client import inbox, waiting
    from shm_exchange.participants import behaviours, book_flows, driver, executors, ledger, live, pacer, quoting, settle, trends
    from shm_exchange.ring import broadcast, lane, reports
    from shm_exchange.snapshot import slots

    modules = (
        inbox,
        waiting,
        behaviours,
        book_flows,
        driver,
        executors,
        ledger,
        live,
        pacer,
        quoting,
        settle,
        trends,
        broadcast,
        lane,
        reports,
        slots,
    )
    for module in modules:
        for found in vars(module).values():
            if hasattr(found, "py_func") and found.py_func.__name__ in _ENTRIES:
                load_cached(found)


_ENTRIES = frozenset(
    (
        *("drive_slice", "make_command", "settle", "fold_reports", "plan_next", "fill_commands"),
        *("submit", "submit_many", "await_room", "recover_position", "take_reports", "acknowledge", "await_report", "park_for_report"),
        *("read_snapshot", "take_events"),
    )
)
"""Kernels that participants call from Python; the others come inside of these."""


class _Nursery:
    def __init__(self, parent: socket.socket, signals: SignalPipe) -> None:
        self._parent, self._signals = parent, signals
        self._answers: dict[int, int] = {}
        """By pid: the memory file of its answer."""

    def run(self) -> int:
        poll = select.poll()
        poll.register(self._parent, select.POLLIN)
        poll.register(self._signals, select.POLLIN)
        while True:
            ready = {fd for fd, _ in poll.poll()}
            if self._signals.fileno() in ready and self._signals.taken() & {signal.SIGTERM, signal.SIGINT}:
                return self._end()
            self._reap()
            if self._parent.fileno() in ready:
                message = self._parent.recv(MESSAGE_BYTES)
                if not message:
                    return self._end()
                self._bear(*pickle.loads(message))  # noqa: S301 (our parent, the same user, made it)

    def _bear(self, task: Task, payload: bytes) -> None:
        answer = memory_file("answer")
        own = os.getpid()
        pid = os.fork()
        if pid == 0:
            os._exit(self._live(task, payload, answer, own))
        self._answers[pid] = answer
        pidfd = os.pidfd_open(pid)  # it cannot be somebody else's yet: we have not reaped it
        try:
            socket.send_fds(self._parent, [pickle.dumps((pid, "born", b""))], [pidfd])
        finally:
            os.close(pidfd)

    def _live(self, task: Task, payload: bytes, answer: int, nursery: int) -> int:
        """In the child: nothing of the nursery is left, then the task. Its exit status."""
        try:
            self._signals.close()
            for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL)
            for fd in [int(entry.name) for entry in Path("/proc/self/fd").iterdir()]:
                if fd > 2 and fd != answer:
                    _close(fd)
            ctypes.CDLL(None).prctl(_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
            if os.getppid() != nursery:
                return 1
            return worker.work(task._replace(parents=[nursery, *task.parents]), payload, answer)
        finally:
            for stream in (sys.stdout, sys.stderr):
                stream.flush()

    def _reap(self) -> None:
        """Tell the parent who has ended, how, and what it left."""
        while self._answers:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            answer = self._answers.pop(pid)
            said = memory_bytes(answer)
            os.close(answer)
            try:
                self._parent.send(pickle.dumps((pid, os.waitstatus_to_exitcode(status), said[-_KEPT_BYTES:])))
            except OSError:  # it has closed its end: nobody wants to know
                continue

    def _end(self) -> int:
        """Nobody is left behind."""
        for number, seconds in ((signal.SIGTERM, GRACE_SECONDS), (signal.SIGKILL, GRACE_SECONDS)):
            for pid in self._answers:
                os.kill(pid, number)
            deadline = time.monotonic() + seconds
            while self._answers and time.monotonic() < deadline:
                self._reap()
                time.sleep(_NAP_SECONDS)
        return 0


def _close(fd: int) -> None:
    try:
        os.close(fd)
    except OSError:  # the folder that was being listed
        return


if __name__ == "__main__":
    raise SystemExit(main())
