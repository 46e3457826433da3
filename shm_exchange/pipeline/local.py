"""The queue between threads and tasks of one process.

    threads wait on a condition, tasks on a future of their loop, which a put or get of another thread completes: nobody polls

Everything happens under one lock, for a moment. A task awaits before it has taken or put anything, never after: when it is cancelled, nothing was.
Items in hand of a consumer that is closed without having finished them are counted as dropped: who took an object had it.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any, Generic, TypeVar

from shm_exchange.domain.errors import Closed, ConfigError, Empty
from shm_exchange.pipeline.policy import Policy
from shm_exchange.pipeline.queue import Address, Consumer, Figures, Producer, Put, Queue
from shm_exchange.pipeline.terms import DropWarning, Key, Terms, checked_terms, key_function

T = TypeVar("T")


class _Sleepers:
    """Who waits for one thing, items or room. Everything under the queue's lock."""

    def __init__(self, lock: threading.RLock) -> None:
        self._threads = threading.Condition(lock)
        self._tasks: set[asyncio.Future[None]] = set()

    def wait(self, seconds: float | None) -> None:
        """Let go of the lock until woken."""
        self._threads.wait(seconds)

    def future(self) -> asyncio.Future[None]:
        """Done when woken."""
        future = asyncio.get_running_loop().create_future()
        self._tasks.add(future)
        return future

    def forget(self, future: asyncio.Future[None]) -> None:
        """Nobody awaits it any more."""
        self._tasks.discard(future)

    def wake(self) -> None:
        """All of them: each looks for itself."""
        self._threads.notify_all()
        tasks, self._tasks = self._tasks, set()
        for future in tasks:
            loop = future.get_loop()
            if not loop.is_closed():
                loop.call_soon_threadsafe(_complete, future)


