"""Reading what others write: rings that wrap, slots that are torn, bytes that mean nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shm_exchange.domain.config import ExchangeConfig
from shm_exchange.domain.instrument import Instrument
from shm_exchange.domain.limits import SNAPSHOT_SLOTS
from shm_exchange.layout.records import COMMAND, EVENT, LOG_RECORD
from shm_exchange.layout.regions import Writer
from shm_exchange.shm import MATCHER_BYTE, Segment, create
from tools.inspect_segment.picture import Wanted, picture_of
from tools.inspect_segment.reading import LATEST, OVERTAKEN, UNFINISHED, UNUSED, WHOLE, newest, newest_log, slots_of, waiting_in
from tools.inspect_segment.words import command_text, command_words, event_text, event_words

CAPACITY = 64
_numbers = count(1)


@pytest.fixture
def segment(tmp_path: Path) -> Iterator[Segment]:
    instruments = (Instrument("ACME"),)
    config = ExchangeConfig(
        f"seg-{os.getpid()}-{next(_numbers)}",
        instruments,
        max_sessions=2,
        depth=2,
        lane_capacity=64,
        log_capacity=CAPACITY,
        event_capacity=1024,
        sweep_budget=8,
    )
    with create(config, tmp_path) as made:
        assert made.try_lock(MATCHER_BYTE)
        yield made
        made.destroy()


def test_a_version_slot_says_in_which_state_it_is(segment: Segment, monkeypatch: pytest.MonkeyPatch) -> None:
    own = segment.writable(Writer.MATCHER)
    own["snapshots"]["stamp"][:4] = [0, 2, 4, 5]
    own["snapshots"]["bid_count"][:4] = [0, 1, 99, 1]
    own["snapshot_levels"]["price_ticks"][2 * 2 * 2 : 2 * 2 * 2 + 2] = [10, 9]
    own["snapshot_latest"][0].version = 2
    slots = slots_of(segment, 0)
    assert [slot.state for slot in slots[:5]] == [UNUSED, WHOLE, LATEST, UNFINISHED, UNUSED]
    assert [slot.version for slot in slots[:4]] == [0, 1, 2, 3]
    assert slots[2].bids["price_ticks"].tolist() == [10, 9]
    assert picture_of(segment, "/dev/shm", Wanted(0, 0, 0))["books"][0]["slots"][3]["state"] == "being written"
    segment.release(MATCHER_BYTE)
    book = picture_of(segment, "/dev/shm", Wanted(0, 0, 0))["books"][0]
    assert book["slots"][3]["state"] == "torn: the matcher died in it"
    assert book["latest"]["version"] == 2


def test_a_slot_that_changes_while_it_is_read_is_told_apart(segment: Segment, monkeypatch: pytest.MonkeyPatch) -> None:
    own = segment.writable(Writer.MATCHER)
    own["snapshots"][1].stamp, own["snapshot_latest"][0].version = 2, 1
    writes = iter(range(2 + 2 * SNAPSHOT_SLOTS))

    def write_meanwhile() -> None:
        if next(writes, None) == 3:  # between the looks at slot 1, in the first try only
            own["snapshots"][1].stamp, own["snapshot_latest"][0].version = 2 * (1 + SNAPSHOT_SLOTS), 1 + SNAPSHOT_SLOTS

    monkeypatch.setattr("tools.inspect_segment.reading.fence", write_meanwhile)
    slots = slots_of(segment, 0)
    assert slots[1].state == LATEST
    assert slots[1].version == 1 + SNAPSHOT_SLOTS
    writes = iter(())
    assert OVERTAKEN not in [slot.state for slot in slots]


@given(tail=st.integers(1, 500), wanted=st.integers(0, 100), ahead=st.integers(0, CAPACITY))
def test_the_newest_records_of_a_ring_are_those_whose_numbers_stand_there(tail: int, wanted: int, ahead: int) -> None:
    """The writer may have written up to `ahead` slots behind the tail that it has not moved yet."""
    ring = np.zeros(CAPACITY, EVENT)
    for number in range(1, tail + ahead):
        ring[number % CAPACITY]["number"] = number
    expected = [number for number in range(max(1, tail - min(wanted, CAPACITY)), tail) if number + CAPACITY >= tail + ahead]
    assert newest(ring, tail, wanted)["number"].tolist() == expected


@given(head=st.integers(1, 1000), waiting=st.integers(0, CAPACITY))
def test_what_waits_in_a_lane_is_counted_without_reading_all_of_it(head: int, waiting: int) -> None:
    lane = np.zeros(CAPACITY, COMMAND)
    for position in range(max(1, head - CAPACITY), head + waiting):
        lane[position % CAPACITY]["number"] = position
    assert waiting_in(lane, head) == waiting


def test_of_the_log_only_what_cannot_be_overwritten_meanwhile_is_shown(segment: Segment, monkeypatch: pytest.MonkeyPatch) -> None:
    own = segment.writable(Writer.MATCHER)
    own["log"]["command_id"] = np.arange(CAPACITY)
    own["matcher"][0].log_tail = 40
    part = newest_log(segment, 1000)
    assert (part.first, part.records["command_id"].tolist()) == (8, list(range(8, 40)))

    def sweep_meanwhile() -> None:
        own["matcher"][0].log_tail = 50

    monkeypatch.setattr("tools.inspect_segment.reading.fence", sweep_meanwhile)
    part = newest_log(segment, 1000)
    assert (part.first, part.records["command_id"].tolist()) == (18, list(range(18, 40)))


@given(st.binary(min_size=64, max_size=64))
def test_any_bytes_can_be_told_in_words(raw: bytes) -> None:
    instruments = (Instrument("ACME"),)
    for dtype in (COMMAND, LOG_RECORD):
        assert command_text(command_words(np.frombuffer(raw, dtype)[0], instruments))
    assert event_text(event_words(np.frombuffer(raw, EVENT)[0], instruments))


def test_a_number_without_a_word_is_shown_as_it_is() -> None:
    record = np.zeros(1, COMMAND)
    record["kind"], record["side"], record["modifiers"], record["instrument"] = 1, 9, 0x81, 7
    words = command_words(record[0], (Instrument("ACME"),))
    assert (words["side"], words["modifiers"], words["symbol"]) == ("?9", "POST_ONLY|?128", "?7")
    assert command_text(words) == "ENTER ?9 0 lots ?7 @ 0 ticks POST_ONLY|?128"
