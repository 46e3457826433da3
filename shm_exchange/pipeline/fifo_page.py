"""The memory of a FifoQueue: faster-fifo's own two buffers, and a page of ours that makes them safe to share with processes that may be killed.

    PAGE         words            COUNTS[2]    what became of items; `turn` says which of the two counts
    MEMBER[64]   who is there     image        the first of faster-fifo's buffers as it was when new
    object, ring                  faster-fifo's buffers: its mutex and positions, and the pickled items

faster-fifo's mutex is not robust: when its holder is killed, everybody who comes after hangs, even in a call that is not to wait. So nobody comes
there but through our gate, a byte lock of the file, which the system releases whatever happens to its holder. The mutex is therefore always free when
it is taken, and nothing waits inside. Whoever passes the gate and finds `inside` set knows that a member was killed in there: what the buffers hold
is worth nothing, so it puts the image in their place, and counts as dropped what was waiting.

Everything is written by whoever is in the gate. Counts change all at once, by `turn`: a killed member has counted all or nothing.
"""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Empty as NothingThere
from queue import Full
from typing import Any

import numpy as np

from shm_exchange.domain.errors import Closed, ConfigError, MissingExtra
from shm_exchange.layout.headers import PARKED, lines
from shm_exchange.pipeline.parking import wake_at
from shm_exchange.pipeline.shared import Plan, Rows, SharedFile
from shm_exchange.pipeline.terms import naps
from shm_exchange.shm.locks import LockFile

GATE_BYTE = 0
MEMBERS_MAX = 64
ABSENT, PRODUCER, CONSUMER = 0, 1, 2
"""What a member is while it is there."""
SIZE_BYTES = ctypes.sizeof(ctypes.c_size_t)
"""faster-fifo writes its length before every item."""
_YIELDS = 20

PAGE = lines(
    ("inside", "i8"),  # 1 while somebody is in faster-fifo
    ("turn", "i8"),  # which COUNTS count
    ("recreated", "i8"),  # how often the buffers were made anew
    ("had_producer", "i8"),
    ("had_consumer", "i8"),
)
COUNTS = lines(
    ("waiting", "i8"),
    ("in_hand", "i8"),
    ("produced", "i8"),
    ("consumed", "i8"),
    ("dropped", "i8"),
    ("conflated", "i8"),
    ("blocked_ns", "i8"),
    ("high_water", "i8"),
)
MEMBER = np.dtype([("role", "i8"), ("in_hand", "i8")])


def faster_fifo() -> Any:
    """The module. Raises MissingExtra."""
    try:
        import faster_fifo as module
    except ImportError as error:
        raise MissingExtra(
            "a FifoQueue needs faster-fifo, which has no wheel for this Python or processor; `pip install faster-fifo` builds it; "
            "records go through a RingQueue without it, and threads of one process share a LocalQueue"
        ) from error
    return module


def new_image(max_bytes: int) -> bytes:
    """faster-fifo's first buffer as it is when new. Raises MissingExtra."""
    return bytes(faster_fifo().Queue(max_bytes).queue_obj_buffer)


class FifoMemory:
    """The parts, as arrays over the shared file; the same for all members of one process."""

    def __init__(self, image_bytes: int, max_bytes: int, shared: SharedFile) -> None:
        parts = _Parts(image_bytes, max_bytes)
        self.max_bytes = max_bytes
        self.shared = shared
        self.page = shared.rows(parts.page, PAGE, 1)
        self.counts = shared.rows(parts.counts, COUNTS, 2)
        self.members = shared.rows(parts.members, MEMBER, MEMBERS_MAX)
        self.items_parked = shared.rows(parts.items_parked, PARKED, 1)
        self.room_parked = shared.rows(parts.room_parked, PARKED, 1)
        self.image = shared.array(parts.image, image_bytes)
        self.object = shared.array(parts.object, image_bytes)
        self.ring = shared.array(parts.ring, max_bytes)

    @staticmethod
    def total_bytes(image_bytes: int, max_bytes: int) -> int:
        """What it needs."""
        return _Parts(image_bytes, max_bytes).total_bytes

    def make(self, image: bytes) -> None:
        """By its maker, once."""
        ctypes.memmove(self.image, image, len(image))
        self.renew()

    def renew(self) -> None:
        """faster-fifo's buffers as they were when new: empty, and its mutex free."""
        ctypes.memmove(self.object, self.image, len(self.image))


