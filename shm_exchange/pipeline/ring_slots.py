"""Which slot of a lane a key has (`conflate`): known to the lane's producer alone, and learnt anew from the lane by its successor."""

from __future__ import annotations

from typing import Any

import numpy as np

from shm_exchange.pipeline.ring_keys import take_over_lane
from shm_exchange.pipeline.ring_layout import WORD, RingMemory, address
from shm_exchange.pipeline.shared import Rows
from shm_exchange.pipeline.terms import Terms


class KeySlots:
    """The slots of one lane. A key keeps its slot until another needs it, and nothing of the first waits or is in hand any more."""

    def __init__(self, terms: Terms, dtype: np.dtype[Any], key: str, memory: RingMemory, lane: int, own: Rows) -> None:
        self._terms, self._key = terms, key
        self._latest, self._finished = memory.latest["version"][lane], memory.keys["finished"][lane]
        self._head = memory.heads["head"][lane : lane + 1]
        self._entries = np.zeros(terms.maxsize, WORD)
        own["entries"] = address(self._entries)
        copies = memory.items[lane].view(np.uint8).reshape(terms.maxsize, 2, -1)[:, :, : dtype.itemsize]
        newest = copies[np.arange(terms.maxsize), self._latest & 1]
        values = np.ascontiguousarray(newest).view(dtype)[key].ravel().tolist()
        self._slots = {value: slot for slot, value in enumerate(values) if self._latest[slot]}
        self._keys: list[object] = [value if self._latest[slot] else None for slot, value in enumerate(values)]
        self._spare = [slot for slot in reversed(range(terms.maxsize)) if not self._latest[slot]]
        take_over_lane(address(own), address(memory.keys[lane]))

    def numbers(self, rows: Rows) -> Rows:
        """The slots of the rows' keys, in order, up to a new key, or of that one alone. Raises ConfigError when there is no slot for it."""
        keys = rows[self._key].tolist()
        known = []
        for key in keys:
            slot = self._slots.get(key)
            if slot is None:
                break
            known.append(slot)
        return np.array(known or [self._new(keys[0])], np.int64)

    def _new(self, key: object) -> int:
        if self._spare:
            slot = self._spare.pop()
        else:
            passed = self._head >= self._entries["value"]
            free = np.flatnonzero((self._latest == self._finished) & passed)
            if not len(free):
                raise self._terms.too_many_keys()
            slot = int(free[0])
            del self._slots[self._keys[slot]]
        self._slots[key], self._keys[slot] = slot, key
        return slot
