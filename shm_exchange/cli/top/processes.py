"""What the system knows about the processes of an exchange: how busy they are, where they run, and whether somebody stopped them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import psutil

_STATES = {
    psutil.STATUS_RUNNING: "runs",
    psutil.STATUS_SLEEPING: "sleeps",
    psutil.STATUS_IDLE: "sleeps",
    psutil.STATUS_DISK_SLEEP: "waits",
    psutil.STATUS_STOPPED: "stopped",
    psutil.STATUS_TRACING_STOP: "traced",
    psutil.STATUS_ZOMBIE: "gone",
    psutil.STATUS_DEAD: "gone",
}


class ProcessFigures(NamedTuple):
    """One process at one moment."""

    state: str
    cpu: float | None = None
    """Of one core, since the look before: 1.0 is all of it; None at the first look."""
    core: int | None = None
    """Where it ran last."""
    pinned: bool = False
    """Whether it may run on that core only."""


GONE = ProcessFigures("gone")


class Processes:
    """Looks at processes, again and again."""

    def __init__(self) -> None:
        self._known: dict[int, psutil.Process] = {}

    def look(self, pids: Iterable[int]) -> dict[int, ProcessFigures]:
        """All of them now; `cpu` is None for those that were not looked at before."""
        wanted = set(pids)
        self._known = {pid: process for pid, process in self._known.items() if pid in wanted}
        return {pid: self._look(pid) for pid in wanted}

    def _look(self, pid: int) -> ProcessFigures:
        try:
            process = self._known.get(pid)
            is_new = process is None
            if process is None:
                process = self._known[pid] = psutil.Process(pid)
            with process.oneshot():
                cpu, state, core = process.cpu_percent() / 100, process.status(), process.cpu_num()
            cores = process.cpu_affinity()
        except psutil.NoSuchProcess:
            self._known.pop(pid, None)
            return GONE
        except psutil.AccessDenied:
            return ProcessFigures("not ours")
        return ProcessFigures(_STATES.get(state, state), None if is_new else cpu, core, len(cores) == 1)
