"""Memory that processes share by a path: nothing in any file system, and nothing left behind when the last of them has ended.

It is a memory file of its maker, which others open through its path in /proc. The first line carries two random words that are in the address too: a
path whose maker has ended may by now be another file of another process. Byte locks on it tell who is alive (I3): every end has an open of its own,
because locks belong to an open.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import secrets
import stat
from typing import Any, NamedTuple

import numpy as np

from shm_exchange.domain.errors import Closed
from shm_exchange.domain.limits import CACHE_LINE
from shm_exchange.shm.locks import LockFile

Rows = np.ndarray[Any, Any]
_TOKEN = np.dtype([("first", "i8"), ("second", "i8")])
_NAME = "shm_exchange-pipeline"


class Place(NamedTuple):
    """Where a shared file is, and by what it is known."""

    path: str
    token: tuple[int, int]


class SharedFile:
    """One process's open of the file, mapped."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._map = mmap.mmap(fd, 0)
        self._token = np.frombuffer(self._map, _TOKEN, 1)

    @property
    def place(self) -> Place:
        """How others open it, for as long as this process has it open."""
        first, second = self._token[0].item()
        return Place(f"/proc/{os.getpid()}/fd/{self._fd}", (first, second))

    @property
    def is_closed(self) -> bool:
        """Whether this process has let it go."""
        return self._fd < 0

    def rows(self, offset: int, dtype: np.dtype[Any], count: int) -> Rows:
        """Records that lie in it. `offset` comes from a Plan."""
        return np.frombuffer(self._map, dtype, count, offset)

    def array(self, offset: int, count: int) -> ctypes.Array[ctypes.c_ubyte]:
        """Bytes that lie in it, for a library that takes them so."""
        return (ctypes.c_ubyte * count).from_buffer(self._map, offset)

    def lock_file(self) -> LockFile:
        """An open of its own for an end that lives and dies. Raises Closed when this process has let the file go."""
        if self._fd < 0:
            raise Closed("this queue was closed here")
        return LockFile(os.open(f"/proc/self/fd/{self._fd}", os.O_RDWR | os.O_CLOEXEC))

    def close(self) -> None:
        """Those who have it open keep it, and so do our own arrays. Again is harmless."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def __del__(self) -> None:
        self.close()


class Plan:
    """Hands out offsets, each at the start of a cache line."""

    def __init__(self) -> None:
        self.total_bytes = CACHE_LINE

    def take(self, total_bytes: int) -> int:
        """The offset of so many bytes."""
        offset = self.total_bytes
        self.total_bytes += total_bytes + -total_bytes % CACHE_LINE
        return offset


def make_shared(total_bytes: int) -> SharedFile:
    """A new one, zeroed but for its token."""
    fd = os.memfd_create(_NAME, os.MFD_CLOEXEC)
    os.ftruncate(fd, total_bytes)
    shared = SharedFile(fd)
    shared.rows(0, _TOKEN, 1)[0] = (secrets.randbits(62), secrets.randbits(62))
    return shared


def open_shared(place: Place) -> SharedFile:
    """The file of a place. Raises Closed when whoever gave the place has let it go."""
    gone = Closed(f"{place.path} is no queue (any more): the process that gave this address has closed it or ended")
    try:
        if not os.readlink(place.path).startswith(f"/memfd:{_NAME}"):  # noqa: PTH115 (a Path would resolve nothing more)
            raise gone
        fd = os.open(place.path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        raise gone from None
    assert stat.S_ISREG(os.fstat(fd).st_mode)
    shared = SharedFile(fd)
    if shared.place.token != place.token:
        shared.close()
        raise gone
    return shared
