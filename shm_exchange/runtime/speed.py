"""What makes an exchange slower, its figures noisier, or a tool fail: nothing here prevents running."""

from __future__ import annotations

import os
import resource
import shutil
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

from shm_exchange.runtime import machine
from shm_exchange.runtime.cgroups import core_quota, cpuset
from shm_exchange.runtime.findings import Finding, Verdict, ok, warning
from shm_exchange.runtime.machine import ROOT

FAST_CLOCKS = ("tsc", "kvm-clock", "arch_sys_counter")
_PARANOID = 2
"""Up to here perf may look at processes of one's own."""
_IDLE = 0.5
_UNKNOWN = "the kernel does not say"


def speed(cores: Sequence[int], root: Path = ROOT) -> Iterator[Finding]:
    """Everything that concerns processes on these cores."""
    yield number_of_cores(cores, root)
    yield quota(cores, root)
    yield siblings(cores, root)
    yield caches(cores, root)
    yield from frequency(cores, root)
    yield clock(root)
    yield huge_pages(root)
    yield swap(root)
    yield locked_memory(resource.getrlimit(resource.RLIMIT_MEMLOCK)[0])
    yield load(root)
    yield hypervisor(root)
    profiler = perf(root, shutil.which("perf"))
    yield profiler
    yield py_spy(_installed("py_spy", "py-spy"), needed=profiler.verdict is not Verdict.OK)
    yield faster_fifo(_installed("faster_fifo", "faster-fifo"))


def number_of_cores(cores: Sequence[int], root: Path) -> Finding:
    """How many, and who says so."""
    group = cpuset(root)
    found = f"{_list(cores)}, of {os.cpu_count()} that are online" + (f" (cpuset {group})" if group else "")
    if len(cores) == 1:
        return warning("cores", found, "give it two cores or more (taskset, cpuset, --cpuset-cpus): on one, matcher and gateways take turns")
    return ok("cores", found)


def quota(cores: Sequence[int], root: Path) -> Finding:
    """Time that the control group rations."""
    allowed = core_quota(root)
    if allowed is None or allowed >= len(cores):
        return ok("cpu quota", "none" if allowed is None else f"{allowed:g} cores of time, enough for all of them")
    cure = "lift cpu.max of the control group (docker run without --cpus): whoever spins is stopped for the rest of each period"
    return warning("cpu quota", f"{allowed:g} cores of time for {len(cores)} cores", cure)


def siblings(cores: Sequence[int], root: Path) -> Finding:
    """Threads of one core slow each other down."""
    shared = machine.smt_siblings(cores, root)
    if not shared:
        return ok("SMT", "no two of these cores are threads of one")
    groups = " and ".join(_list(group) for group in shared)
    return warning("SMT", f"{groups} share execution units", "pin matcher and gateways to one of each, e.g. with --core or taskset")


def caches(cores: Sequence[int], root: Path) -> Finding:
    """A line between cores of one level 3 cache costs a third of one between two."""
    groups = machine.l3_groups(cores, root)
    size = machine.cache_bytes(cores[0], 3, root)
    if not groups:
        return ok("L3 cache", _UNKNOWN)
    if len(groups) == 1:
        return ok("L3 cache", f"one for all of these cores{f', {size >> 20:,} MiB' if size else ''}")
    text = "; ".join(_list(group) for group in groups)
    return warning("L3 cache", f"{len(groups)} of them: {text}", "keep matcher and gateways on cores that share one, e.g. with --core or taskset")


def frequency(cores: Sequence[int], root: Path) -> Iterator[Finding]:
    """A clock that follows load or heat."""
    names = sorted({name for core in cores if (name := machine.governor(core, root))})
    if not names or names == ["performance"]:
        yield ok("governor", names[0] if names else _UNKNOWN)
    else:
        yield warning("governor", ", ".join(names), "cpupower frequency-set -g performance: now the clock follows the load")
    boost = machine.turbo(root)
    if boost:
        yield warning("turbo", "on", "compare interleaved runs only, or switch it off: the clock follows heat and neighbours")
    else:
        yield ok("turbo", _UNKNOWN if boost is None else "off")


