"""The two ends of a RingQueue: Python around the kernels, and what only the kernel of the system knows, who is alive.

A put or get that has to wait does so in slices of 50 ms: signals are handled, and a peer that was killed is noticed, between two of them. One that
closed wakes us.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Iterable
from typing import Any

import numpy as np

from shm_exchange.domain.errors import Closed, ConfigError, Empty
from shm_exchange.pipeline.parking import wake_at
from shm_exchange.pipeline.policy import Policy
from shm_exchange.pipeline.queue import Consumer, Producer, Put
from shm_exchange.pipeline.ring_kernels import (
    CONSUMER,
    PRODUCER,
    await_items,
    await_room,
    finish,
    put_waiting,
    take_over,
    take_waiting,
)
from shm_exchange.pipeline.ring_keys import finish_keys, put_keys, take_keys, take_over_keys
from shm_exchange.pipeline.ring_layout import CONSUMER_BYTE, GONE, HERE, WORD, RingMemory, address
from shm_exchange.pipeline.ring_newest import put_newest, take_newest
from shm_exchange.pipeline.ring_slots import KeySlots
from shm_exchange.pipeline.ring_staging import Kind, Staging
from shm_exchange.pipeline.shared import Rows
from shm_exchange.pipeline.terms import DropWarning, batches, naps
from shm_exchange.shm.locks import LockFile

SLICE_SECONDS = 0.05
"""Between two looks at whether the other end lives."""


class RingProducer(Producer[Any]):
    """Has a lane to itself."""

    def __init__(self, kind: Kind, memory: RingMemory, lane: int, lock: LockFile) -> None:
        self._kind, self._memory, self._lane, self._lock = kind, memory, lane, lock
        self._tail = memory.tails[lane : lane + 1]
        self._staging = Staging(kind)
        self._cell_memory, self._cell = self._staging.room(1)
        self._cell_address = address(self._cell_memory)
        self._warning = DropWarning(kind.terms)
        self._look_again = 0.0
        self._own = _producer_record(kind, memory, lane)
        self._own_address = address(self._own)
        self._keys = KeySlots(kind.terms, kind.dtype, str(kind.key), memory, lane, self._own) if kind.key else None
        self._tail["state"] = HERE

    def put(self, item: Any, timeout: float | None = None) -> Put:
        """One record."""
        patience = self._kind.terms.patience(timeout)
        self._staging.fill(self._cell, item)
        if self._try(self._cell_address, self._cell):
            return Put(True, 0.0)
        start = time.monotonic()
        while (left := patience - (time.monotonic() - start)) > 0:
            self._wait_for_room(min(left, SLICE_SECONDS))
            if self._try(self._cell_address, self._cell):
                return Put(True, time.monotonic() - start)
        self._refuse()
        return Put(False, time.monotonic() - start)

    async def put_async(self, item: Any) -> Put:
        """One record."""
        patience = self._kind.terms.patience(None)
        memory, cell = self._staging.room(1)
        self._staging.fill(cell, item)
        if self._try(address(memory), cell):
            return Put(True, 0.0)
        start = before = time.monotonic()
        for nap in naps():
            left = patience - (time.monotonic() - start)
            if left <= 0:
                break
            try:
                await asyncio.sleep(min(left, nap))
            finally:
                before = self._was_blocked(before)
            if self._try(address(memory), cell):
                return Put(True, time.monotonic() - start)
        self._refuse()
        return Put(False, time.monotonic() - start)

    def put_many(self, items: Iterable[Any]) -> int:
        """All records, as many at once as there is room for. The fast form is an array. Returns how many were accepted."""
        if isinstance(items, np.ndarray):
            memory, rows = self._staging.room(len(items))
            self._staging.fill(rows, items)
            return self._put_all(memory, rows)
        accepted = 0
        for batch in batches(items):
            memory, rows = self._staging.room(len(batch))
            for index, item in enumerate(batch):
                self._staging.fill(rows[index : index + 1], item)
            accepted += self._put_all(memory, rows)
        return accepted

    def _put_all(self, memory: Rows, rows: Rows) -> int:
        size, done, accepted = memory.itemsize, 0, 0
        start = time.monotonic()
        while done < len(rows):
            count = self._put(address(memory) + done * size, rows[done:])
            done, accepted = done + count, accepted + count
            if count:
                start = time.monotonic()
            elif (left := self._kind.terms.patience(None) - (time.monotonic() - start)) > 0:
                self._wait_for_room(min(left, SLICE_SECONDS))
            else:
                self._refuse()
                done += 1
                start = time.monotonic()
        return accepted

    def close(self) -> None:
        """No more will come from here. Again is harmless."""
        if self._own_address:
            self._own_address = 0
            self._tail["state"] = GONE
            self._lock.close()
            wake_at(address(self._memory.reader_parked))

    def _try(self, place: int, cell: Rows) -> bool:
        return self._put(place, cell) == 1

    def _put(self, place: int, rows: Rows) -> int:
        """How many of the items at an address were put. Raises Closed, ConfigError."""
        if not self._own_address:
            raise Closed(f"this producer of queue {self._kind.terms.name!r} was closed")
        self._check_consumer()
        while (count := self._put_now(place, rows)) < 0:
            if not self._lock.is_held(CONSUMER_BYTE):
                raise self._no_consumer()
            time.sleep(0)  # another has come, and is about to say so
        return count

    def _put_now(self, place: int, rows: Rows) -> int:
        if self._keys is not None:
            numbers = self._keys.numbers(rows)
            return int(put_keys(self._own_address, place, address(numbers), len(numbers)))
        put = put_newest if self._kind.terms.policy is Policy.DROP_OLDEST else put_waiting
        return int(put(self._own_address, place, len(rows)))

    def _check_consumer(self) -> None:
        """At most once a slice: whether a consumer that came was killed since. Raises Closed."""
        now = time.monotonic()
        if now >= self._look_again:
            self._look_again = now + SLICE_SECONDS
            if int(self._memory.reader["state"][0]) == HERE and not self._lock.is_held(CONSUMER_BYTE):
                self._look_again = 0.0
                raise self._no_consumer()

    def _no_consumer(self) -> Closed:
        return Closed(f"the consumer of queue {self._kind.terms.name!r} is gone")

    def _wait_for_room(self, seconds: float) -> None:
        before = time.monotonic()
        try:
            await_room(self._own_address, int(seconds * 1e9))
        finally:
            self._was_blocked(before)

    def _was_blocked(self, since: float) -> float:
        now = time.monotonic()
        self._tail["blocked_ns"] += int((now - since) * 1e9)
        return now

    def _refuse(self) -> None:
        self._tail["refused"] += 1
        self._warning.count(1)


class RingConsumer(Consumer[Any]):
    """Takes from all lanes in turn."""

    def __init__(self, kind: Kind, memory: RingMemory, lock: LockFile) -> None:
        self._kind, self._memory, self._lock = kind, memory, lock
        self._staging = Staging(kind)
        self._warning = DropWarning(kind.terms)
        self._lost_seen = int(memory.heads["lost"].sum())
        self._look_again = 0.0
        self._cursors = np.zeros(kind.lanes, WORD)
        self._hand = np.zeros(kind.lanes * kind.terms.maxsize if kind.key else 0, WORD)
        self._own = _consumer_record(kind, memory, self._cursors, self._hand)
        self._own_address = address(self._own)
        (take_over_keys if kind.key else take_over)(self._own_address)
        memory.reader["state"] = HERE

    def get_array(self, limit: int, timeout: float | None = None) -> Rows:
        """`get_many` as an array of the queue's dtype, a copy of the caller's own: the fast form."""
        if limit < 1:
            raise ConfigError(f"a limit of {limit!r} items is none: it is 1 or more")
        memory, items = self._staging.room(min(limit, 2 * self._kind.lanes * self._kind.terms.maxsize))
        start = time.monotonic()
        while not (count := self._take(memory)):
            left = math.inf if timeout is None else timeout - (time.monotonic() - start)
            if left <= 0:
                raise Empty(f"nothing came through queue {self._kind.terms.name!r} within {timeout} s")
            await_items(self._own_address, int(min(left, SLICE_SECONDS) * 1e9))
        return items if count == len(items) else items[:count].copy()

    def get_many(self, limit: int, timeout: float | None = None) -> list[Any]:
        """Records."""
        return list(self.get_array(limit, timeout))

    async def get_async(self) -> Any:
        """The next record."""
        memory, items = self._staging.room(1)
        for nap in naps():
            if self._take(memory):
                break
            await asyncio.sleep(nap)
        return items[0]

    def done(self) -> None:
        """Everything taken so far is finished."""
        if self._own_address:
            (finish_keys if self._kind.key else finish)(self._own_address)

    def close(self) -> None:
        """Take nothing more. What is unfinished waits again for the next consumer."""
        if self._own_address:
            self._own_address = 0
            self._memory.reader["state"] = GONE
            self._lock.close()
            for lane in range(self._kind.lanes):
                wake_at(address(self._memory.parked[lane:]))

    def _take(self, memory: Rows) -> int:
        """How many items came, 0 when there are none yet. Raises Closed."""
        if not self._own_address:
            raise Closed(f"this consumer of queue {self._kind.terms.name!r} was closed")
        count = self._take_now(memory)
        if count == 0 and self._is_alone():
            self._cursors["value"] = 0
            count = self._take_now(memory)  # what was put before the last producer left
            if count == 0:
                raise Closed(f"all producers of queue {self._kind.terms.name!r} are gone, and it is drained")
        return count

    def _take_now(self, memory: Rows) -> int:
        if self._kind.key:
            return int(take_keys(self._own_address, address(memory), len(memory)))
        if self._kind.terms.policy is not Policy.DROP_OLDEST:
            return int(take_waiting(self._own_address, address(memory), len(memory)))
        count = int(take_newest(self._own_address, address(memory), len(memory)))
        lost = int(self._memory.heads["lost"].sum())
        self._warning.count(lost - self._lost_seen)
        self._lost_seen = lost
        return count

    def _is_alone(self) -> bool:
        """Whether producers came and all are gone. While some did not close, their locks are looked at once a slice."""
        states = self._memory.tails["state"]
        now = time.monotonic()
        if not states.any() or ((states == HERE).any() and now < self._look_again):
            return False
        self._look_again = now + SLICE_SECONDS
        return not any(self._lock.is_held(lane + 1) for lane in range(self._kind.lanes))


def _producer_record(kind: Kind, memory: RingMemory, lane: int) -> Rows:
    record = np.zeros(1, PRODUCER)
    own: Any = record[0]
    own["position"] = memory.tails["tail"][lane]
    own["seen"] = int(own["position"]) - kind.terms.maxsize  # says "full", so the first put looks
    own["by_credit"] = kind.terms.policy is Policy.CREDIT
    own["maxsize"], own["mask"], own["words"] = kind.terms.maxsize, memory.shape.slots - 1, memory.shape.words
    own["slots"] = address(memory.items[lane])
    own["tail"], own["head"], own["parked"] = address(memory.tails[lane:]), address(memory.heads[lane:]), address(memory.parked[lane:])
    own["reader"], own["reader_parked"] = address(memory.reader), address(memory.reader_parked)
    if kind.key:
        own["latest"], own["dirty"] = address(memory.latest[lane]), address(memory.dirty[lane])
    return record


def _consumer_record(kind: Kind, memory: RingMemory, cursors: Rows, hand: Rows) -> Rows:
    record = np.zeros(1, CONSUMER)
    own: Any = record[0]
    own["lanes"], own["maxsize"] = kind.lanes, kind.terms.maxsize
    own["mask"], own["words"], own["lane_bytes"] = memory.shape.slots - 1, memory.shape.words, memory.items[0].nbytes
    own["slots"], own["tails"], own["heads"], own["parked"] = map(address, (memory.items, memory.tails, memory.heads, memory.parked))
    own["reader"], own["reader_parked"] = address(memory.reader), address(memory.reader_parked)
    own["cursors"], own["hand"] = address(cursors), address(hand)
    if kind.key:
        own["latest"], own["keys"], own["dirty"] = address(memory.latest), address(memory.keys), address(memory.dirty)
    return record
