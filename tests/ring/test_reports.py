"""The report ring: every number is delivered once, in order and whole, or was skipped because the ring was full, and then the reader is told so."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from shm_exchange.layout.records import REPORT
from shm_exchange.ring.publish import publish_reports
from shm_exchange.ring.reports import READER, acknowledge, await_report, take_reports
from tests.litmus.interleave import Recording, Replay, plain
from tests.ring.publisher import SESSION, Publisher, report_row


def _reader() -> np.recarray:
    reader = np.zeros(1, READER).view(np.recarray)
    reader[0].next_report = 1
    return reader


def _room(records: int) -> np.recarray:
    return np.zeros(records, REPORT).view(np.recarray)


class ReportsAgainstModel(RuleBasedStateMachine):
    """A number is skipped only while the reader is a whole ring behind, or because one before it in the same batch was."""

    @initialize(capacity=st.sampled_from([1, 2, 4, 8]))
    def begin(self, capacity: int) -> None:
        self.matcher = Publisher(capacity)
        self.reader = _reader()
        self.written = self.tail = self.expected = self.acknowledged = 1
        self.skipped: set[int] = set()

    @rule(count=st.integers(1, 12))
    def write(self, count: int) -> None:
        output = self.matcher.outputs.sessions[SESSION]
        for _ in range(count):
            before = int(output.skipped)
            self.matcher.report()
            if output.skipped > before:
                assert self.written >= self.acknowledged + self.matcher.capacity or self.skipped & set(range(self.tail, self.written))
                self.skipped.add(self.written)
            self.written += 1

    @rule()
    def publish(self) -> None:
        assert self.matcher.publish_reports() == self.written - self.tail
        self.tail = self.written
        assert self.matcher.tail[0].tail == self.tail
        assert self.matcher.tail[0].skipped == len(self.skipped)

    @rule(records=st.integers(1, 6))
    def take(self, records: int) -> None:
        out = _room(records)
        there = self.expected < self.tail
        assert await_report(self.reader, self.matcher.own_reports, self.matcher.tail, 1) == there
        count = take_reports(self.reader, self.matcher.own_reports, self.matcher.tail, out)
        numbers: list[int] = []
        while len(numbers) < records and self.expected < self.tail and self.expected not in self.skipped:
            numbers.append(self.expected)
            self.expected += 1
        assert out[:count].tolist() == [report_row(number) for number in numbers]
        lost = (0, 0)
        if there and not numbers:
            lost = (self.expected, self.expected)
            while lost[1] + 1 < self.tail and lost[1] + 1 in self.skipped:
                lost = (lost[0], lost[1] + 1)
            self.expected = lost[1] + 1
        own = self.reader[0]
        assert (own.lost_first, own.lost_last, own.next_report) == (*lost, self.expected)

    @rule()
    def acknowledge(self) -> None:
        acknowledge(self.reader, self.matcher.head)
        self.acknowledged = self.expected

    @rule()
    def look_at_the_reader(self) -> None:
        """The matcher does so between two batches."""
        self.publish()
        assert self.matcher.refresh() == self.tail - self.acknowledged

    def teardown(self) -> None:
        """Read to the end: nothing is delivered twice, nothing is neither delivered nor told lost."""
        if hasattr(self, "matcher"):
            self.publish()
            while self.expected < self.tail:
                self.take(3)


TestReportsAgainstModel = ReportsAgainstModel.TestCase


def test_what_was_skipped_early_in_a_batch_is_not_made_up_when_the_reader_catches_up() -> None:
    """The ring is full, report 3 has no slot; then the reader frees both, and report 4 of the same batch may have one. Slot 3 holds an old report."""
    matcher, reader, out = Publisher(2), _reader(), _room(8)
    matcher.report()
    matcher.report()
    matcher.publish_reports()
    assert take_reports(reader, matcher.own_reports, matcher.tail, out) == 2
    matcher.report()
    acknowledge(reader, matcher.head)
    matcher.report()
    matcher.publish_reports()
    assert take_reports(reader, matcher.own_reports, matcher.tail, out) == 0
    assert reader[0].lost_first == 3
    while reader[0].next_report < 5:
        assert take_reports(reader, matcher.own_reports, matcher.tail, out) == 1
        assert out[:1].tolist() == [report_row(4)]


@given(st.lists(st.one_of(st.integers(-(2**63), 2**63 - 1), st.integers(-5, 30)), max_size=20))
def test_a_reader_that_lies_about_its_head_harms_only_itself(heads: list[int]) -> None:
    matcher = Publisher(4)
    limit = 5
    for head in heads:
        for _ in range(3):
            matcher.report()
        matcher.publish_reports()
        matcher.head[0].head = head
        unread = matcher.refresh()
        output = matcher.outputs.sessions[SESSION]
        assert unread >= 0
        assert limit <= output.limit <= output.unpublished + 4
        limit = output.limit


@given(st.integers(0, 3), st.lists(st.integers(0, 6), max_size=60), st.integers(1, 4))
def test_a_reader_that_looks_at_any_time_misses_nothing(batches: int, schedule: list[int], records: int) -> None:
    """A number that is about to appear is not lost, though the tail may be seen before it."""
    matcher = Publisher(4)
    recording = Recording(matcher.reports, matcher.tails)
    for batch in range(batches + 1):
        for _ in range(batch + 1):
            matcher.report()
        matcher.publish_reports(plain(publish_reports, store_release=recording.store))
    last = int(matcher.book.sessions[SESSION].next_report) - 1
    replay = Replay(recording, schedule)
    take = plain(take_reports, load_acquire=replay.load, load_relaxed=replay.load)
    reader, out = _reader(), _room(records)
    taken: list[tuple[int, ...]] = []
    lost: list[int] = []
    while reader[0].next_report <= last:
        count = take(reader, matcher.own_reports, matcher.tail, out)
        taken += out[:count].tolist()
        if reader[0].lost_first:
            assert reader[0].lost_last >= reader[0].lost_first
            lost += range(reader[0].lost_first, reader[0].lost_last + 1)
        elif not count:
            replay.advance(1)
    assert taken == [report_row(number) for number in range(1, min(last, 4) + 1)]
    assert lost == list(range(5, last + 1))


def test_a_gateway_that_dies_before_it_acknowledges_gets_the_same_reports_again() -> None:
    matcher = Publisher(8)
    for _ in range(6):
        matcher.report()
    matcher.publish_reports()
    first, out = _reader(), _room(4)
    assert take_reports(first, matcher.own_reports, matcher.tail, out[:2]) == 2
    acknowledge(first, matcher.head)
    assert take_reports(first, matcher.own_reports, matcher.tail, out) == 4
    second = _reader()
    second[0].next_report = matcher.head[0].head
    assert take_reports(second, matcher.own_reports, matcher.tail, out) == 4
    assert out["number"].tolist() == [3, 4, 5, 6]
