"""The two ends of a FifoQueue. Items are pickled before the gate and unpickled behind it; waiting is done outside, in slices of 50 ms.

With policy `conflate` a message is the length of the pickled key, the pickled key, the pickled item; else the pickled item alone.
"""

from __future__ import annotations

import asyncio
import math
import pickle
import time
from collections.abc import Callable, Iterable
from functools import partial
from queue import Full
from typing import Any, NamedTuple, TypeVar

from shm_exchange.domain.errors import Closed, ConfigError, Empty
from shm_exchange.pipeline.fifo_page import CONSUMER, PRODUCER, SIZE_BYTES, FifoMemory, Gate, park, wake
from shm_exchange.pipeline.parking import sleep_on
from shm_exchange.pipeline.policy import Policy
from shm_exchange.pipeline.queue import Consumer, Producer, Put
from shm_exchange.pipeline.shared import Rows
from shm_exchange.pipeline.terms import DropWarning, Key, Terms, batches, key_function, naps

T = TypeVar("T")
SLICE_SECONDS = 0.05
"""Between two looks at whether the other end lives."""
_LENGTH_BYTES = 4


class Kind(NamedTuple):
    """What a fifo is, whoever has it open. Plain data: it travels in the address."""

    terms: Terms
    key: Key | None
    max_bytes: int
    image_bytes: int


class _End:
    """What both ends have in common."""

    def __init__(self, kind: Kind, memory: FifoMemory, role: int) -> None:
        self._kind, self._memory = kind, memory
        self._gate = Gate(kind.terms.name, memory)
        self._is_open = True
        self._look_again = 0.0
        with self._gate.entered(math.inf):
            self._gate.count_the_dead()
            self._gate.join(role)

    def close(self) -> None:
        """Leave. Again is harmless."""
        if self._is_open:
            self._is_open = False
            with self._gate.entered(math.inf):
                self._gate.leave()
            self._gate.close()
            wake(self._memory.items_parked)
            wake(self._memory.room_parked)

    def _check_open(self) -> None:
        if not self._is_open:
            raise Closed(f"this end of queue {self._kind.terms.name!r} was closed")

    def _look_for_the_dead(self) -> None:
        """In the gate, once a slice."""
        now = time.monotonic()
        if now >= self._look_again:
            self._look_again = now + SLICE_SECONDS
            self._gate.count_the_dead()


def _sleep(parked: Rows, seconds: float) -> None:
    sleep_on(parked.ctypes.data, int(min(seconds, SLICE_SECONDS) * 1e9))


class FifoProducer(_End, Producer[T]):
    """Pickles."""

    def __init__(self, kind: Kind, memory: FifoMemory) -> None:
        super().__init__(kind, memory, PRODUCER)
        self._key: Callable[[object], object] | None = key_function(kind.key) if kind.key is not None else None
        self._warning = DropWarning(kind.terms)
        self._blocked = 0.0
        self._refused = 0

    def put(self, item: T, timeout: float | None = None) -> Put:
        """One object."""
        patience = self._kind.terms.patience(timeout)
        message = self._message(item)
        start = time.monotonic()
        if self._try([message], start + patience):
            return Put(True, 0.0)
        return self._put_waiting(message, start, patience)

    async def put_async(self, item: T) -> Put:
        """One object."""
        patience = self._kind.terms.patience(None)
        message = self._message(item)
        start = before = time.monotonic()
        for nap in naps():
            if self._try([message], 0.0):
                return Put(True, before - start)
            left = start + patience - time.monotonic()
            if left <= 0:
                break
            try:
                await asyncio.sleep(min(left, nap))
            finally:
                now = time.monotonic()
                self._blocked, before = self._blocked + now - before, now
        self._refuse()
        return Put(False, time.monotonic() - start)

    def put_many(self, items: Iterable[T]) -> int:
        """All, as many at once as there is room for. Returns how many were accepted."""
        return sum(self._put_all([self._message(item) for item in batch]) for batch in batches(items))

    def _put_all(self, messages: list[bytes]) -> int:
        done = accepted = 0
        while done < len(messages):
            count = self._try(messages[done:], math.inf)
            if not count:
                count = 1
                accepted -= not self._put_waiting(messages[done], time.monotonic(), self._kind.terms.patience(None)).accepted
            done, accepted = done + count, accepted + count
        return accepted

    def _put_waiting(self, message: bytes, start: float, patience: float) -> Put:
        before = time.monotonic()
        while (left := start + patience - time.monotonic()) > 0:
            _sleep(self._memory.room_parked, left)
            now = time.monotonic()
            self._blocked, before = self._blocked + now - before, now
            if self._try([message], start + patience):
                return Put(True, time.monotonic() - start)
        self._refuse()
        return Put(False, time.monotonic() - start)

    def _message(self, item: T) -> bytes:
        data = pickle.dumps(item, pickle.HIGHEST_PROTOCOL)
        if self._key is not None:
            key = pickle.dumps(self._key(item), pickle.HIGHEST_PROTOCOL)
            data = len(key).to_bytes(_LENGTH_BYTES, "little") + key + data
        if SIZE_BYTES + len(data) > self._kind.max_bytes:
            raise ConfigError(
                f"an item of {len(data)} bytes does not fit queue {self._kind.terms.name!r}: make max_bytes greater, now {self._kind.max_bytes}"
            )
        return data

    def _try(self, messages: list[bytes], deadline: float) -> int:
        """Put what there is room for, from the first; how many. Where there is none we are about to sleep. Raises Closed, ConfigError."""
        self._check_open()
        with self._gate.entered(deadline) as is_inside:
            if not is_inside:
                return 0
            self._look_for_the_dead()
            self._settle()
            self._gate.check_consumers()
            count = self._put_conflated(messages[0]) if self._key is not None else self._put_some(messages)
            if not count:
                park(self._memory.room_parked)
        if count:
            wake(self._memory.items_parked)
        return count

    def _put_some(self, messages: list[bytes]) -> int:
        gate, terms = self._gate, self._kind.terms
        if terms.policy is Policy.DROP_OLDEST:
            return self._put_over(messages[0])
        taken = gate.count("waiting") + (gate.count("in_hand") if terms.policy is Policy.CREDIT else 0)
        some = messages[: max(0, terms.maxsize - taken)]
        if some and gate.put(some, produced=len(some)):
            return len(some)
        return int(bool(some) and gate.put(some[:1], produced=1))

    def _put_over(self, message: bytes) -> int:
        gate = self._gate
        while gate.count("waiting") >= self._kind.terms.maxsize or not gate.put([message], produced=1):
            gate.take(1, dropped=1)
            self._warning.count(1)
        return 1

    def _put_conflated(self, message: bytes) -> int:
        """Everything that waits is read and written again: a key can be anywhere in it."""
        try:
            self._gate.rewrite(partial(self._with, message))
        except Full:
            raise ConfigError(f"the newest items of all keys do not fit queue {self._kind.terms.name!r}: make max_bytes greater") from None
        return 1

    def _with(self, message: bytes, messages: list[bytes]) -> list[bytes]:
        """In the place of the one with its key, or at the end. Raises ConfigError."""
        keys = [_key_of(each) for each in messages]
        key = _key_of(message)
        if key in keys:
            place = keys.index(key)
            return [*messages[:place], message, *messages[place + 1 :]]
        if len(messages) == self._kind.terms.maxsize:
            raise self._kind.terms.too_many_keys()
        return [*messages, message]

    def close(self) -> None:
        """No more will come from here. Again is harmless."""
        if self._is_open:
            with self._gate.entered(math.inf):
                self._settle()
        super().close()

    def _refuse(self) -> None:
        self._refused += 1
        self._warning.count(1)
        with self._gate.entered(0.0) as is_inside:
            if is_inside:
                self._settle()

    def _settle(self) -> None:
        """In the gate: count what we could not count outside."""
        if self._refused or self._blocked:
            self._gate.add(produced=self._refused, dropped=self._refused, blocked_ns=int(self._blocked * 1e9))
            self._refused, self._blocked = 0, 0.0


