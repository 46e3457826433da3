"""One page of memory on which the members of a simulation see how far the others are: the starting gun, the pace, the end.

A row a member, written by that member alone. The page is a memory file of the parent that members open by its path in
/proc: it has no name in any file system, so nothing can be left of it. It is a courtesy among participants and no part of the exchange.
"""

from __future__ import annotations

import mmap
import os
from typing import Any

import numpy as np

from shm_exchange.layout.headers import lines

PARENT_ROW, WATCHER_ROW, FIRST_TRADER_ROW = 0, 1, 2
FINISHED = 1 << 62
"""As a pace, or as the newest event: this member is done, and nobody needs to wait for it."""

ROW = lines(
    ("go", "i8"),  # parent: 1 = begin
    ("stop", "i8"),  # parent: 1 = everybody has traded, end
    ("ready", "i8"),  # member: 1 = waiting for the parent
    ("orders", "i8"),  # trader: new orders submitted
    ("commands", "i8"),
    ("pace", "i8"),  # trader: the same as `orders`, or FINISHED
    ("done", "i8"),  # trader: 1 = all it submitted was answered
    ("events", "i8"),  # watcher: the newest event it has seen
)


class Board:
    """The page, from its maker or from a member that was told its path."""

    def __init__(self, traders: int) -> None:
        self._fd = os.memfd_create("simulation board", os.MFD_CLOEXEC)
        os.ftruncate(self._fd, (FIRST_TRADER_ROW + traders) * ROW.itemsize)
        self.path = f"/proc/{os.getpid()}/fd/{self._fd}"
        self.rows = _map(self._fd)

    def close(self) -> None:
        """Members that have it open keep it."""
        os.close(self._fd)


def open_board(path: str) -> np.ndarray[Any, np.dtype[np.void]]:
    """The rows of a board, by the path its maker gave. Raises FileNotFoundError when the maker is gone."""
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        return _map(fd)
    finally:
        os.close(fd)


def _map(fd: int) -> np.ndarray[Any, np.dtype[np.void]]:
    return np.frombuffer(mmap.mmap(fd, 0), ROW)
