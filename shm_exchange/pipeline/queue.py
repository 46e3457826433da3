"""One interface for all bounded queues between stages; where the other end lives decides which one it is.

    RingQueue    records of a dtype, in shared memory, between processes or threads: our ring
    FifoQueue    Python objects between processes: faster-fifo
    LocalQueue   Python objects between threads and tasks of this process

    queue ──▶ producer()  put, put_async, close                 a producer or consumer belongs to one thread (or task) of one process
          └─▶ consumer()  get, get_many, done, get_async, close
    address() travels to another process, pickled, and `opened(address)` is the same queue there

Ends. The last producer to close, or to die, ends the consumers once everything is drained: `get` raises Closed. `Empty` only says that nothing
came in time. When all consumers that ever came are gone, `put` raises Closed instead of waiting. Before the first has come, both sides wait. Who is
alive is told by the kernel (a lock that it releases), never by a time-out.

Taken and finished. An item that `get` has returned is finished at the next `get` or at `done`. Until then it counts as in hand: CREDIT does not give
its room away, and a RingQueue whose consumer was killed gives it to the next consumer again.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterable, Iterator
from types import TracebackType
from typing import Generic, NamedTuple, Self, TypeVar

from shm_exchange.domain.errors import Closed
from shm_exchange.pipeline.policy import Policy

T = TypeVar("T")


class Put(NamedTuple):
    """What became of an item."""

    accepted: bool
    """False: dropped, counted and warned of (policy `timeout` only)."""
    blocked_seconds: float
    """How long `put` waited for room."""


class Figures(NamedTuple):
    """A queue now. Counts are of all its producers and consumers since it was made."""

    name: str
    policy: Policy
    maxsize: int
    size: int
    """Items waiting."""
    high_water: int
    """The greatest size that was seen."""
    produced: int
    """Put by producers. produced == consumed + in_hand + size + dropped + conflated."""
    consumed: int
    """Finished by consumers."""
    dropped: int
    """Refused by `timeout`, overwritten by `drop_oldest`, or lost with a queue made anew or a consumer that never finished them."""
    conflated: int
    """Replaced by a newer item of their key; every one of them is also `produced`."""
    blocked_seconds: float
    """How long producers have waited for room, all together."""
    producers: int
    """Alive now."""
    consumers: int
    in_hand: int = 0
    """Taken and not finished."""

    @property
    def utilisation(self) -> float:
        """From 0 to 1."""
        return self.size / self.maxsize


class Producer(ABC, Generic[T]):
    """The end that puts. For one thread at a time."""

    @abstractmethod
    def put(self, item: T, timeout: float | None = None) -> Put:
        """Put one item, as the policy says. timeout: seconds, instead of the queue's write_timeout (policy `timeout`). Raises Closed."""

    @abstractmethod
    async def put_async(self, item: T) -> Put:
        """`put` that lets the event loop go on while it waits. A cancelled one has put nothing."""

    @abstractmethod
    def close(self) -> None:
        """No more will come from here. Again is harmless."""

    def put_many(self, items: Iterable[T]) -> int:
        """Put each; returns how many were accepted. Raises Closed."""
        return sum(self.put(item).accepted for item in items)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class Consumer(ABC, Generic[T]):
    """The end that gets. For one thread at a time."""

    @abstractmethod
    def get_many(self, limit: int, timeout: float | None = None) -> list[T]:
        """At least one item, at most `limit`, what is there. timeout: seconds; None: wait. Raises Empty, Closed."""

    @abstractmethod
    async def get_async(self) -> T:
        """The next item; lets the event loop go on while it waits. A cancelled one has taken nothing. Raises Closed."""

    @abstractmethod
    def done(self) -> None:
        """Everything taken so far is finished."""

    @abstractmethod
    def close(self) -> None:
        """Take nothing more. What was taken and not finished stays unfinished. Again is harmless."""

    def get(self, timeout: float | None = None) -> T:
        """The next item. timeout: seconds; None: wait. Raises Empty, Closed."""
        return self.get_many(1, timeout)[0]

    def __iter__(self) -> Iterator[T]:
        """Items until Closed."""
        while True:
            try:
                item = self.get()
            except Closed:
                return
            yield item

    async def __aiter__(self) -> AsyncIterator[T]:
        """Items until Closed."""
        while True:
            try:
                item = await self.get_async()
            except Closed:
                return
            yield item

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class Address(ABC):
    """What another process needs to open a queue. Plain data: it can be pickled."""

    @abstractmethod
    def opened(self) -> Queue[object]:
        """The same queue, in this process. Raises Closed when its maker is gone."""


class Queue(ABC, Generic[T]):
    """A bounded queue. `maxsize` items at most wait in it, whatever its policy."""

    name: str
    maxsize: int
    policy: Policy

    @abstractmethod
    def producer(self) -> Producer[T]:
        """A new end that puts. Raises ConfigError where it has room for no more."""

    @abstractmethod
    def consumer(self) -> Consumer[T]:
        """A new end that gets. Raises ConfigError where it has room for no more."""

    @abstractmethod
    def figures(self) -> Figures:
        """The queue now."""

    @abstractmethod
    def address(self) -> Address:
        """For another process. Raises ConfigError for a queue that no other process can open."""

    @abstractmethod
    def close(self) -> None:
        """Let the memory go here; members made here end with it. Again is harmless."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