def _complete(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


class _Shelf(Generic[T]):
    """The items, the counts, and who is there."""

    def __init__(self, terms: Terms, key: Key | None) -> None:
        self.terms = terms
        self.lock = threading.RLock()  # re-entered by the collector, which may find a forgotten end at any moment
        self.item_sleepers, self.room_sleepers = _Sleepers(self.lock), _Sleepers(self.lock)
        self._key = key_function(key) if key is not None else None
        self._numbers = count()
        self._items: OrderedDict[Any, T] = OrderedDict()  # by key, or by a number of its own
        self._producers: set[int] = set()
        self._consumers: set[int] = set()
        self._had_producer = self._had_consumer = self._closed = False
        self._high_water = self._produced = self._consumed = self._dropped = self._conflated = self._in_hand = 0
        self._blocked_seconds = 0.0
        self._warning = DropWarning(terms)

    def join(self, producer: int = 0, consumer: int = 0) -> None:
        """An end comes. Raises Closed."""
        with self.lock:
            if self._closed:
                raise Closed(f"queue {self.terms.name!r} was closed")
            if producer:
                self._producers.add(producer)
                self._had_producer = True
            if consumer:
                self._consumers.add(consumer)
                self._had_consumer = True

    def leave_producer(self, end: int) -> None:
        """Again is harmless."""
        with self.lock:
            self._producers.discard(end)
            self._wake_all()

    def leave_consumer(self, end: int, in_hand: int) -> None:
        """With so many items that it did not finish. Again is harmless."""
        with self.lock:
            if end in self._consumers:
                self._consumers.discard(end)
                self._lose(in_hand)
                self._wake_all()

    def close(self) -> None:
        """All leave, and nobody can come."""
        with self.lock:
            self._closed = True
            self._producers.clear()
            self._consumers.clear()
            self._lose(self._in_hand)
            self._wake_all()

    def _wake_all(self) -> None:
        self.item_sleepers.wake()
        self.room_sleepers.wake()

    def _lose(self, in_hand: int) -> None:
        """Taken, and never to be finished."""
        self._in_hand -= in_hand
        self._drop(in_hand)

    def _drop(self, items: int) -> None:
        self._dropped += items
        self._warning.count(items)

    @contextmanager
    def blocked(self, since: float) -> Iterator[None]:
        """Whatever ends the wait of a put, it was one. Not under the lock."""
        try:
            yield
        finally:
            with self.lock:
                self._blocked_seconds += time.monotonic() - since

    def try_put(self, end: int, item: T) -> bool:
        """Under the lock. Raises Closed, ConfigError."""
        if end not in self._producers:
            raise Closed(f"this producer of queue {self.terms.name!r} was closed")
        if self._had_consumer and not self._consumers:
            raise Closed(f"all consumers of queue {self.terms.name!r} are gone")
        key = next(self._numbers) if self._key is None else self._key(item)
        if key in self._items:
            self._conflated += 1
        elif not self._make_room():
            return False
        self._items[key] = item
        self._produced += 1
        self._high_water = max(self._high_water, len(self._items))
        self.item_sleepers.wake()
        return True

    def _make_room(self) -> bool:
        taken = len(self._items) + (self._in_hand if self.terms.policy is Policy.CREDIT else 0)
        if taken < self.terms.maxsize:
            return True
        if self.terms.policy is Policy.CONFLATE:
            raise self.terms.too_many_keys()
        if self.terms.policy is Policy.DROP_OLDEST:
            self._items.popitem(last=False)
            self._drop(1)
            return True
        return False

    def refuse(self) -> None:
        """Under the lock: an item found no room in time."""
        self._produced += 1
        self._drop(1)

    def take(self, end: int, limit: int) -> list[T]:
        """What is there; under the lock. Raises Closed."""
        if end not in self._consumers:
            raise Closed(f"this consumer of queue {self.terms.name!r} was closed")
        if not self._items:
            if self._had_producer and not self._producers:
                raise Closed(f"all producers of queue {self.terms.name!r} are gone, and it is drained")
            return []
        items = [self._items.popitem(last=False)[1] for _ in range(min(limit, len(self._items)))]
        self._in_hand += len(items)
        self.room_sleepers.wake()
        return items

    def finish(self, end: int, items: int) -> None:
        """So many that were taken are finished."""
        with self.lock:
            if end in self._consumers:
                self._in_hand -= items
                self._consumed += items
                self.room_sleepers.wake()

    def figures(self) -> Figures:
        """The queue now."""
        with self.lock:
            return Figures(
                self.terms.name,
                self.terms.policy,
                self.terms.maxsize,
                len(self._items),
                self._high_water,
                self._produced,
                self._consumed,
                self._dropped,
                self._conflated,
                self._blocked_seconds,
                len(self._producers),
                len(self._consumers),
                self._in_hand,
            )


class LocalQueue(Queue[T]):
    """Any objects. Any number of producers and consumers.

    write_timeout: seconds, for policy `timeout`; key: for policy `conflate`, a function of an item or the name of an attribute; at most `maxsize`
    different keys wait. Raises ConfigError.
    """

    def __init__(self, name: str, maxsize: int, *, policy: str = Policy.BLOCK, write_timeout: float = 1.0, key: Key | None = None) -> None:
        terms = checked_terms(name, maxsize, policy, write_timeout, key)
        self.name, self.maxsize, self.policy, _ = terms
        self._shelf: _Shelf[T] = _Shelf(terms, key)

    def producer(self) -> Producer[T]:
        """For a thread or task. One that is forgotten is closed."""
        return _LocalProducer(self._shelf)

    def consumer(self) -> Consumer[T]:
        """For a thread or task. One that is forgotten is closed."""
        return _LocalConsumer(self._shelf)

    def figures(self) -> Figures:
        """The queue now."""
        return self._shelf.figures()

    def address(self) -> Address:
        """None. Raises ConfigError."""
        raise ConfigError(f"queue {self.name!r} is local to its process; between processes take a RingQueue or a FifoQueue")

    def close(self) -> None:
        """All ends are closed, and there will be no more."""
        self._shelf.close()


class _LocalProducer(Producer[T]):
    def __init__(self, shelf: _Shelf[T]) -> None:
        self._shelf = shelf
        shelf.join(producer=id(self))

    def put(self, item: T, timeout: float | None = None) -> Put:
        shelf, patience = self._shelf, self._shelf.terms.patience(timeout)
        with shelf.lock:
            if shelf.try_put(id(self), item):
                return Put(True, 0.0)
        start = time.monotonic()
        with shelf.blocked(start), shelf.lock:
            while not (accepted := shelf.try_put(id(self), item)):
                left = start + patience - time.monotonic()
                if left <= 0:
                    shelf.refuse()
                    break
                shelf.room_sleepers.wait(min(left, threading.TIMEOUT_MAX))
        return Put(accepted, time.monotonic() - start)

    async def put_async(self, item: T) -> Put:
        shelf, patience = self._shelf, self._shelf.terms.patience(None)
        with shelf.lock:
            if shelf.try_put(id(self), item):
                return Put(True, 0.0)
        start = time.monotonic()
        with shelf.blocked(start):
            while True:
                with shelf.lock:
                    accepted = shelf.try_put(id(self), item)
                    left = start + patience - time.monotonic()
                    if not accepted and left <= 0:
                        shelf.refuse()
                    if accepted or left <= 0:
                        return Put(accepted, time.monotonic() - start)
                    woken = shelf.room_sleepers.future()
                await _until(woken, left, shelf.room_sleepers, shelf.lock)

    def close(self) -> None:
        self._shelf.leave_producer(id(self))

    def __del__(self) -> None:
        self.close()


class _LocalConsumer(Consumer[T]):
    def __init__(self, shelf: _Shelf[T]) -> None:
        self._shelf = shelf
        self._in_hand = 0
        shelf.join(consumer=id(self))

    def get_many(self, limit: int, timeout: float | None = None) -> list[T]:
        if limit < 1:
            raise ConfigError(f"a limit of {limit!r} items is none: it is 1 or more")
        shelf = self._shelf
        deadline = None if timeout is None else time.monotonic() + timeout
        self.done()
        with shelf.lock:
            while not (items := shelf.take(id(self), limit)):
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    raise Empty(f"nothing came through queue {shelf.terms.name!r} within {timeout} s")
                shelf.item_sleepers.wait(left)
            self._in_hand = len(items)
        return items

    async def get_async(self) -> T:
        shelf = self._shelf
        self.done()
        while True:
            with shelf.lock:
                if items := shelf.take(id(self), 1):
                    self._in_hand = 1
                    return items[0]
                woken = shelf.item_sleepers.future()
            await _until(woken, None, shelf.item_sleepers, shelf.lock)

    def done(self) -> None:
        items, self._in_hand = self._in_hand, 0
        if items:
            self._shelf.finish(id(self), items)

    def close(self) -> None:
        items, self._in_hand = self._in_hand, 0
        self._shelf.leave_consumer(id(self), items)

    def __del__(self) -> None:
        self.close()


async def _until(woken: asyncio.Future[None], seconds: float | None, sleepers: _Sleepers, lock: threading.RLock) -> None:
    try:
        await asyncio.wait((woken,), timeout=None if seconds is None or seconds > threading.TIMEOUT_MAX else seconds)
    finally:
        with lock:
            sleepers.forget(woken)