def clock(root: Path) -> Finding:
    """What reading the time costs."""
    source = machine.clock_source(root)
    if source in (None, *FAST_CLOCKS):
        return ok("clock", source or _UNKNOWN)
    return warning("clock", f"{source}: reading it is a system call", "boot with clocksource=tsc where the processor's clock is reliable")


def huge_pages(root: Path) -> Finding:
    """Transparent huge pages are made in the background, while somebody waits."""
    private, shared = machine.huge_pages(root), machine.huge_pages_shared(root)
    found = f"{private or _UNKNOWN}, shared memory {shared or _UNKNOWN}"
    if private != "always":
        return ok("huge pages", found)
    cure = "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled: compaction may stall a process"
    return warning("huge pages", found, cure)


def swap(root: Path) -> Finding:
    """Shared memory can be swapped out like any other."""
    size = machine.swap_bytes(root)
    if not size:
        return ok("swap", "none")
    return warning("swap", f"{size >> 20:,} MiB", "swapoff -a while measuring: pages of an exchange may be swapped out")


def locked_memory(limit: int) -> Finding:
    """Nothing here locks memory; perf does, for its buffers."""
    least = 64 << 10
    found = "any amount" if limit == resource.RLIM_INFINITY else f"{limit >> 10:,} KiB"
    if limit == resource.RLIM_INFINITY or limit >= least:
        return ok("locked memory", f"{found}; an exchange locks none, perf its buffers")
    return warning("locked memory", found, "allow more with `ulimit -l 8192`: perf record has no room for its buffers; an exchange needs none")


def load(root: Path) -> Finding:
    """Somebody else's work."""
    average = machine.load_average(root)
    if average is None or average <= _IDLE:
        return ok("load", _UNKNOWN if average is None else f"{average:.2f}")
    return warning("load", f"{average:.2f} processes wanted to run in the last minute", "end what else runs before measuring, or wait a minute")


def hypervisor(root: Path) -> Finding:
    """Nobody can help it, but everybody should know."""
    virtual = machine.virtual_machine(root)
    what = {True: "a virtual machine: the host may take time away unseen, which the tail shows", False: "bare metal", None: _UNKNOWN}[virtual]
    return ok("machine", f"{machine.cpuinfo('model name', root) or 'unknown processor'}, {what}")


def perf(root: Path, program: str | None) -> Finding:
    """Whether a profile can be taken."""
    level = machine.perf_event_paranoid(root)
    if level is None:
        return warning("perf", "this kernel counts no events", "tools.profile uses py-spy instead: pip install 'shm-exchange[profile]'")
    found = f"perf_event_paranoid is {level}"
    if level > _PARANOID:
        return warning("perf", found, f"sysctl kernel.perf_event_paranoid={_PARANOID}, or nobody but root can profile")
    if program is None:
        cure = "install perf: apt install linux-perf (Debian) or linux-tools-$(uname -r) (Ubuntu), dnf install perf (Fedora)"
        return warning("perf", f"{found}, but perf is not installed", cure)
    return ok("perf", f"{found}, {program}")


def py_spy(installed: bool, *, needed: bool) -> Finding:
    """The profiler that needs no leave of the kernel's."""
    if installed or not needed:
        return ok("py-spy", "installed" if installed else "not installed, and not needed where perf works")
    return warning("py-spy", "not installed", "pip install 'shm-exchange[profile]': without perf, nothing else can profile")


def faster_fifo(installed: bool) -> Finding:
    """The queue that `bench transports` compares the lane with."""
    if installed:
        return ok("faster-fifo", "installed")
    return warning("faster-fifo", "not installed", "pip install faster-fifo (x86-64 only): `bench transports` leaves its row out")


def _installed(module: str, program: str) -> bool:
    return find_spec(module) is not None or shutil.which(program) is not None


def _list(cores: Sequence[int]) -> str:
    return f"core {cores[0]}" if len(cores) == 1 else f"cores {', '.join(map(str, cores))}"
