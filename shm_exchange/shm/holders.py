"""Which processes have the root file of an exchange open, and which of its bytes each of them holds.

A byte lock belongs to an open of the file and not to a process, so F_OFD_GETLK answers pid -1. But the kernel lists the locks of every open
in /proc/PID/fdinfo/FD, and that is the one true answer: a pid in memory may be somebody else's by now. Processes of other users, or hidden by
the way /proc is mounted, are not seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")
_END = (1 << 63) - 1


class Span(NamedTuple):
    """Bytes under one lock, both ends included."""

    first: int
    last: int


class Holder(NamedTuple):
    """A process that has the file open."""

    pid: int
    command: str
    state: str  # the kernel's letter: R, S, T (stopped by a signal) …
    spans: tuple[Span, ...]  # what it has locked; a mere reader nothing

    def holds(self, byte: int) -> bool:
        """Whether a lock of its own lies on the byte."""
        return any(span.first <= byte <= span.last for span in self.spans)

    @property
    def is_stopped(self) -> bool:
        """Whether a signal or a debugger has stopped it: it is alive and does nothing."""
        return self.state in ("T", "t")


def holders(path: Path, proc: Path = PROC) -> list[Holder]:
    """All processes that have `path` open, by pid."""
    pids = sorted(int(entry.name) for entry in proc.iterdir() if entry.name.isdecimal())
    return [holder for pid in pids if (holder := _holder(proc / str(pid), pid, str(path)))]


def process_state(pid: int, proc: Path = PROC) -> str:
    """The kernel's letter for what a process does; nothing for one that is gone."""
    try:
        return (proc / str(pid) / "stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return ""


def _holder(process: Path, pid: int, path: str) -> Holder | None:
    try:
        opens = [handle.name for handle in (process / "fd").iterdir() if _target(handle) == path]
        if not opens:
            return None
        spans = sorted({span for number in opens for span in _spans(process / "fdinfo" / number)})
        return Holder(pid, (process / "comm").read_text().strip(), process_state(pid, process.parent), tuple(spans))
    except OSError:  # it ended, or is not ours to look at
        return None


def _target(handle: Path) -> str:
    try:
        return str(handle.readlink())
    except OSError:
        return ""


def _spans(info: Path) -> Iterator[Span]:
    """From lines such as `lock:  1: OFDLCK ADVISORY  WRITE -1 00:1a:71 0 EOF`."""
    for line in info.read_text().splitlines():
        if line.startswith("lock:") and "OFDLCK" in line:
            first, last = line.split()[-2:]
            yield Span(int(first), _END if last == "EOF" else int(last))
