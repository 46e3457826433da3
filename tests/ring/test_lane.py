"""The lane against a deque: however submit, take, a slow head and a restarted gateway alternate, commands arrive once, whole and in order."""

from __future__ import annotations

from collections import deque

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from shm_exchange.domain.limits import POSITION_BITS
from shm_exchange.layout.records import COMMAND_WORDS
from shm_exchange.ring import lane as ring_lane
from shm_exchange.ring.lane import await_room, has_command, recover_position, submit, submit_many, take
from tests.litmus.interleave import Recording, Replay, nothing, plain
from tests.ring.lanes import PAYLOAD, SESSION, Lane, new_lane, words_of

WORD = st.integers(-(2**63), 2**63 - 1)
PAYLOADS = st.tuples(WORD, st.integers(0, 2**64 - 1), WORD, WORD, WORD, WORD)


class LaneAgainstDeque(RuleBasedStateMachine):
    """`taken` runs ahead of `head`, as in the matcher, which frees slots after a whole batch."""

    @initialize(capacity=st.sampled_from([1, 2, 4, 8]), first=st.sampled_from([1, 2, 7, 2**31, (1 << POSITION_BITS) - 3]))
    def begin(self, capacity: int, first: int) -> None:
        self.lane = new_lane(capacity, first)
        self.capacity, self.head, self.taken, self.position = capacity, first, first, first
        self.waiting: deque[tuple[int, ...]] = deque()
        self.attach()

    @property
    def room(self) -> int:
        return self.capacity - (self.position - self.head)

    @property
    def address(self) -> int:
        return self.producer.ctypes.data

    def attach(self) -> None:
        self.producer = self.lane.producer()
        self.submitted = self.full = 0

    @rule(payload=PAYLOADS)
    def submit(self, payload: tuple[int, ...]) -> None:
        order_id, client_order_id, price_ticks, quantity, kinds, _ = payload
        signed = np.uint64(client_order_id).astype(np.int64)
        answer = submit(self.address, order_id, signed, price_ticks, quantity, kinds)
        if not self.room:
            assert answer == 0
            self.full += 1
            return
        assert answer == self.position
        self.waiting.append((*payload[:5], 0))
        self.position += 1
        self.submitted += 1

    @rule(payloads=st.lists(PAYLOADS, min_size=1, max_size=10), skipped=st.integers(0, 2))
    def submit_many(self, payloads: list[tuple[int, ...]], skipped: int) -> None:
        expected = payloads[skipped:][: self.room]
        assert submit_many(self.address, words_of(payloads), skipped) == len(expected)
        self.full += len(expected) < len(payloads[skipped:])
        self.waiting.extend(expected)
        self.position += len(expected)
        self.submitted += len(expected)

    @rule()
    def take(self) -> None:
        expected = self.waiting.popleft() if self.waiting else None
        assert self.lane.take(self.taken) == expected
        self.taken += expected is not None

    @rule()
    def free(self) -> None:
        self.lane.free(self.taken)
        self.head = self.taken

    @rule()
    def die_and_attach_again(self) -> None:
        self.attach()

    @invariant()
    def both_ends_agree(self) -> None:
        own = self.producer[0]
        assert (own.position, own.submitted, own.full) == (self.position, self.submitted, self.full)
        assert recover_position(self.lane.slots, self.lane.head) == self.position
        assert await_room(self.address, 1) == (self.room > 0)
        assert has_command(self.lane.slots.ctypes.data, self.capacity, self.taken) == bool(self.waiting)


TestLaneAgainstDeque = LaneAgainstDeque.TestCase


@pytest.mark.parametrize("many", [False, True])
def test_a_gateway_marks_its_lane_and_wakes_the_matcher(many: bool) -> None:
    lane = new_lane(2)
    address = (producer := lane.producer()).ctypes.data
    neighbours = 1 << 5
    lane.activity[0].bits = neighbours
    lane.parked[0].parked = 1
    assert submit_many(address, words_of([(1, 2, 3, 4, 5, 6)]), 0) if many else submit(address, 1, 2, 3, 4, 5)
    assert lane.activity[0].bits == neighbours | 1 << SESSION
    assert lane.parked[0].parked == 0
    assert producer[0].head == lane.head.ctypes.data


