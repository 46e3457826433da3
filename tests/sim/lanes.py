"""A lane between the gateway's `submit` and the matcher's `sweep`, or its `take` alone, on the memory model.

Activity bit and hot list are set, so that the sweep looks at the lane without being called: that handshake has a model of its own
(tests.sim.parking). `log.tail` counts as private: what it would order is left out, so more can happen, not less.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from shm_exchange.engine.outputs import SESSION_OUTPUT
from shm_exchange.layout.headers import ACTIVITY, LANE_HEAD, MATCHER, PARKED
from shm_exchange.layout.records import COMMAND_WORDS
from shm_exchange.matcher import sweep as matcher_sweep
from shm_exchange.matcher.memory import LANE_STATE, PRIVATE
from shm_exchange.ring import lane as ring_lane
from tests.sim.explore import Executions, explore
from tests.sim.processor import Processor, SharedArray, Texts, Weaker, private, privates

PAYLOAD = ("order_id", "client_order_id", "price_ticks", "quantity", "kinds")
SESSION = 1
BIT = 1 << SESSION
LOG = 8


def payload(position: int) -> tuple[int, ...]:
    """What a gateway submits at a position: no word is like another."""
    return tuple(position * 10 + index for index in range(len(PAYLOAD)))


class ModelLane:
    """The shared words of one lane, and bundles for both its ends."""

    def __init__(self, capacity: int, session: int = SESSION, processor: Processor | None = None, *, bits: int = BIT) -> None:
        self.processor = processor or Processor()
        self.capacity, self.session = capacity, session
        self.slots = self.processor.shared(f"lane{session}", COMMAND_WORDS, capacity)
        self.heads = self.processor.shared("head", LANE_HEAD, [{"head": 1}] * (session + 1), fields=("head",))
        self.activity = self.processor.shared("activity", ACTIVITY, [{"bits": bits}])
        self.parked = self.processor.shared("parked", PARKED)

    def producer(self) -> int:
        """The address of a gateway's end that submits at position 1 next and knows that there is room."""
        words = {"slots": self.slots, "activity": self.activity, "parked": self.parked}
        addresses = {name: array.ctypes.data for name, array in words.items()} | {"head": _address(self.heads, self.session)}
        own = private(ring_lane.PRODUCER, position=1, head_seen=1, capacity=self.capacity, bit=1 << self.session, **addresses)
        return self.processor.place(own)

    def bundles(self, *, hot: bool = True, control: Any = None) -> tuple[Any, ...]:
        """The matcher's memory, policy, outputs and log, as far as sweeping goes."""
        sessions = self.session + 1
        memory = SimpleNamespace(
            words=privates(MATCHER, 1),
            counters=[SimpleNamespace(parks=0)],
            lane_heads=self.heads,
            control=control or [SimpleNamespace(stop=0)],
            activity=self.activity,
            parked=self.parked,
            lanes=[self.slots.ctypes.data] * sessions,
            lane_state=privates(LANE_STATE, sessions, position=1, hot=int(hot)),
            hot=[self.session] * sessions,
            private=privates(PRIVATE, 1, hot_count=int(hot)),
        )
        outputs = SimpleNamespace(events=[None] * LOG, sessions=privates(SESSION_OUTPUT, sessions, unpublished=1, limit=1 + LOG, capacity=LOG))
        records = privates(COMMAND_WORDS, LOG)
        return memory, SimpleNamespace(lane_capacity=self.capacity, budget=2), outputs, SimpleNamespace(records=records, words=records)


def _address(array: SharedArray, index: int) -> int:
    return array.ctypes.data + index * LANE_HEAD.itemsize


def lane_executions(commands: int, attempts: int, sweeps: int, *weaker: Weaker, alone: bool = False) -> Executions:
    """All executions of a gateway that has so many commands for a lane of two, and a matcher that looks so many times; `alone`: at each position once."""
    lane = ModelLane(2)
    texts = Texts(lane.processor, *weaker)
    submit, sweep, take = texts(ring_lane.submit), texts(matcher_sweep.sweep), texts(ring_lane.take)

    def gateway() -> int:
        producer, done = lane.producer(), 0
        for _ in range(attempts):
            if done < commands and submit(producer, *payload(done + 1)):
                done += 1
        return done

    def sweeping() -> int:
        memory, policy, outputs, log = lane.bundles()
        for _ in range(sweeps):
            sweep(memory, policy, outputs, log)
        return _check_taken(log.words[: memory.words[0].log_tail])

    def taking() -> int:
        records = privates(COMMAND_WORDS, sweeps)
        count = 0
        for _ in range(sweeps):
            count += take(lane.slots.ctypes.data, lane.capacity, count + 1, records[count])
        return _check_taken(records[:count])

    def check(submitted: int, taken: int) -> None:
        assert taken <= submitted, f"{taken} commands were taken of {submitted}"

    executions = explore(lane.processor, check, gateway=gateway, matcher=taking if alone else sweeping)
    assert texts.weakened == set(weaker)
    return executions


def _check_taken(records: list[Any]) -> int:
    taken = [tuple(int(getattr(record, name)) for name in PAYLOAD) for record in records]
    expected = [payload(position) for position in range(1, len(taken) + 1)]
    assert taken == expected, f"commands were torn: {taken} instead of {expected}"
    return len(taken)
