"""Sampling one process for a while: with perf, else with py-spy.

perf: stacks by DWARF. Kernels have no frame pointers, and neither has the usual Python or C library; but those have unwind tables, so DWARF finds
the way from a system call or out of the interpreter, and from a kernel upwards `kernels` knows it. Frame pointers end in nonsense after one frame.
py-spy: the interpreter's own frames, with `--native` the machine code on top of them; the process is stopped for every look, so it costs more.
"""

from __future__ import annotations

import math
import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from shm_exchange.domain.errors import ConfigError, ExchangeError
from shm_exchange.runtime import pidfd
from tools.profile import machine
from tools.profile.kernels import kernels_of
from tools.profile.stacks import Weighed, from_perf, from_py_spy

_STACK_BYTES = 8192
_ENDING_SECONDS = 30.0
_SPY_RATE_MAX = 200
"""Looks a second; more would stop the process for most of the time."""


@dataclass
class Profile:
    """What one process was found doing."""

    pid: int
    sampler: str
    """"perf, cycles", "perf, cpu-clock", "py-spy"."""
    rate: int
    """Samples a second of its running time."""
    seconds: float
    stacks: list[Weighed]
    named: bool
    """Whether the process kept a map of its kernels."""
    notes: list[str] = field(default_factory=list)
    """What the reader must know, in words."""

    @property
    def samples(self) -> int:
        """All of them."""
        return sum(weighed.samples for weighed in self.stacks)


def choose(wanted: str) -> tuple[str, list[str]]:
    """The sampler to use, `perf` or `py-spy`, and what must be said about it; `wanted` may be "auto". Raises ConfigError with the cure."""
    no_perf = machine.why_no_perf() if wanted != "py-spy" else ""
    no_spy = machine.why_no_py_spy() if wanted != "perf" else ""
    if wanted in ("auto", "perf") and not no_perf:
        event = machine.sampling_event()
        notes = (
            [] if event in ("cycles", "cycles:u") else ["no hardware counters here: sampled by the cpu clock, without cycles, IPC or cache misses"]
        )
        if event is not None and event.endswith(":u"):
            notes.append("Linux itself is left out, it may not be sampled: sudo sysctl kernel.perf_event_paranoid=1")
        return "perf", notes
    if wanted in ("auto", "py-spy") and not no_spy:
        return "py-spy", [f"{no_perf}; sampled with py-spy instead"] if no_perf else []
    raise ConfigError("; ".join(filter(None, ("nothing can sample here" if wanted == "auto" else "", no_perf, no_spy))))


def sample(pid: int, tool: str, seconds: float, rate: int, folder: Path) -> Profile:
    """Sample a process for `seconds`, or until it ends. What the tool itself wrote stays in `folder`. Raises ExchangeError: nothing came of it."""
    kernels = kernels_of(pid)
    handle = pidfd.open_pidfd(pid)
    started = time.monotonic()
    try:
        if tool == "perf":
            name, text = f"perf, {machine.sampling_event()}", _perf(pid, handle, seconds, rate, folder)
        else:
            rate = min(rate, _SPY_RATE_MAX)
            name, text = "py-spy", _py_spy(pid, seconds, rate, folder)
        took = time.monotonic() - started
        if not pidfd.has_ended(handle):
            kernels = kernels_of(pid)  # it may have compiled meanwhile
    finally:
        os.close(handle)
    stacks = (from_perf if tool == "perf" else from_py_spy)(text(), kernels)
    if not stacks:
        raise ExchangeError(f"not one sample of process {pid}: it slept all the time, or ended; give it more to do")
    return Profile(pid, name, rate, min(took, seconds), stacks, named=bool(kernels.functions))


def _perf(pid: int, handle: int, seconds: float, rate: int, folder: Path) -> Callable[[], str]:
    """Record; returns how to read it. perf starts `sleep` when it samples: so the seconds are those of sampling, however long it took to begin."""
    data = folder / "perf.data"
    what = ["-e", str(machine.sampling_event()), "-F", str(rate), "--call-graph", f"dwarf,{_STACK_BYTES}"]
    with _started("perf", "record", "-q", *what, "-p", str(pid), "-o", str(data), "--", "sleep", f"{seconds:g}") as recording:
        over = pidfd.open_pidfd(recording.pid)
        try:
            pidfd.readable((handle, over), seconds + _ENDING_SECONDS)
        finally:
            recording.send_signal(signal.SIGINT)
            os.close(over)
        said = recording.communicate(timeout=_ENDING_SECONDS)[0]
    if not data.exists() or not data.stat().st_size:
        raise ExchangeError(f"perf recorded nothing of process {pid}: {_last_line(said)}")
    script = ["script", "--no-inline", "-F", "tid,time,ip,sym,dso", "-i", str(data)]
    return lambda: _output("perf", *script)


def _py_spy(pid: int, seconds: float, rate: int, folder: Path) -> Callable[[], str]:
    """Record, native frames included where py-spy can do that here; returns how to read it."""
    raw = folder / "py-spy.txt"
    command = ["record", "-f", "raw", "-F", "-r", str(rate), "-d", str(math.ceil(seconds)), "-p", str(pid), "-o", str(raw)]
    for native in (["--native"], []):
        with _started("py-spy", *command, *native) as recording:
            try:
                said = recording.communicate(timeout=seconds + _ENDING_SECONDS)[0]
            finally:
                recording.send_signal(signal.SIGINT)
        if raw.exists():
            return raw.read_text
    raise ExchangeError(f"py-spy recorded nothing of process {pid}: {_last_line(said)}")


def _started(name: str, *arguments: str) -> subprocess.Popen[str]:
    """A sampler in a session of its own: the terminal's Ctrl-C is ours, and we end it."""
    path = str(machine.program(name))
    stdout, stderr = subprocess.PIPE, subprocess.STDOUT
    return subprocess.Popen([path, *arguments], stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, text=True, start_new_session=True)


def _output(name: str, *arguments: str) -> str:
    ended = subprocess.run([str(machine.program(name)), *arguments], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if ended.returncode:
        raise ExchangeError(f"{name} {arguments[0]} failed: {_last_line(ended.stderr)}")
    return ended.stdout


def _last_line(text: str) -> str:
    return text.strip().rpartition("\n")[2] or "it said nothing"
