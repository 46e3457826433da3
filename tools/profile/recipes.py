"""Recipes of perf that take the place of sampling: hardware counters, false sharing between cache lines, waiting for a core.

Each says in one line why it cannot be had, where it cannot.
"""

from __future__ import annotations

import os
import platform
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from shm_exchange.domain.errors import ConfigError, ExchangeError
from tools.profile import machine

_PMUS = Path("/sys/bus/event_source/devices")
_TRACEFS = (Path("/sys/kernel/tracing"), Path("/sys/kernel/debug/tracing"))
_LINES = 60


class Recipe(NamedTuple):
    """What it shows, what keeps it from running (nothing where it can), and how it runs."""

    text: str
    problem: Callable[[], str]
    run: Callable[[int, float], str]


def refuse(name: str) -> None:
    """Raise ConfigError where a recipe cannot be had on this machine."""
    problem = machine.why_no_perf() or RECIPES[name].problem()
    if problem:
        raise ConfigError(f"--{name} cannot be had here: {problem}")


def run(name: str, pid: int, seconds: float) -> str:
    """What perf says of a process."""
    return RECIPES[name].run(pid, seconds)


def why_no_counters() -> str:
    """Why hardware counters cannot be read, and what to do."""
    if machine.counters():
        return ""
    return "no hardware counters: a virtual machine without a virtual PMU; use bare metal, or one whose host passes them through"


def why_no_memory_samples() -> str:
    """Why perf cannot sample single loads and stores, and what to do."""
    status, text = machine.said_by("perf", "mem", "record", "-e", "list")
    if status == 0 and "available" in text:
        return ""
    return "no sampling of memory accesses (PEBS of Intel, IBS of AMD, SPE of Arm): use bare metal with one of them"


def why_no_scheduler_events() -> str:
    """Why the scheduler cannot be watched, and what to do."""
    if os.geteuid():
        return "the scheduler's tracepoints are for root: run this with sudo"
    if not any((folder / "events" / "sched").is_dir() for folder in _TRACEFS):
        return "the kernel offers no tracepoints: mount -t tracefs tracefs /sys/kernel/tracing"
    return ""


def why_no_processor_trace() -> str:
    """Why Intel PT cannot be used; perf and magic-trace need it for single orders, instruction by instruction."""
    if (_PMUS / "intel_pt").is_dir():
        return ""
    return f"no Intel PT on this {platform.machine()} machine: it needs an Intel processor on bare metal"


def _stat(pid: int, seconds: float) -> str:
    return _perf("stat", "-e", ",".join(machine.counters()), "-p", str(pid), "--", "sleep", f"{seconds:g}")


def _c2c(pid: int, seconds: float) -> str:
    """The cache lines that two cores fight for. The whole machine is recorded: the other side of a line is another process."""
    with tempfile.TemporaryDirectory() as folder:
        data = f"{folder}/perf.data"
        _perf("c2c", "record", "-a", "-o", data, "--", "sleep", f"{seconds:g}")
        report = _perf("c2c", "report", "-i", data, "--stdio", "--stats", "--pid", str(pid))
    return "\n".join(report.splitlines()[:_LINES])


def _sched(pid: int, seconds: float) -> str:
    """How long it ran, and how long it waited for a core."""
    with tempfile.TemporaryDirectory() as folder:
        data = f"{folder}/perf.data"
        _perf("sched", "record", "-a", "-o", data, "--", "sleep", f"{seconds:g}")
        return _perf("sched", "timehist", "-i", data, "--pid", str(pid), "--summary")


def _perf(*arguments: str) -> str:
    ended = subprocess.run([str(machine.program("perf")), *arguments], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    said = ended.stdout + ended.stderr
    if ended.returncode:
        raise ExchangeError(f"perf {arguments[0]} failed: {said.strip().rpartition(chr(10))[2]}")
    return said.strip()


RECIPES = {
    "stat": Recipe("count cycles, instructions, branches and cache misses", why_no_counters, _stat),
    "c2c": Recipe("cache lines for which cores fight (false sharing)", why_no_memory_samples, _c2c),
    "sched": Recipe("when it ran, and how long it waited for a core", why_no_scheduler_events, _sched),
}
