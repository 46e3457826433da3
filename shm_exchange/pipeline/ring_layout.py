"""The memory of a RingQueue: what lies where, and who writes it.

    READER     one line      consumer      who it is, the greatest size
    PARKED     one line      hint          1 while the consumer sleeps on it
    TAIL       a line a lane producer      what was put
    HEAD       a line a lane consumer      what was taken, and finished
    PARKED     a line a lane hint          1 while the producer sleeps on it
    lanes      slots, or for `conflate` keys with two copies each

Positions only grow. Waiting: taken … tail. In hand: head … taken. A lane has at least 2 × maxsize slots: maxsize may wait while maxsize are in hand,
and what is in hand stays in its slot until it is finished, so that it can be given out again.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from shm_exchange.domain.limits import CACHE_LINE
from shm_exchange.layout.headers import PARKED, lines
from shm_exchange.pipeline.shared import Plan, Rows, SharedFile

CONSUMER_BYTE = 0
"""The consumer's lock; that of lane n is byte n + 1."""
ABSENT, HERE, GONE = 0, 1, 2
"""State of an end: never came; came, and may have been killed since; closed."""

READER = lines(
    ("state", "i8"),
    ("high_water", "i8"),  # most items seen waiting, in all lanes
)
TAIL = lines(
    ("tail", "i8"),  # next position to be put; for `conflate`: of the ring of dirty keys
    ("state", "i8"),
    ("refused", "i8"),  # dropped by policy `timeout`
    ("blocked_ns", "i8"),
)
HEAD = lines(
    ("head", "i8"),  # next position to be finished
    ("taken", "i8"),  # next position to be taken
    ("lost", "i8"),  # passed by because they were overwritten; they count into head
    ("skip_head", "i8"),  # while `skipping`: what head and lost will be. A killed consumer's successor does it again
    ("skip_lost", "i8"),
    ("skipping", "i8"),
    ("consumed", "i8"),  # `conflate` only: versions finished
)
WORD = np.dtype([("value", "i8")])
"""A word of an item, by its address."""
NUMBER_WORDS = 1
"""Before the words of an item its slot carries its number: position + 1, or 0 while it is overwritten. Only `drop_oldest` asks."""

LATEST = np.dtype([("version", "i8")])
"""A key's newest version; written by the producer. Copy `version & 1` of the key holds it."""
KEY = np.dtype([("taken", "i8"), ("finished", "i8")])
"""Versions of a key that the consumer has taken and finished."""
DIRTY = np.dtype([("key", "i8")])
"""A key of which there is something to take; written by the producer."""

WORD_BYTES, KEY_BYTES = 8, 16
assert WORD_BYTES == WORD.itemsize == LATEST.itemsize == DIRTY.itemsize
assert KEY.itemsize == KEY_BYTES
assert READER.itemsize == TAIL.itemsize == HEAD.itemsize == PARKED.itemsize == CACHE_LINE
_SLOTS_MIN = 16
"""A consumer of few items has the time of so many puts to copy one that is about to be overwritten."""


class Shape(NamedTuple):
    """Sizes of a ring, all that its layout depends on."""

    item_bytes: int
    maxsize: int
    lanes: int
    by_key: bool

    @property
    def words(self) -> int:
        """Of an item."""
        return -(-self.item_bytes // WORD.itemsize)

    @property
    def slots(self) -> int:
        """Of a lane: a power of two. For `conflate`: of its ring of dirty keys."""
        least = self.maxsize if self.by_key else max(2 * self.maxsize, _SLOTS_MIN)
        return 1 << (least - 1).bit_length()


class RingMemory:
    """The parts of a ring, as arrays over its shared file. `lanes`: their first bytes as offsets in `bytes`."""

    def __init__(self, shape: Shape, shared: SharedFile) -> None:
        parts = _Parts(shape)
        self.shape = shape
        self.shared = shared
        self.reader = shared.rows(parts.reader, READER, 1)
        self.reader_parked = shared.rows(parts.reader_parked, PARKED, 1)
        self.tails = shared.rows(parts.tails, TAIL, shape.lanes)
        self.heads = shared.rows(parts.heads, HEAD, shape.lanes)
        self.parked = shared.rows(parts.parked, PARKED, shape.lanes)
        if shape.by_key:
            keys = shape.lanes * shape.maxsize
            self.latest = shared.rows(parts.latest, LATEST, keys).reshape(shape.lanes, -1)
            self.keys = shared.rows(parts.keys, KEY, keys).reshape(shape.lanes, -1)
            self.dirty = shared.rows(parts.dirty, DIRTY, shape.lanes * shape.slots).reshape(shape.lanes, -1)
        self.items = shared.rows(parts.items, WORD, shape.lanes * _lane_words(shape)).reshape(shape.lanes, -1)

    @staticmethod
    def total_bytes(shape: Shape) -> int:
        """What a ring of that shape needs."""
        return _Parts(shape).total_bytes


class _Parts(Plan):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.reader = self.take(READER.itemsize)
        self.reader_parked = self.take(PARKED.itemsize)
        self.tails = self.take(TAIL.itemsize * shape.lanes)
        self.heads = self.take(HEAD.itemsize * shape.lanes)
        self.parked = self.take(PARKED.itemsize * shape.lanes)
        if shape.by_key:
            self.latest = self.take(LATEST.itemsize * shape.maxsize * shape.lanes)
            self.keys = self.take(KEY.itemsize * shape.maxsize * shape.lanes)
            self.dirty = self.take(DIRTY.itemsize * shape.slots * shape.lanes)
        self.items = self.take(WORD.itemsize * _lane_words(shape) * shape.lanes)


def _lane_words(shape: Shape) -> int:
    """Slots with their numbers, or two copies of every key."""
    return shape.maxsize * 2 * shape.words if shape.by_key else shape.slots * (NUMBER_WORDS + shape.words)


def address(rows: Rows) -> int:
    """Where an array lies."""
    place: Any = rows.ctypes.data
    return int(place)
