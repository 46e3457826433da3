"""The queue of records between processes: in shared memory, without locks, one lane a producer.

    producer 0 ──▶ lane 0 ─┐
    producer 1 ──▶ lane 1 ─┼─▶ the consumer, lane by lane in turn          order is kept in each lane, not between lanes
         …                 ┘

What each policy promises here; `maxsize` is that of a lane, and of the keys of a lane:

    block, timeout  an item's room is free when it was taken. Beside maxsize items that wait, maxsize may be in hand
    credit          its room is free when it was finished: waiting and in hand are maxsize at most, together
    drop_oldest     the newest maxsize of the lane are kept, exactly; what the consumer passes by is counted, when it comes to it
    conflate        the newest of each key of the lane waits, once, in the order in which the keys first came

An end that is killed leaves nothing half done: an item was put or it was not. What a killed consumer had in hand, and what one that closed left
unfinished, waits again for the next consumer, beside what waits already (of `drop_oldest` and `conflate`: unless newer ones took its place). A put
notices a consumer that closed at once, one that was killed within 50 ms.
"""

from __future__ import annotations

import threading
import weakref
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from shm_exchange.domain.errors import Closed, ConfigError
from shm_exchange.pipeline.policy import Policy
from shm_exchange.pipeline.queue import Address, Figures, Producer, Queue
from shm_exchange.pipeline.ring_ends import RingConsumer, RingProducer
from shm_exchange.pipeline.ring_layout import CONSUMER_BYTE, RingMemory, Shape
from shm_exchange.pipeline.ring_staging import Kind
from shm_exchange.pipeline.shared import Place, SharedFile, make_shared, open_shared
from shm_exchange.pipeline.terms import checked_terms

ITEM_BYTES_MAX = 4096
PRODUCERS_MAX = 1024