def test_who_submits_nothing_wakes_nobody() -> None:
    lane = new_lane(1)
    address = (producer := lane.producer()).ctypes.data
    assert submit(address, 0, 0, 0, 0, 0) == 1
    lane.activity[0].bits, lane.parked[0].parked = 0, 1
    assert submit(address, 0, 0, 0, 0, 0) == 0
    assert submit_many(address, words_of([(0,) * 6]), 0) == 0
    assert (lane.activity[0].bits, lane.parked[0].parked, producer[0].full) == (0, 1, 2)


def test_the_activity_word_of_a_high_session() -> None:
    lane = new_lane(2)
    activity = np.zeros(3, lane.activity.dtype).view(np.recarray)
    own = lane._replace(activity=activity).producer()
    assert own[0].activity == activity.ctypes.data  # session 3
    assert submit(own.ctypes.data, 0, 0, 0, 0, 0)
    assert activity["bits"].tolist() == [1 << SESSION, 0, 0]


SECOND_LAP = [(10 + number, 20 + number, 30 + number, 40 + number, 50 + number, 0) for number in range(4)]


def _recorded_lap(many: bool) -> tuple[Lane, Recording]:
    """A lane of four that was filled and emptied once, and the stores of a gateway that fills it again."""
    lane = new_lane(4)
    producer = lane.producer()
    for number in range(4):
        submit(producer.ctypes.data, -number, number, -number, -number, -number)
    lane.free(5)
    producer[0].head_seen = 5
    recording = Recording(lane.slots)
    slots = _slots(lane)
    hooks = {
        "store_relaxed": recording.store,
        "store_release": recording.store,
        "record_at": lambda _address, _dtype: producer[0],
        "_slot": lambda _producer, position: slots[position & 3],
        "_has_room": lambda own, position: position - own.head_seen < 4,
        "_announce": nothing,
    }
    if many:
        assert plain(submit_many, **hooks)(0, words_of(SECOND_LAP), 0) == 4
    else:
        scalar = plain(submit, **hooks, _put=plain(ring_lane._put, **hooks))
        assert [scalar(0, *payload[:5]) for payload in SECOND_LAP] == [5, 6, 7, 8]
    return lane, recording


def _slots(lane: Lane) -> np.recarray:
    return lane.slots.view(np.ndarray).view(COMMAND_WORDS).view(np.recarray)


@pytest.mark.parametrize("many", [False, True])
def test_a_gateway_killed_after_any_store_has_submitted_whole_commands_only(many: bool) -> None:
    lane, recording = _recorded_lap(many)
    assert len(recording.pictures) == 1 + 4 * 8
    for index in range(len(recording.pictures)):
        recording.show(index)
        whole = index // 8
        assert recover_position(lane.slots, lane.head) == 5 + whole
        assert [lane.take(5 + number) for number in range(4)] == [*SECOND_LAP[:whole], *[None] * (4 - whole)]
        assert lane.producer()[0].position == 5 + whole


@given(st.booleans(), st.lists(st.integers(0, 20), max_size=60))
def test_a_matcher_that_looks_at_any_time_takes_whole_commands_only(many: bool, schedule: list[int]) -> None:
    lane, recording = _recorded_lap(many)
    replay = Replay(recording, schedule)
    slots = _slots(lane)
    copy = plain(take, load_acquire=replay.load, load_relaxed=replay.load, record_at=lambda address, _dtype: slots[address // 64])
    record = np.zeros(1, COMMAND_WORDS).view(np.recarray)[0]
    for number, expected in enumerate(SECOND_LAP):
        while not copy(0, 4, 5 + number, record):
            replay.advance(1)
        assert tuple(int(record[name]) for name in PAYLOAD) == expected