class FifoConsumer(_End, Consumer[T]):
    """Unpickles."""

    def __init__(self, kind: Kind, memory: FifoMemory) -> None:
        super().__init__(kind, memory, CONSUMER)
        self._in_hand = 0

    def get_many(self, limit: int, timeout: float | None = None) -> list[T]:
        """Objects."""
        if limit < 1:
            raise ConfigError(f"a limit of {limit!r} items is none: it is 1 or more")
        deadline = math.inf if timeout is None else time.monotonic() + timeout
        while not (messages := self._take(limit, deadline)):
            left = deadline - time.monotonic()
            if left <= 0:
                raise Empty(f"nothing came through queue {self._kind.terms.name!r} within {timeout} s")
            _sleep(self._memory.items_parked, left)
        return [self._item(message) for message in messages]

    async def get_async(self) -> T:
        """The next object."""
        for nap in naps():
            if messages := self._take(1, 0.0):
                break
            await asyncio.sleep(nap)
        return self._item(messages[0])

    def done(self) -> None:
        """Everything taken so far is finished."""
        if self._in_hand and self._is_open:
            with self._gate.entered(math.inf):
                self._finish()
            wake(self._memory.room_parked)

    def _take(self, limit: int, deadline: float) -> list[bytes]:
        """Finish what is in hand, and take what is there. Where nothing is we are about to sleep. Raises Closed."""
        self._check_open()
        with self._gate.entered(deadline) as is_inside:
            if not is_inside:
                return []
            self._look_for_the_dead()
            any_finished = self._finish()
            messages = self._gate.take(limit, in_hand=1) if self._gate.count("waiting") else []
            self._in_hand = len(messages)
            self._gate.hand(self._in_hand)
            if not messages:
                self._gate.check_producers()
                park(self._memory.items_parked)
        if messages or any_finished:
            wake(self._memory.room_parked)
        return messages

    def _finish(self) -> bool:
        """In the gate. Whether anything was in hand."""
        items, self._in_hand = self._in_hand, 0
        if items:
            self._gate.add(in_hand=-items, consumed=items)
            self._gate.hand(0)
        return items > 0

    def _item(self, message: bytes) -> T:
        behind = 0
        if self._kind.key is not None:
            behind = _LENGTH_BYTES + int.from_bytes(message[:_LENGTH_BYTES], "little")
        item: T = pickle.loads(memoryview(message)[behind:])  # noqa: S301 (of processes that share memory with us)
        return item


def _key_of(message: bytes) -> Any:
    length = int.from_bytes(message[:_LENGTH_BYTES], "little")
    return pickle.loads(memoryview(message)[_LENGTH_BYTES : _LENGTH_BYTES + length])  # noqa: S301 (as above)
