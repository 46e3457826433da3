"""The compiled kernels that are kept on this machine: those of this very build, and of all others that ever ran here.

Nothing is lost with them but time: what is needed is compiled again. Processes that run have their machine code in memory.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from shm_exchange._cache import TEMPORARY_PREFIX, build_name, cache_root, temporary_root
from shm_exchange.runtime.warm import LOCK_NAME

_BUILD = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True)
class KernelCache:
    """The folder of one build."""

    folder: Path
    size: int
    """Bytes of its files."""
    is_current: bool
    """Whether this very build would use it."""

    def remove(self) -> bool:
        """Remove the folder; False while somebody fills it, or where it cannot be removed."""
        with _nobody_fills(self.folder) as free:
            if free:
                shutil.rmtree(self.folder, ignore_errors=True)
        return not self.folder.exists()


def kernel_caches() -> list[KernelCache]:
    """All of them, the largest first: below the cache folder, and those that had to stand in for it."""
    roots = [cache_root(), *sorted(temporary_root().glob(f"{TEMPORARY_PREFIX}*"))]
    found = {folder for root in dict.fromkeys(roots) for folder in _builds(root)}
    caches = [KernelCache(folder, _size(folder), folder.name == build_name()) for folder in found]
    return sorted(caches, key=lambda cache: (-cache.size, str(cache.folder)))


def _builds(root: Path) -> Iterator[Path]:
    """Folders of ours that are named by a build; nothing is followed that somebody else may have put there."""
    if not _is_own_folder(root):
        return
    for folder in root.iterdir():
        if _BUILD.fullmatch(folder.name) and _is_own_folder(folder):
            yield folder


def _is_own_folder(path: Path) -> bool:
    try:
        status = path.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid()


def _size(folder: Path) -> int:
    return sum((Path(place) / name).lstat().st_size for place, _, names in os.walk(folder) for name in names)


@contextmanager
def _nobody_fills(folder: Path) -> Iterator[bool]:
    """Hold the lock under which kernels are compiled; False where another process has it."""
    try:
        fd = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError:
        yield False
        return
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield True
    except BlockingIOError:
        yield False
    finally:
        os.close(fd)
