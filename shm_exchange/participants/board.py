"""One page of memory on which the members of a simulation see how far the others are: the starting gun, the pace, the end.

A row a member, written by that member alone. It is a courtesy among participants and no part of the exchange.
"""

from __future__ import annotations

from shm_exchange.layout.headers import lines
from shm_exchange.participants.memory import SharedTable, Table, open_table

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


class Board(SharedTable):
    """The page, from its maker."""

    def __init__(self, traders: int) -> None:
        super().__init__("simulation board", ROW, FIRST_TRADER_ROW + traders)


def open_board(path: str) -> Table:
    """The rows of a board, by the path its maker gave. Raises FileNotFoundError when the maker is gone."""
    return open_table(path, ROW)
