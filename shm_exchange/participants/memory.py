"""Records in memory that processes share by a path: one writer a record, no name in any file system, nothing that could be left behind."""

from __future__ import annotations

import mmap
import os
from typing import Any

import numpy as np

Table = np.ndarray[Any, np.dtype[np.void]]


class SharedTable:
    """`count` zeroed records. It is a memory file of its maker, which others open by its path in /proc."""

    def __init__(self, what: str, dtype: np.dtype[np.void], count: int) -> None:
        self._fd = os.memfd_create(what, os.MFD_CLOEXEC)
        os.ftruncate(self._fd, count * dtype.itemsize)
        self.path = f"/proc/{os.getpid()}/fd/{self._fd}"
        self.rows = _map(self._fd, dtype)

    def close(self) -> None:
        """Those who have it open keep it, and so do our own views. Again is harmless."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


def open_table(path: str, dtype: np.dtype[np.void]) -> Table:
    """The records of a table, by the path its maker gave. Raises FileNotFoundError when the maker is gone."""
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        return _map(fd, dtype)
    finally:
        os.close(fd)


def _map(fd: int, dtype: np.dtype[np.void]) -> Table:
    return np.frombuffer(mmap.mmap(fd, 0), dtype)
