"""The event ring: a reader gets every event once, in order and whole, and one that was lapped is told exactly which it will not get."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from shm_exchange.engine.outputs import emit_event
from shm_exchange.layout.records import EVENT
from shm_exchange.ring import broadcast
from shm_exchange.ring.broadcast import FEED, take_events
from shm_exchange.ring.publish import publish_events
from tests.litmus.interleave import Recording, Replay, nothing, plain
from tests.ring.publisher import Publisher, event_row


def _feed() -> np.recarray:
    feed = np.zeros(1, FEED).view(np.recarray)
    feed[0].next_event = 1
    return feed


def _room(records: int) -> np.recarray:
    return np.zeros(records, EVENT).view(np.recarray)


class EventsAgainstModel(RuleBasedStateMachine):
    """An event is there from its publication until the writer begins with the one a whole ring later."""

    @initialize(capacity=st.sampled_from([2, 4, 8, 16]))
    def begin(self, capacity: int) -> None:
        self.matcher = Publisher(capacity)
        self.feed = _feed()
        self.written = self.tail = self.expected = 1

    def is_there(self, number: int) -> bool:
        return number < self.tail and self.written <= number + self.matcher.capacity

    @rule(count=st.integers(1, 20))
    def write(self, count: int) -> None:
        for _ in range(count):
            self.matcher.event()
        self.written += count

    @rule()
    def publish(self) -> None:
        self.matcher.publish_events()
        self.tail = self.written
        assert self.matcher.words[0].event_tail == self.tail

    @rule(records=st.integers(1, 6))
    def take(self, records: int) -> None:
        out = _room(records)
        count = take_events(self.feed, self.matcher.events, self.matcher.words, out)
        numbers: list[int] = []
        while len(numbers) < records and self.is_there(self.expected):
            numbers.append(self.expected)
            self.expected += 1
        assert out[:count].tolist() == [event_row(number) for number in numbers]
        lost = (0, 0)
        if not numbers and self.expected < self.tail:
            lost = (self.expected, max(self.expected, self.tail - self.matcher.capacity // 2 - 1))
            self.expected = lost[1] + 1
        own = self.feed[0]
        assert (own.lost_first, own.lost_last, own.next_event) == (*lost, self.expected)


TestEventsAgainstModel = EventsAgainstModel.TestCase

STORES_BEHIND_THE_TAIL = 7  # of an event: number := 0 and six words


def _recorded(batches: list[int]) -> tuple[Publisher, Recording]:
    """The stores of a writer that publishes batches of so many events."""
    matcher = Publisher(4)
    recording = Recording(matcher.events, matcher.words)
    emit = plain(emit_event, store_relaxed=recording.store, fence_release=nothing, prefetch=nothing)
    publish = plain(publish_events, store_release=recording.store)
    for batch in batches:
        for _ in range(batch):
            matcher.event(emit)
        matcher.publish_events(publish)
    return matcher, recording


@given(st.lists(st.integers(1, 6), min_size=1, max_size=8), st.lists(st.integers(0, 32), max_size=80), st.integers(1, 4))
def test_a_reader_that_is_overtaken_at_any_load_gets_whole_events_or_the_truth(batches: list[int], schedule: list[int], records: int) -> None:
    matcher, recording = _recorded(batches)
    replay = Replay(recording, schedule)
    hooks = {"load_acquire": replay.load, "load_relaxed": replay.load, "fence_acquire": nothing}
    take = plain(take_events, **hooks, _copy_event=plain(broadcast._copy_event, **hooks))
    feed, out, expected = _feed(), _room(records), 1
    while True:
        count = take(feed, matcher.events, matcher.words, out)
        assert out[:count].tolist() == [event_row(number) for number in range(expected, expected + count)]
        expected += count
        if feed[0].lost_first:
            assert feed[0].lost_first == expected
            assert matcher.words[0].event_tail > feed[0].lost_last
            expected = int(feed[0].lost_last) + 1
        elif not count:
            if replay.finished:
                break
            replay.advance(1)
        assert feed[0].next_event == expected
    assert expected == sum(batches) + 1


def test_a_writer_killed_after_any_store_leaves_whole_events_to_read() -> None:
    """Below the tail nothing is missing but what the dead had begun to overwrite."""
    matcher, recording = _recorded([3, 2])
    readable: dict[int, list[list[int]]] = {}
    for index in range(len(recording.pictures)):
        recording.show(index)
        feed, out, taken = _feed(), _room(8), []
        while feed[0].next_event < matcher.words[0].event_tail:
            taken += out[: take_events(feed, matcher.events, matcher.words, out)].tolist()
        numbers = [row[0] for row in taken]
        assert taken == [event_row(number) for number in numbers]
        readable.setdefault(int(matcher.words[0].event_tail), []).append(numbers)
    assert readable[1] == [[]] * 25
    assert readable[4] == [[1, 2, 3]] * (1 + STORES_BEHIND_THE_TAIL) + [[2, 3]] * (STORES_BEHIND_THE_TAIL + 2)
    assert readable[6] == [[4, 5]]