class _Parts(Plan):
    def __init__(self, image_bytes: int, max_bytes: int) -> None:
        super().__init__()
        self.page = self.take(PAGE.itemsize)
        self.counts = self.take(COUNTS.itemsize * 2)
        self.members = self.take(MEMBER.itemsize * MEMBERS_MAX)
        self.items_parked = self.take(PARKED.itemsize)
        self.room_parked = self.take(PARKED.itemsize)
        self.image = self.take(image_bytes)
        self.object = self.take(image_bytes)
        self.ring = self.take(max_bytes)


def _attached(memory: FifoMemory) -> Any:
    """A queue of faster-fifo over our memory. Its own way to make one goes through a file, which a kill at that moment would leave behind."""
    module = faster_fifo()
    fifo = module.Queue.__new__(module.Queue)
    fifo.__dict__ |= {
        "max_size_bytes": memory.max_bytes,
        "max_bytes_to_read": memory.max_bytes,
        "maxsize": memory.max_bytes,
        "closed": ctypes.c_bool(False),
        "queue_obj_buffer": memory.object,
        "shared_memory": memory.ring,
        "message_buffer": module.TLSBuffer(None),
        "last_error": None,
        "loads": bytes,  # we pickle outside the gate
        "dumps": bytes,
    }
    return fifo


