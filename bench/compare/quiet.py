"""How much of the machine others used during a run. It says nothing of the result, so repeating rounds by it favours no build."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

OTHERS_MAX = 0.1
"""Share of all cores; beyond it a round is disturbed."""
_SECONDS_MIN = 0.5
"""Of a shorter run the kernel's counters, in steps of 10 ms, cannot tell."""
_BUSY = (0, 1, 2, 5, 6, 7)
"""Columns of /proc/stat: user, nice, system, irq, softirq, steal."""
Result = TypeVar("Result")


def watched(run: Callable[[], Result]) -> tuple[Result, float]:
    """What `run` gives, and the share (0 … 1) of all cores that others used meanwhile: neither this process nor children it waited for."""
    before, own, start = _busy_seconds(), _own_seconds(), time.monotonic()
    result = run()
    seconds = time.monotonic() - start
    others = (_busy_seconds() - before) - (_own_seconds() - own)
    if seconds < _SECONDS_MIN:
        return result, 0.0
    return result, min(max(others / seconds / (os.cpu_count() or 1), 0.0), 1.0)


def _busy_seconds() -> float:
    """Of all cores together, since boot."""
    columns = Path("/proc/stat").read_text().partition("\n")[0].split()[1:]
    return sum(int(columns[column]) for column in _BUSY) / os.sysconf("SC_CLK_TCK")


def _own_seconds() -> float:
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in used)
