"""One array that several of our processes see: a memory file of its maker, which the others open by its path in /proc.

It has no name in any file system, so nothing can be left of it. It is a courtesy among helpers, and no part of an exchange.
"""

from __future__ import annotations

import mmap
import os
from typing import Any, Self

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


class SharedArray:
    """`count` zeroed records of `dtype`. Whoever has opened it keeps it when the maker closes it."""

    def __init__(self, name: str, dtype: np.dtype[Any], count: int) -> None:
        self._fd = os.memfd_create(name, os.MFD_CLOEXEC)
        os.ftruncate(self._fd, count * dtype.itemsize)
        self.path = f"/proc/{os.getpid()}/fd/{self._fd}"
        self.array = _map(self._fd, dtype)

    def close(self) -> None:
        """Nobody can open it any more."""
        os.close(self._fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_array(path: str, dtype: np.dtype[Any]) -> Array:
    """The array of another process, by the path its maker gave. Raises FileNotFoundError when the maker is gone."""
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        return _map(fd, dtype)
    finally:
        os.close(fd)


def _map(fd: int, dtype: np.dtype[Any]) -> Array:
    return np.frombuffer(mmap.mmap(fd, 0), dtype)