class Gate:
    """One way in, for one member at a time: the lock, the counts, who is there, and faster-fifo itself. All but `entered` only inside."""

    def __init__(self, name: str, memory: FifoMemory) -> None:
        self._name = name
        self._memory = memory
        self._page: Any = memory.page[0]
        self._lock: LockFile = memory.shared.lock_file()
        self._slot = -1
        self._fifo = _attached(memory)

    @contextmanager
    def entered(self, deadline: float) -> Iterator[bool]:
        """Inside, or False: whoever is in there, stopped perhaps, did not leave in time."""
        if not self._enter(deadline):
            yield False
            return
        try:
            if self._page["inside"]:
                self.recreate()
            yield True
        finally:
            self._lock.release(GATE_BYTE)

    def _enter(self, deadline: float) -> bool:
        for _ in range(_YIELDS):
            if self._lock.try_lock(GATE_BYTE):
                return True
            os.sched_yield()
        pauses = naps()
        while not self._lock.try_lock(GATE_BYTE):
            if time.monotonic() >= deadline:
                return False
            time.sleep(next(pauses))
        return True

    def recreate(self) -> int:
        """Both buffers as new. Returns how many items were lost with the old."""
        self._page["inside"] = 1  # killed from here on, the next one does it again
        self._memory.renew()
        lost = self.count("waiting")
        self._page["recreated"] += 1
        self.add(waiting=-lost, dropped=lost)
        self._page["inside"] = 0
        return lost

    def count(self, what: str) -> int:
        """One of COUNTS."""
        return int(self._memory.counts[what][int(self._page["turn"])])

    def add(self, **changes: int) -> None:
        """Change counts, all at once."""
        turn = int(self._page["turn"])
        counts: Any = self._memory.counts
        counts[1 - turn] = counts[turn]
        fresh = counts[1 - turn]
        for what, change in changes.items():
            fresh[what] += change
        fresh["high_water"] = max(fresh["high_water"], fresh["waiting"])
        self._page["turn"] = 1 - turn

    @contextmanager
    def _inside(self) -> Iterator[Any]:
        """In faster-fifo. Whatever is raised, by a signal's handler too, the counts are then what is there."""
        self._page["inside"] = 1
        try:
            yield self._fifo
        except BaseException:
            missing = self.count("waiting") - self._fifo.qsize()
            self.add(waiting=-missing, dropped=max(missing, 0), produced=max(-missing, 0))
            raise
        finally:
            self._page["inside"] = 0

    def put(self, messages: list[bytes], **changes: int) -> bool:
        """All of them, with what they change in the counts, or False: not so many bytes are free."""
        with self._inside() as fifo:
            try:
                fifo.put_many_nowait(messages)
            except Full:
                return False
            self.add(waiting=len(messages), **changes)
        return True

    def take(self, limit: int, **changes: int) -> list[bytes]:
        """At most so many of the oldest. changes: of other counts, for each item."""
        messages: list[bytes] = []
        with self._inside() as fifo:
            while len(messages) < limit:
                try:
                    messages += fifo.get_many_nowait(limit - len(messages))
                except NothingThere:
                    break
            self.add(waiting=-len(messages), **{what: change * len(messages) for what, change in changes.items()})
        return messages

    def rewrite(self, change: Callable[[list[bytes]], list[bytes]]) -> None:
        """All that waits, and one item more, by what `change` makes of it. Raises Full, or what `change` raises: then nothing has changed."""
        with self._inside() as fifo:
            old: list[bytes] = []
            while len(old) < self.count("waiting"):
                old += fifo.get_many_nowait()
            try:
                fresh = change(old)
                fifo.put_many_nowait(fresh)
            except BaseException:
                if old:
                    fifo.put_many_nowait(old)
                raise
            self.add(waiting=len(fresh) - len(old), produced=1, conflated=len(old) + 1 - len(fresh))

    def join(self, role: int) -> None:
        """Be a member from now on, until `leave` or death. Raises ConfigError."""
        self._slot = next((slot for slot in range(MEMBERS_MAX) if self._lock.try_lock(slot + 1)), -1)
        if self._slot < 0:
            raise ConfigError(f"queue {self._name!r} has {MEMBERS_MAX} producers and consumers already, which is all it can have")
        self._memory.members[self._slot] = (role, 0)
        self._page["had_producer" if role == PRODUCER else "had_consumer"] = 1

    def hand(self, items: int) -> None:
        """So many are in our hand now."""
        self._memory.members["in_hand"][self._slot] = items

    def leave(self) -> None:
        """No member any more; what is in hand stays unfinished, and is counted as dropped."""
        self._memory.members[self._slot] = (ABSENT, 0)
        self._lock.release(self._slot + 1)
        self.count_the_dead()

    def count_the_dead(self) -> None:
        """Members that were killed leave; what they had in hand is counted as dropped."""
        members: Any = self._memory.members
        for slot in np.flatnonzero(members["role"]):
            if not self._lock.is_held(int(slot) + 1):
                members[slot] = (ABSENT, 0)
        if missing := self.count("in_hand") - int(members["in_hand"].sum()):
            self.add(in_hand=-missing, dropped=missing)

    def alive(self, role: int) -> int:
        """How many, as of the last `count_the_dead`."""
        return int((self._memory.members["role"] == role).sum())

    def check_consumers(self) -> None:
        """Raises Closed when all that came are gone."""
        if self._page["had_consumer"] and not self.alive(CONSUMER):
            raise Closed(f"all consumers of queue {self._name!r} are gone")

    def check_producers(self) -> None:
        """Raises Closed when all that came are gone. Caller: found nothing waiting."""
        if self._page["had_producer"] and not self.alive(PRODUCER):
            raise Closed(f"all producers of queue {self._name!r} are gone, and it is drained")

    def close(self) -> None:
        """Let the lock go. Again is harmless."""
        self._lock.close()


def park(parked: Rows) -> None:
    """In the gate: say that we are about to sleep on it."""
    parked["parked"] = 1


def wake(parked: Rows) -> None:
    """Wake who sleeps on it."""
    if parked["parked"][0]:
        wake_at(parked.ctypes.data)
