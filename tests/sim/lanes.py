"""Lanes on the memory model: their shared words, and bundles for the kernels of both ends.

`log.tail` counts as private: what it would order is left out, so more can happen, not less.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from shm_exchange.engine.outputs import SESSION_OUTPUT
from shm_exchange.layout.headers import ACTIVITY, LANE_HEAD, MATCHER, PARKED
from shm_exchange.layout.records import COMMAND_WORDS
from shm_exchange.matcher.memory import LANE_STATE, PRIVATE
from shm_exchange.ring.lane import PRODUCER
from tests.sim.processor import Processor, SharedArray, private, privates

CAPACITY = 2
BUDGET = 2
_LOG = 8
_WORDS = ("order_id", "client_order_id", "price_ticks", "quantity", "kinds")


def payload(session: int, position: int) -> tuple[int, ...]:
    """What a gateway submits at a position: no word is like another."""
    return tuple(session * 1000 + position * 10 + index for index in range(len(_WORDS)))


def payload_of(record: Any) -> tuple[int, ...]:
    """What stands in a record that the matcher has copied."""
    return tuple(int(getattr(record, word)) for word in _WORDS)


class ModelLanes:
    """The empty lanes of sessions 1 to `count`. active: their activity bits are set."""

    def __init__(self, count: int = 1, *, active: bool = True) -> None:
        self.processor = Processor()
        self.sessions = range(1, count + 1)
        bits = sum(1 << session for session in self.sessions) if active else 0
        self.slots: dict[int, SharedArray] = {session: self.processor.shared(f"lane{session}", COMMAND_WORDS, CAPACITY) for session in self.sessions}
        self.heads = self.processor.shared("head", LANE_HEAD, [{"head": 1}] * (count + 1), fields=("head",))
        self.activity = self.processor.shared("activity", ACTIVITY, [{"bits": bits}])
        self.parked = self.processor.shared("parked", PARKED)

    def producer(self, session: int) -> int:
        """The address of a gateway's end that submits at position 1 next and knows that there is room."""
        words = {"slots": self.slots[session], "activity": self.activity, "parked": self.parked}
        addresses = {name: array.ctypes.data for name, array in words.items()} | {"head": self.heads.address_of(session)}
        return self.processor.place(private(PRODUCER, position=1, head_seen=1, capacity=CAPACITY, bit=1 << session, **addresses))

    def matcher(self, *, hot: bool) -> tuple[Any, ...]:
        """The matcher's memory, policy, outputs and log, as far as sweeping goes. hot: all lanes are on the list of those to look at."""
        count = len(self.sessions)
        memory = SimpleNamespace(
            words=privates(MATCHER, 1),
            counters=[SimpleNamespace(parks=0)],
            lane_heads=self.heads,
            control=[SimpleNamespace(stop=0)],
            activity=self.activity,
            parked=self.parked,
            lanes=[0, *(slots.ctypes.data for slots in self.slots.values())],
            lane_state=privates(LANE_STATE, count + 1, position=1, applied=1, hot=int(hot)),
            hot=[*self.sessions],
            private=privates(PRIVATE, 1, hot_count=count * hot),
        )
        outputs = SimpleNamespace(
            events=[None] * _LOG, sessions=privates(SESSION_OUTPUT, count + 1, unpublished=1, limit=1 + 4 * _LOG, capacity=4 * _LOG)
        )
        records = privates(COMMAND_WORDS, _LOG)
        return (
            memory,
            SimpleNamespace(lane_capacity=CAPACITY, budget=BUDGET, has_journal=False, answers_wait=False),
            outputs,
            SimpleNamespace(records=records, words=records),
        )
