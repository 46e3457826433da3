"""One page of memory on which the members of a simulation see how far the others are: the starting gun, the pace, the end.

A row a member, written by that member alone. The page is a memory file of the parent (`runtime.shared_array`).
"""

from __future__ import annotations

from shm_exchange.layout.headers import lines
from shm_exchange.runtime.shared_array import Array, SharedArray, open_array

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
        self._shared = SharedArray("simulation board", ROW, FIRST_TRADER_ROW + traders)
        self.path, self.rows = self._shared.path, self._shared.array

    def close(self) -> None:
        """Members that have it open keep it."""
        self._shared.close()


def open_board(path: str) -> Array:
    """The rows of a board, by the path its maker gave. Raises FileNotFoundError when the maker is gone."""
    return open_array(path, ROW)
