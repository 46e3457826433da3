"""Where compiled kernels are kept: a folder of ours alone, named by everything that can change the machine code.

`$SHM_EXCHANGE_CACHE`, else `$XDG_CACHE_HOME/shm_exchange`, else `~/.cache/shm_exchange`; below it one folder for each hash of (package
sources, where they lie, numba, numpy, Python, processor, mode). The folder is 0700 and must belong to us, because what lies in it
is executed. Where it cannot be made (an unwritable HOME), kernels go to a private temporary folder, with a warning: they are then compiled once per
boot, not once.
numba does not notice a change in an imported file, hence the hash of all sources that hold kernels, or constants and records that kernels use;
and it does not find again what was compiled from the same sources at another place. (Nor at another time: `runtime.warm` looks at that.)
"""

from __future__ import annotations

import hashlib
import os
import stat
import sys
import tempfile
import warnings
from functools import cache
from importlib.metadata import version
from pathlib import Path

_PACKAGE = Path(__file__).parent
_WHOLE_ROOMS = ("domain", "layout", "engine")
TEMPORARY_PREFIX = "shm_exchange-cache-"
"""Of the folders that stand in where the wanted one cannot be written."""
_KERNEL_MARKS = (b"@kernel", b"@inlined")


@cache
def cache_folder() -> str:
    """The kernel cache of this very build, made and checked; children inherit it through `SHM_EXCHANGE_CACHE`."""
    wanted = cache_root() / build_name()
    if _make_private(wanted):
        return str(wanted)
    fallback = temporary_root() / f"{TEMPORARY_PREFIX}{os.getuid()}"
    folder = fallback / build_name()
    if not _make_private(fallback) or not _make_private(folder):
        folder = Path(tempfile.mkdtemp(prefix=TEMPORARY_PREFIX))
        os.environ["SHM_EXCHANGE_CACHE"] = str(folder)
        folder = folder / build_name()
        folder.mkdir(mode=0o700)
    if "SHM_EXCHANGE_CHILD" not in os.environ:
        warnings.warn(
            f"cannot keep compiled kernels in {wanted}: not writable, or not ours; using {folder}. Set SHM_EXCHANGE_CACHE to a folder of yours.",
            RuntimeWarning,
            stacklevel=2,
        )
    return str(folder)


def cache_root() -> Path:
    """Where the folders of all builds lie."""
    if chosen := os.environ.get("SHM_EXCHANGE_CACHE"):
        return Path(chosen)
    if xdg := os.environ.get("XDG_CACHE_HOME"):
        return Path(xdg) / "shm_exchange"
    return Path("~").expanduser() / ".cache" / "shm_exchange"


def temporary_root() -> Path:
    """Where folders that stand in are made."""
    return Path(tempfile.gettempdir())


def _make_private(folder: Path) -> bool:
    """Make `folder` 0700; False where it cannot be written or belongs to somebody else."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.lstat()
    except OSError:
        return False
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o022:
        return False
    return os.access(folder, os.R_OK | os.W_OK | os.X_OK)


@cache
def build_name() -> str:
    """A hash of all that can change the machine code: the folder's name."""
    digest = hashlib.sha256()
    for source, text in _kernel_sources():
        digest.update(f"{source}\0".encode() + text + b"\0")
    digest.update(f"{version('numba')} {version('llvmlite')} {version('numpy')} {sys.version} {_processor()}".encode())
    digest.update(os.environ.get("NUMBA_BOUNDSCHECK", "0").encode())
    return digest.hexdigest()[:16]


@cache
def source_times() -> str:
    """When the sources of kernels were written, in short: numba compiles a kernel anew whose file is newer than what it has."""
    digest = hashlib.sha256()
    for source, _ in _kernel_sources():
        digest.update(f"{source}\0{source.stat().st_mtime_ns}\0".encode())
    return digest.hexdigest()[:12]


@cache
def _kernel_sources() -> tuple[tuple[Path, bytes], ...]:
    texts = ((source, source.read_bytes()) for source in sorted(_PACKAGE.rglob("*.py")))
    return tuple((source, text) for source, text in texts if source.parent.name in _WHOLE_ROOMS or any(mark in text for mark in _KERNEL_MARKS))


def _processor() -> str:
    """Model and feature flags: machine code of one processor must not run on another that shares the home folder."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return os.uname().machine
    wanted = ("model name", "flags", "Features", "CPU part")
    return "\n".join(dict.fromkeys(line for line in lines if line.startswith(wanted)))