class RingQueue(Queue[Any]):
    """Records of `dtype`, put as records, arrays of one or tuples, and got as records. At most `producers` producers and one consumer at once.

    maxsize: of each lane; write_timeout: seconds, for policy `timeout`; key: for policy `conflate`, a field of the dtype. Raises ConfigError.
    """

    def __init__(
        self,
        name: str,
        dtype: DTypeLike,
        maxsize: int,
        *,
        policy: str = Policy.BLOCK,
        write_timeout: float = 1.0,
        key: str | None = None,
        producers: int = 1,
    ) -> None:
        kind = Kind(checked_terms(name, maxsize, policy, write_timeout, key), np.dtype(dtype), key, producers)
        _check(kind)
        self._open(kind, make_shared(RingMemory.total_bytes(_shape(kind))))

    @classmethod
    def opened(cls, kind: Kind, place: Place) -> RingQueue:
        """The queue of another process. Raises Closed when its maker is gone."""
        queue = cls.__new__(cls)
        queue._open(kind, open_shared(place))  # noqa: SLF001
        return queue

    def _open(self, kind: Kind, shared: SharedFile) -> None:
        self._kind, self._shared = kind, shared
        self.name, self.policy, self.maxsize = kind.terms.name, kind.terms.policy, kind.terms.maxsize * kind.lanes
        self._memory = RingMemory(_shape(kind), shared)
        self._locks = shared.lock_file()
        self._guard = threading.Lock()
        self._ends: weakref.WeakSet[RingProducer | RingConsumer] = weakref.WeakSet()

    def producer(self) -> Producer[Any]:
        """A new end, with a lane to itself. Raises ConfigError when all lanes are taken."""
        locks = self._shared.lock_file()
        for lane in range(self._kind.lanes):
            if locks.try_lock(lane + 1):
                end = RingProducer(self._kind, self._memory, lane, locks)
                self._ends.add(end)
                return end
        locks.close()
        raise ConfigError(f"queue {self.name!r} has {self._kind.lanes} producers already; make it with a greater producers=")

    def consumer(self) -> RingConsumer:
        """A new end, the only one. Raises ConfigError while another lives."""
        locks = self._shared.lock_file()
        if not locks.try_lock(CONSUMER_BYTE):
            locks.close()
            raise ConfigError(f"queue {self.name!r} has a consumer already, and a ring has one at a time; for more, give each a ring")
        end = RingConsumer(self._kind, self._memory, locks)
        self._ends.add(end)
        return end

    def figures(self) -> Figures:
        """The queue now. While others put and get, its counts are some moments apart."""
        heads, tails = self._memory.heads.copy(), self._memory.tails.copy()
        refused = int(tails["refused"].sum())
        counted = self._counted_keys() if self._kind.key else self._counted_lanes(heads, tails)
        producers, consumers = self._alive()
        return Figures(
            self.name,
            self.policy,
            self.maxsize,
            counted.size,
            max(counted.size, int(self._memory.reader["high_water"][0])),
            counted.produced + refused,
            counted.consumed,
            counted.dropped + refused,
            counted.conflated,
            int(tails["blocked_ns"].sum()) / 1e9,
            producers,
            consumers,
            counted.in_hand,
        )

    def address(self) -> Address:
        """For another process, for as long as this one has the queue open."""
        if self._shared.is_closed:
            raise Closed(f"queue {self.name!r} was closed here")
        return RingAddress(self._kind, self._shared.place)

    def close(self) -> None:
        """Let the memory go here; ends made here are closed."""
        for end in list(self._ends):
            end.close()
        with self._guard:
            self._locks.close()
        self._shared.close()

    def _alive(self) -> tuple[int, int]:
        with self._guard:
            if self._shared.is_closed:
                return 0, 0
            return sum(self._locks.is_held(lane + 1) for lane in range(self._kind.lanes)), int(self._locks.is_held(CONSUMER_BYTE))

    def _counted_lanes(self, heads: Any, tails: Any) -> _Counted:
        waiting = tails["tail"] - heads["taken"]
        late = np.maximum(waiting - self._kind.terms.maxsize, 0) if self.policy is Policy.DROP_OLDEST else np.zeros_like(waiting)
        return _Counted(
            size=int((waiting - late).sum()),
            produced=int(tails["tail"].sum()),
            consumed=int((heads["head"] - heads["lost"]).sum()),
            dropped=int((heads["lost"] + late).sum()),
            in_hand=int((heads["taken"] - heads["head"]).sum()),
        )

    def _counted_keys(self) -> _Counted:
        keys, latest = self._memory.keys.copy(), self._memory.latest["version"].copy()
        size, in_hand = int((latest != keys["taken"]).sum()), int((keys["taken"] != keys["finished"]).sum())
        produced, consumed = int(latest.sum()), int(self._memory.heads["consumed"].sum())
        return _Counted(size, produced, consumed, in_hand=in_hand, conflated=produced - consumed - size - in_hand)


@dataclass
class _Counted:
    size: int
    produced: int
    consumed: int
    in_hand: int
    dropped: int = 0
    conflated: int = 0


@dataclass(frozen=True)
class RingAddress(Address):
    """Where a RingQueue is."""

    kind: Kind
    place: Place

    def opened(self) -> Queue[object]:
        """The same queue, in this process. Raises Closed when its maker is gone."""
        return RingQueue.opened(self.kind, self.place)


def _shape(kind: Kind) -> Shape:
    return Shape(kind.dtype.itemsize, kind.terms.maxsize, kind.lanes, kind.key is not None)


def _check(kind: Kind) -> None:
    what = f"queue {kind.terms.name!r}"
    if not 0 < kind.dtype.itemsize <= ITEM_BYTES_MAX or kind.dtype.hasobject:
        raise ConfigError(f"{what}: items of {kind.dtype} do not fit a ring, which takes records of 1 to {ITEM_BYTES_MAX} bytes; take a FifoQueue")
    if not isinstance(kind.lanes, int) or not 1 <= kind.lanes <= PRODUCERS_MAX:
        raise ConfigError(f"{what}: producers={kind.lanes!r} is none: it is a whole number from 1 to {PRODUCERS_MAX}")
    if kind.key is not None and kind.key not in (kind.dtype.names or ()):
        raise ConfigError(f"{what}: its key {kind.key!r} is no field of its dtype, which has {', '.join(kind.dtype.names or ('none',))}")
