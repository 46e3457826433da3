"""What this machine lets us measure with: perf and its events, py-spy, and in one line what to do about each that is missing."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

PARANOID = Path("/proc/sys/kernel/perf_event_paranoid")
PTRACE_SCOPE = Path("/proc/sys/kernel/yama/ptrace_scope")
COUNTERS = ("cycles", "instructions", "branches", "branch-misses", "cache-references", "cache-misses")
_HARDWARE, _CLOCK = ("cycles", "cycles:u"), ("cpu-clock", "cpu-clock:u")
_TRIAL_SECONDS = 20


def search_path() -> str:
    """The folder of this very Python, and PATH: `python` means this one, and its environment need not be activated."""
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])


def program(name: str) -> str | None:
    """Where a program lies; None where it is not installed."""
    return shutil.which(name, path=search_path())


def said_by(*command: str) -> tuple[int, str]:
    """(exit status, all that it said) of a short command; 127 where it cannot be started."""
    try:
        ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_TRIAL_SECONDS, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired) as error:
        return 127, str(error)
    return ended.returncode, ended.stdout + ended.stderr


def setting(path: Path) -> int | None:
    """A number below /proc/sys; None where the kernel has no such switch."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


@cache
def counters() -> tuple[str, ...]:
    """The hardware counters that count here; none in most virtual machines."""
    perf = program("perf")
    if perf is None:
        return ()
    return tuple(event for event in COUNTERS if _counts(perf, event) or _counts(perf, f"{event}:u"))


@cache
def sampling_event() -> str | None:
    """With what perf can sample here: cycles, else the cpu clock; `:u` where only our own code may be seen. None where it may not at all."""
    perf = program("perf")
    if perf is None:
        return None
    for event in (*_HARDWARE, *_CLOCK):
        if _counts(perf, event) and _samples(perf, event):
            return event
    return None


def _counts(perf: str, event: str) -> bool:
    status, text = said_by(perf, "stat", "-x", ",", "-e", event, "true")
    return status == 0 and "<not" not in text


def _samples(perf: str, event: str) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        return said_by(perf, "record", "-q", "-e", event, "-o", f"{folder}/perf.data", "true")[0] == 0


def why_no_perf() -> str:
    """What keeps perf from sampling, and what to do; nothing where it samples."""
    if program("perf") is None:
        return f"perf is not installed: {install_perf()}"
    if sampling_event() is not None:
        return ""
    level = setting(PARANOID)
    if level is not None and level > 2 and os.geteuid():
        return f"perf may not sample (kernel.perf_event_paranoid is {level}): sudo sysctl kernel.perf_event_paranoid=1"
    said = said_by("perf", "record", "-q", "-e", "cpu-clock:u", "-o", os.devnull, "true")[1].strip().partition("\n")[0]
    return f"perf cannot sample ({said or 'it fails without a word'}): a container needs --cap-add PERFMON, or --security-opt seccomp=unconfined"


def install_perf() -> str:
    """The command that installs perf on this distribution."""
    names = _distribution()
    if "ubuntu" in names:
        return f"sudo apt install linux-tools-{platform.release()}"
    if names & {"fedora", "rhel", "centos"}:
        return "sudo dnf install perf"
    if "arch" in names:
        return "sudo pacman -S perf"
    return "sudo apt install linux-perf" if "debian" in names else "install your distribution's package of Linux perf"


def _distribution() -> set[str]:
    try:
        known = platform.freedesktop_os_release()
    except OSError:
        return set()
    return {known.get("ID", ""), *known.get("ID_LIKE", "").split()}


def why_no_py_spy() -> str:
    """What keeps py-spy from looking at processes of ours, and what to do; nothing where it can."""
    if program("py-spy") is None:
        return "py-spy is not installed: pip install 'shm-exchange[profile]'"
    scope = setting(PTRACE_SCOPE) or 0
    if scope > 0 and os.geteuid():
        return f"py-spy may not look at a process it did not start (kernel.yama.ptrace_scope is {scope}): sudo sysctl kernel.yama.ptrace_scope=0"
    return ""
