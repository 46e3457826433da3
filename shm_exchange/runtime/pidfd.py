"""Handles of processes. A pid may belong to somebody else by the time it is used; a pidfd names one process for ever, and is readable once it ended.

A pidfd only wakes a watcher. Whether a role is alive is said by the byte locks of the root file, and by nothing else (I3).
"""

from __future__ import annotations

import math
import os
import select
import signal
import threading
from collections.abc import Callable, Iterable

_LOOK_SECONDS = 1.0


def open_pidfd(pid: int) -> int:
    """A handle of a process that exists now, closed in programs we start. Raises ProcessLookupError."""
    return os.pidfd_open(pid)


def open_pidfds(pids: Iterable[int]) -> dict[int, int]:
    """Handles by pid, of those that still exist. A number that was read from memory may be no pid at all, and we may be out of descriptors."""
    handles: dict[int, int] = {}
    for pid in pids:
        try:
            handles[pid] = open_pidfd(pid)
        except (OSError, OverflowError):
            continue
    return handles


def readable(fds: Iterable[int], timeout: float | None) -> set[int]:
    """Those that can be read, or whose process or peer ended, after at most `timeout` seconds. Unlike select, for any number of descriptors."""
    poll = select.poll()
    for fd in fds:
        poll.register(fd, select.POLLIN)
    return {fd for fd, _ in poll.poll(None if timeout is None else math.ceil(max(0.0, timeout) * 1000))}


def has_ended(pidfd: int, timeout: float | None = 0) -> bool:
    """Wait at most `timeout` seconds (None: for ever) for the end of a process."""
    return bool(readable((pidfd,), timeout))


def send(pidfd: int, number: int) -> None:
    """Send a signal; harmless when the process has ended."""
    try:
        signal.pidfd_send_signal(pidfd, number)
    except ProcessLookupError:
        return


def end(pidfd: int, grace: float) -> None:
    """SIGTERM, `grace` seconds, SIGKILL; returns when the process has ended."""
    send(pidfd, signal.SIGTERM)
    if not has_ended(pidfd, grace):
        send(pidfd, signal.SIGKILL)
        has_ended(pidfd, None)


def describe_exit(returncode: int) -> str:
    """How a process ended, in words: "killed by SIGKILL", "exit code 3"."""
    if returncode >= 0:
        return f"exit code {returncode}"
    try:
        return f"killed by {signal.Signals(-returncode).name}"
    except ValueError:
        return f"killed by signal {-returncode}"


def end_with(pids: Iterable[int], grace: float, is_over: Callable[[], bool] = bool) -> None:
    """End this process when any of `pids` ends, or `is_over`, asked once a second: SIGTERM, then SIGKILL after `grace` seconds.

    Raises ProcessLookupError when one has ended already.
    A thread watches, instead of PR_SET_PDEATHSIG: that fires at the end of the *thread* that started us, and people start things from threads.
    """
    handles = [open_pidfd(pid) for pid in pids]
    own = open_pidfd(os.getpid())

    def watch() -> None:
        while not readable(handles, _LOOK_SECONDS) and not is_over():
            continue
        end(own, grace)

    threading.Thread(target=watch, name="ends with its parents", daemon=True).start()
