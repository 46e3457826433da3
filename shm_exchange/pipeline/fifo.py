"""The queue of Python objects between processes: faster-fifo, behind a gate that a killed process cannot leave shut.

    producers ──▶ pickles ──▶ gate ▶ faster-fifo in shared memory ◀ gate ──▶ consumers           order is that in which they came through the gate

It is bounded by `maxsize` items and by `max_bytes` of pickles. `conflate` costs a pass over all that waits for every put: keep its maxsize small.

A member that is killed outside the gate takes with it what it had in hand, which is counted as dropped. One that is killed inside leaves buffers that
nobody can trust: the next who comes makes them anew, counts as dropped what was waiting, and goes on. No member ever hangs; who owns the queue
can do the same at any time with `recreate`. (What must not be lost goes through a RingQueue.)
"""

from __future__ import annotations

import math
import threading
import weakref
from dataclasses import dataclass
from typing import Any, Self, TypeVar, cast

from shm_exchange.domain.errors import Closed, ConfigError
from shm_exchange.pipeline.fifo_ends import FifoConsumer, FifoProducer, Kind
from shm_exchange.pipeline.fifo_page import CONSUMER, PRODUCER, SIZE_BYTES, FifoMemory, Gate, new_image
from shm_exchange.pipeline.policy import Policy
from shm_exchange.pipeline.queue import Address, Consumer, Figures, Producer, Queue
from shm_exchange.pipeline.shared import Place, SharedFile, make_shared, open_shared
from shm_exchange.pipeline.terms import Key, checked_terms

T = TypeVar("T")


class FifoQueue(Queue[T]):
    """Any objects that can be pickled. 64 producers and consumers at most.

    write_timeout: seconds, for policy `timeout`; key: for policy `conflate`, the name of an attribute, or a function that can be pickled; max_bytes:
    of all that waits. Raises ConfigError; MissingExtra where faster-fifo is not installed.
    """

    def __init__(
        self,
        name: str,
        maxsize: int,
        *,
        policy: str = Policy.BLOCK,
        write_timeout: float = 1.0,
        key: Key | None = None,
        max_bytes: int = 1 << 20,
    ) -> None:
        terms = checked_terms(name, maxsize, policy, write_timeout, key)
        if not isinstance(max_bytes, int) or max_bytes <= SIZE_BYTES:
            raise ConfigError(
                f"max_bytes={max_bytes!r} of queue {name!r} is too little: it is a whole number of bytes, and each item needs {SIZE_BYTES} more"
            )
        image = new_image(max_bytes)
        kind = Kind(terms, key, max_bytes, len(image))
        self._open(kind, make_shared(FifoMemory.total_bytes(len(image), max_bytes)))
        self._memory.make(image)

    @classmethod
    def opened(cls, kind: Kind, place: Place) -> Self:
        """The queue of another process. Raises Closed when its maker is gone; MissingExtra."""
        queue = cls.__new__(cls)
        queue._open(kind, open_shared(place))  # noqa: SLF001
        return queue

    def _open(self, kind: Kind, shared: SharedFile) -> None:
        self._kind, self._shared = kind, shared
        self.name, self.maxsize, self.policy, _ = kind.terms
        self._memory = FifoMemory(kind.image_bytes, kind.max_bytes, shared)
        self._gate = Gate(self.name, self._memory)
        self._guard = threading.Lock()
        self._ends: weakref.WeakSet[FifoProducer[T] | FifoConsumer[T]] = weakref.WeakSet()

    def producer(self) -> Producer[T]:
        """A new end. Raises ConfigError where there is room for no more."""
        end: FifoProducer[T] = FifoProducer(self._kind, self._memory)
        self._ends.add(end)
        return end

    def consumer(self) -> Consumer[T]:
        """A new end. Raises ConfigError where there is room for no more."""
        end: FifoConsumer[T] = FifoConsumer(self._kind, self._memory)
        self._ends.add(end)
        return end

    def figures(self) -> Figures:
        """The queue now. Raises Closed."""
        with self._guard:
            self._check_open()
            with self._gate.entered(math.inf):
                self._gate.count_the_dead()
                count = self._gate.count
                return Figures(
                    self.name,
                    self.policy,
                    self.maxsize,
                    count("waiting"),
                    count("high_water"),
                    count("produced"),
                    count("consumed"),
                    count("dropped"),
                    count("conflated"),
                    count("blocked_ns") / 1e9,
                    self._gate.alive(PRODUCER),
                    self._gate.alive(CONSUMER),
                    count("in_hand"),
                )

    @property
    def recreated(self) -> int:
        """How often its buffers were made anew."""
        return int(self._memory.page["recreated"][0])

    def recreate(self) -> int:
        """Make its buffers anew; members go on with the new ones. Returns how many items were lost, and counted as dropped. Raises Closed."""
        with self._guard:
            self._check_open()
            with self._gate.entered(math.inf):
                return self._gate.recreate()

    def address(self) -> Address:
        """For another process, for as long as this one has the queue open."""
        self._check_open()
        return FifoAddress(self._kind, self._shared.place)

    def close(self) -> None:
        """Let the memory go here; ends made here are closed."""
        for end in list(self._ends):
            end.close()
        with self._guard:
            self._gate.close()
        self._shared.close()

    def _check_open(self) -> None:
        if self._shared.is_closed:
            raise Closed(f"queue {self.name!r} was closed here")


@dataclass(frozen=True)
class FifoAddress(Address):
    """Where a FifoQueue is."""

    kind: Kind
    place: Place

    def opened(self) -> Queue[object]:
        """The same queue, in this process. Raises Closed when its maker is gone; MissingExtra."""
        return cast("Queue[object]", FifoQueue[Any].opened(self.kind, self.place))
