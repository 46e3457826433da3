"""Versioned slots: no interleaving and no death of the writer shows a reader a torn, an older or no version, and none makes it look for ever."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shm_exchange.domain.limits import SNAPSHOT_SLOTS
from shm_exchange.layout.headers import PRICE_LEVEL, SNAPSHOT, SNAPSHOT_LATEST
from shm_exchange.snapshot.slots import READ_TRIES, Snapshots, begin_version, depth_of, end_version, put_level, read_snapshot
from tests.litmus.interleave import Recording, Replay, nothing, plain

INSTRUMENTS = 2
INSTRUMENT = 1
DEPTH = 2
HEAD_FIELDS = ("event_number", "last_price_ticks", "last_quantity", "last_match_id", "time_ns", "bid_count", "ask_count")
BUSY = -1


def _snapshots(depth: int = DEPTH) -> Snapshots:
    return Snapshots(
        np.zeros(INSTRUMENTS, SNAPSHOT_LATEST).view(np.recarray),
        np.zeros(INSTRUMENTS * SNAPSHOT_SLOTS, SNAPSHOT).view(np.recarray),
        np.zeros(INSTRUMENTS * SNAPSHOT_SLOTS * 2 * depth, PRICE_LEVEL).view(np.recarray),
    )


def _counts(version: int) -> tuple[int, int]:
    """How many bids and asks: the book grows and shrinks."""
    return version % (DEPTH + 1), (version // 2) % (DEPTH + 1)


def _head(version: int) -> dict[str, int]:
    words = {name: version * 100 + number for number, name in enumerate(HEAD_FIELDS)}
    return words | dict(zip(("bid_count", "ask_count"), _counts(version), strict=True))


def _levels(version: int, side_index: int) -> list[tuple[int, int]]:
    return [(version * 10 + position, -version * 10 - side_index) for position in range(_counts(version)[side_index])]


class Writer:
    """Writes versions whose every word tells the version, through `slots`, or through its kernels as plain Python that store as told."""

    def __init__(self, snapshots: Snapshots, recording: Recording | None = None) -> None:
        self._snapshots = snapshots
        store = recording.store if recording else None
        hooks = {"store_relaxed": store, "store_release": store, "fence_release": nothing}
        kernels: tuple[Any, ...] = (begin_version, put_level, end_version)
        self._begin, self._put, self._end = (plain(kernel, **hooks) if store else kernel for kernel in kernels)
        self._store = store or setattr

    def write(self, version: int) -> None:
        """The next version; the caller knows which."""
        slot = self._begin(self._snapshots, INSTRUMENT)
        for name, value in _head(version).items():
            self._store(self._snapshots.heads[slot], name, value)
        for side_index in range(2):
            for position, level in enumerate(_levels(version, side_index)):
                self._put(self._snapshots, slot, side_index, position, *level)
        self._end(self._snapshots, INSTRUMENT, slot)


class Reader:
    """Reads, and checks that what it got is one version, whole."""

    def __init__(self, snapshots: Snapshots, replay: Replay | None = None) -> None:
        self._snapshots = snapshots
        hooks = {"load_acquire": replay.load, "load_relaxed": replay.load, "fence_acquire": nothing} if replay else {}
        self._read = plain(read_snapshot, **hooks) if replay else read_snapshot
        self._head_out = np.zeros(1, SNAPSHOT).view(np.recarray)
        self._levels_out = np.zeros(2 * DEPTH, PRICE_LEVEL).view(np.recarray)

    def read(self) -> int:
        """The version read; 0 before the first, BUSY when there was none in the allowed tries."""
        tries = self._read(self._snapshots, INSTRUMENT, self._head_out, self._levels_out)
        if tries <= 0:
            return int(tries)
        assert tries <= READ_TRIES
        version = int(self._head_out[0].stamp)
        assert {name: int(self._head_out[0][name]) for name in HEAD_FIELDS} == _head(version)
        for side_index, count in enumerate(_counts(version)):
            assert self._levels_out[side_index * DEPTH : side_index * DEPTH + count].tolist() == _levels(version, side_index)
        return version


def _recorded(versions: int, first: int = 1) -> tuple[Snapshots, Recording]:
    """The stores of a writer that adds versions to what earlier ones left."""
    snapshots = _snapshots()
    for version in range(1, first):
        Writer(snapshots).write(version)
    recording = Recording(*snapshots)
    writer = Writer(snapshots, recording)
    for version in range(first, first + versions):
        writer.write(version)
    return snapshots, recording


def test_each_version_is_read_as_it_was_written() -> None:
    snapshots = _snapshots()
    assert depth_of(snapshots) == DEPTH
    writer, reader = Writer(snapshots), Reader(snapshots)
    assert reader.read() == 0
    for version in range(1, 4 * SNAPSHOT_SLOTS):
        writer.write(version)
        assert reader.read() == version
    assert not snapshots.latest[0].version


@pytest.mark.parametrize("first", [1, 2, SNAPSHOT_SLOTS, SNAPSHOT_SLOTS + 1, 3 * SNAPSHOT_SLOTS])
def test_a_writer_killed_after_any_store_leaves_the_last_good_version_and_a_place_for_a_successor(first: int) -> None:
    snapshots, recording = _recorded(1, first)
    for index in range(len(recording.pictures)):
        recording.show(index)
        reader = Reader(snapshots)
        done = index == len(recording.pictures) - 1
        assert reader.read() == (first if done else first - 1)
        successor = Writer(snapshots)
        for version in range(first + done, first + done + 2 * SNAPSHOT_SLOTS):
            successor.write(version)
            assert reader.read() == version


@given(st.integers(1, 20), st.lists(st.integers(0, 60), max_size=120))
def test_a_reader_overtaken_at_any_load_gets_a_whole_version_never_an_older_one(first: int, schedule: list[int]) -> None:
    snapshots, recording = _recorded(12, first)
    replay = Replay(recording, schedule)
    reader = Reader(snapshots, replay)
    seen = 0
    while not replay.finished:
        oldest = int(snapshots.latest[INSTRUMENT].version)
        version = reader.read()
        if version != BUSY:
            assert version >= max(seen, oldest)
            seen = version
        replay.advance(1)
    assert reader.read() == first + 11


LOADS_A_TRY = 2 + len(HEAD_FIELDS) + 4 * DEPTH + 1


def test_a_reader_that_is_lapped_in_every_try_says_so() -> None:
    """Between the stamp and the copy of each try the writer fills all eight slots."""
    versions = 1 + READ_TRIES * SNAPSHOT_SLOTS
    snapshots, recording = _recorded(versions)
    ends = [index for index in range(1, len(recording.pictures)) if _latest(recording, index) > _latest(recording, index - 1)]
    jumps = [ends[0], *(ends[number + SNAPSHOT_SLOTS] - ends[number] for number in range(0, versions - 1, SNAPSHOT_SLOTS))]
    replay = Replay(recording, _at_the_second_load_of_each_try(jumps, snapshots))
    replay.advance(jumps[0])
    assert Reader(snapshots, replay).read() == BUSY
    assert replay.loads <= READ_TRIES * LOADS_A_TRY
    assert Reader(snapshots).read() == versions


def _latest(recording: Recording, index: int) -> int:
    return int(recording.pictures[index][0].view(SNAPSHOT_LATEST)[INSTRUMENT]["version"])


def _at_the_second_load_of_each_try(jumps: list[int], snapshots: Snapshots) -> list[int]:
    """A try loads `latest`, then the stamp, which still fits, and then a copy that comes to nothing."""
    schedule = []
    for number, jump in enumerate(jumps[1:]):
        bids, asks = _counts(1 + (number + 1) * SNAPSHOT_SLOTS)
        schedule += [0, 0, jump, *[0] * (len(HEAD_FIELDS) - 1 + 2 * (bids + asks) + 1)]
    return schedule


def test_a_slot_that_is_never_finished_cannot_hold_a_reader_for_ever() -> None:
    """Not even memory that no writer of ours would leave: `latest` names a slot that stays unfinished."""
    snapshots = _snapshots()
    Writer(snapshots).write(1)
    snapshots.heads[INSTRUMENT * SNAPSHOT_SLOTS + 1].stamp = 1
    assert Reader(snapshots).read() == BUSY


def test_garbage_counts_stay_within_the_slot() -> None:
    snapshots = _snapshots()
    Writer(snapshots).write(1)
    head = snapshots.heads[INSTRUMENT * SNAPSHOT_SLOTS + 1]
    out, levels = np.zeros(1, SNAPSHOT).view(np.recarray), np.zeros(2 * DEPTH, PRICE_LEVEL).view(np.recarray)
    for garbage in (-(2**63), -1, DEPTH + 1, 2**63 - 1):
        head.bid_count = head.ask_count = garbage
        assert read_snapshot(snapshots, INSTRUMENT, out, levels) == 1
        assert (out[0].bid_count, out[0].ask_count) == ((0, 0) if garbage < 0 else (DEPTH, DEPTH))
