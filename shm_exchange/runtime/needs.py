"""What an exchange cannot run without, checked one by one: system, libraries, shared memory, system calls, limits, the place for kernels."""

from __future__ import annotations

import mmap
import os
import platform
import resource
import shutil
import sys
import warnings
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from shm_exchange._cache import cache_folder, cache_root
from shm_exchange.domain.config import ExchangeConfig
from shm_exchange.domain.instrument import Instrument
from shm_exchange.domain.limits import PAGE
from shm_exchange.runtime import trials
from shm_exchange.runtime.cgroups import memory_limit
from shm_exchange.runtime.findings import Finding, ok, problem, warning
from shm_exchange.runtime.machine import ROOT
from shm_exchange.shm import SHM_DIR
from shm_exchange.shm.space import bytes_free, bytes_needed

_KERNEL = (5, 4)
"""The oldest long-term kernel with pidfd_open (5.3); everything else is older."""
_MACHINES = ("x86_64", "aarch64")
_PYTHON = (3, 11)
_LIBRARIES = ("numpy", "numba", "psutil", "rich", "typer")
_OPEN_FILES = (64, 256)
_MEMORY = (256 << 20, 1 << 30)
_CACHE_BYTES = 200 << 20
_MIB = 1 << 20


def needs(root: Path = ROOT, directory: Path = Path(SHM_DIR)) -> Iterator[Finding]:
    """Everything, in the order in which a start would meet it."""
    yield system()
    yield python()
    yield from libraries()
    yield interpreted()
    yield shared_memory(directory)
    yield memory(root)
    yield _trial("locks and mapping", trials.shared_memory_refused(directory), "an exchange cannot say who is alive")
    yield _trial("pidfd", trials.pidfd_refused(), "a supervisor cannot watch its processes")
    yield _trial("futex", trials.import_refused("shm_exchange._intrinsics") or trials.futex_refused(), "nobody can sleep until there is work")
    yield open_files(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    yield kernel_cache()


def system(release: str = "", machine: str = "", page: int = mmap.PAGESIZE) -> Finding:
    """Kernel, processor and page size."""
    release, machine = release or platform.release(), machine or platform.machine()
    found = f"Linux {release} on {machine}, pages of {page} bytes"
    numbers = tuple(int(part) for part in release.split("-")[0].split(".")[:2] if part.isdecimal())
    if machine not in _MACHINES:
        return problem("system", found, f"use a machine with one of {', '.join(_MACHINES)}")
    if page != PAGE:
        return problem("system", found, f"boot a kernel with pages of {PAGE} bytes: writers are kept apart page by page")
    if numbers and numbers < _KERNEL:
        return problem("system", found, f"use Linux {'.'.join(map(str, _KERNEL))} or newer")
    return ok("system", found)


def python(here: tuple[int, int] = sys.version_info[:2]) -> Finding:
    """The interpreter."""
    found = f"{platform.python_implementation()} {platform.python_version()}"
    if here < _PYTHON:
        return problem("Python", found, f"use Python {'.'.join(map(str, _PYTHON))} or newer")
    return ok("Python", found)


def libraries(names: tuple[str, ...] = _LIBRARIES) -> Iterator[Finding]:
    """What the package depends on, imported for real."""
    for name in names:
        refused = trials.import_refused(name)
        found = _version(name)
        if refused:
            yield problem(
                name, f"{found} cannot be imported: {refused}", f"install it anew: {sys.executable} -m pip install --force-reinstall {name}"
            )
        else:
            yield ok(name, found)


def interpreted(switch: str | None = None) -> Finding:
    """Whether kernels are compiled at all."""
    value = os.environ.get("NUMBA_DISABLE_JIT", "0") if switch is None else switch
    if value not in ("", "0"):
        return problem("compiler", "NUMBA_DISABLE_JIT is set: interpreted kernels are not atomic", "unset NUMBA_DISABLE_JIT")
    return ok("compiler", "kernels are compiled")


def shared_memory(directory: Path) -> Finding:
    """Room for the default exchange."""
    name = str(directory)
    needed = bytes_needed(ExchangeConfig("default", (Instrument("ACME"),)))
    if not directory.is_dir():
        return problem(name, "is missing", f"mount -t tmpfs tmpfs {directory}")
    if not os.access(directory, os.W_OK | os.X_OK):
        return problem(name, "cannot be written", f"chmod 1777 {directory}, or run as a user who may write there")
    free = bytes_free(directory)
    found = f"{_mib(free)} free, the default exchange needs {_mib(needed)}"
    size = f"{-(-2 * needed // _MIB)}m"
    cure = f"remove what the dead left with `shm-exchange clean`, or mount -o remount,size={size} {directory} (docker run --shm-size={size})"
    return ok(name, found) if free >= needed else problem(name, found, cure)


def memory(root: Path) -> Finding:
    """What the control group allows."""
    limit = memory_limit(root)
    if limit is None:
        return ok("memory limit", "none")
    found = f"{_mib(limit.limit)}, {_mib(limit.used)} in use; a process with kernels takes about 200 MiB"
    least, comfortable = _MEMORY
    cure = f"raise memory.max of the control group (docker run --memory={_mib(comfortable).replace(' MiB', 'm').replace(',', '')})"
    if limit.limit < least:
        return problem("memory limit", found, cure)
    return warning("memory limit", found, cure) if limit.limit < comfortable else ok("memory limit", found)


def open_files(limit: int) -> Finding:
    """Descriptors: a few a process, and three for each child of a supervisor."""
    found = "any number" if limit == resource.RLIM_INFINITY else f"{limit:,}"
    least, comfortable = _OPEN_FILES
    if limit == resource.RLIM_INFINITY or limit >= comfortable:
        return ok("open files", found)
    return (problem if limit < least else warning)("open files", found, "allow more with `ulimit -n 4096`")


def kernel_cache() -> Finding:
    """Where machine code is kept."""
    wanted = cache_root()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        folder = Path(cache_folder())
    free = shutil.disk_usage(folder).free
    found = f"{folder}, {_mib(free)} free"
    if folder.parent != wanted:
        cure = f"make {wanted} a folder of yours with mode 0700, or set SHM_EXCHANGE_CACHE to one: kernels are compiled again after every boot"
        return warning("kernel cache", f"{wanted} cannot be used; {found}", cure)
    if free < _CACHE_BYTES:
        return warning(
            "kernel cache", found, "make room there, or set SHM_EXCHANGE_CACHE to another folder: `shm-exchange clean --all` frees old kernels"
        )
    return ok("kernel cache", found)


def _trial(name: str, refused: str, consequence: str) -> Finding:
    if not refused:
        return ok(name, "tried, works")
    cure = "allow it in the sandbox that runs this process (docker run --security-opt seccomp=unconfined shows whether it is that)"
    return problem(name, f"refused: {refused}; {consequence}", cure)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown version"


def _mib(count: int) -> str:
    return f"{count / _MIB:,.0f} MiB"
