"""A lane in private memory, with both its ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from shm_exchange.layout.headers import ACTIVITY, LANE_HEAD, PARKED
from shm_exchange.layout.records import COMMAND, COMMAND_WORDS
from shm_exchange.ring.lane import new_producer, take

SESSION = 3
PAYLOAD = ("order_id", "client_order_id", "price_ticks", "quantity", "kinds", "terms")


class Lane(NamedTuple):
    """The words of one lane."""

    slots: np.ndarray  # COMMAND[capacity]
    head: np.ndarray  # LANE_HEAD[1]
    activity: np.ndarray  # ACTIVITY[1]
    parked: np.ndarray  # PARKED[1]

    def producer(self) -> np.ndarray:
        """The gateway's end, as a gateway that has just attached makes it."""
        return new_producer(self.slots, self.head, self.activity, self.parked, SESSION)

    def take(self, position: int) -> tuple[int, ...] | None:
        """The payload of the command at `position`, as the matcher copies it; None when nothing was submitted there."""
        record = np.zeros(1, COMMAND_WORDS).view(np.recarray)[0]
        if not take(self.slots.ctypes.data, len(self.slots), position, record):
            return None
        return tuple(int(record[name]) for name in PAYLOAD)

    def free(self, position: int) -> None:
        """Say that everything below `position` was taken."""
        self.head[0].head = position


def new_lane(capacity: int, first: int = 1) -> Lane:
    """An empty lane whose next position is `first`."""
    lane = Lane(
        np.zeros(capacity, COMMAND).view(np.recarray),
        np.zeros(1, LANE_HEAD).view(np.recarray),
        np.zeros(1, ACTIVITY).view(np.recarray),
        np.zeros(1, PARKED).view(np.recarray),
    )
    lane.free(first)
    return lane


def words_of(payloads: Sequence[tuple[int, ...]]) -> np.ndarray:
    """COMMAND_WORDS records with these payloads, and garbage where `submit_many` must not look."""
    words = np.zeros(len(payloads), COMMAND_WORDS).view(np.recarray)
    for word, payload in zip(words, payloads, strict=True):
        for name, value in zip(PAYLOAD, payload, strict=True):
            word[name] = value
        word.number, word.time_ns = -1, 77
    return words
