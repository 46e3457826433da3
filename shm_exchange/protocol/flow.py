"""What every file becomes before it is replayed: commands in the order of the file, who sends each, and when."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from shm_exchange.domain.enums import CommandKind, TimeInForce
from shm_exchange.domain.instrument import Instrument
from shm_exchange.layout.records import COMMAND

Records = np.ndarray
"""Of one of the project's dtypes, one-dimensional unless it says otherwise."""
Numbers = np.ndarray
"""Of int64."""

NO_ROW = -1
"""Row of a command that stands in no file: it makes the book that was there before the first row."""


class Flow(NamedTuple):
    """A day to be replayed. Orders are named by `client_order_id` alone: order ids are made when they are submitted."""

    commands: Records  # COMMAND[n]; `number`, `order_id` and `time_ns` are 0
    session_of: Numbers  # i8[n]: index into `sessions`
    rows: Numbers  # i8[n]: the row of the file that each command came from, never falling; NO_ROW = before the first
    time_ns: Numbers | None  # i8[n], never falling; None where the file tells no times
    sessions: tuple[str, ...]
    instruments: tuple[Instrument, ...]  # `commands["instrument"]` counts in them

    def open_orders_bound(self) -> int:
        """As many orders as can be open at once, were nothing ever traded: entered and not yet canceled by name."""
        kind, ids = self.commands["kind"], self.commands["client_order_id"]
        rests = (kind == CommandKind.ENTER) & (self.commands["time_in_force"] == TimeInForce.GTC)
        told = np.flatnonzero(rests | ((kind == CommandKind.CANCEL) & (ids != 0)))
        told = told[np.lexsort((ids[told], self.session_of[told]))]
        before, after = told[:-1], told[1:]
        same = (ids[before] == ids[after]) & (self.session_of[before] == self.session_of[after])
        change = rests.astype(np.int64)
        change[after[same & rests[before] & ~rests[after]]] -= 1
        return max(1, int(np.cumsum(change).max(initial=0)))

    def pages_bound(self, levels_a_page: int) -> int:
        """As many pages of price levels as these prices can touch, both sides."""
        pages = np.stack([self.commands["instrument"].astype(np.int64), self.commands["price_ticks"] // levels_a_page], axis=1)
        return 2 * len(np.unique(pages, axis=0))


def new_commands(count: int) -> Records:
    """So many empty COMMAND records."""
    return np.zeros(count, COMMAND)
