"""Checkpoints on a disk: written as a whole or not at all, found where they are good, and never believed where they are not."""

from __future__ import annotations

import errno
import logging
import os
import re
import stat
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest

from shm_exchange._jit import INTERPRETED
from shm_exchange.domain.config import TermStart
from shm_exchange.domain.errors import JournalDamaged, JournalError
from shm_exchange.engine.check import check_book, state_hash
from shm_exchange.journal import checkpoints
from shm_exchange.journal.checkpoints import book_of, newest_checkpoint, prune_checkpoints, read_checkpoint, write_checkpoint
from shm_exchange.journal.folder import checkpoint_path, checkpoint_paths
from shm_exchange.journal.reading import Journal
from shm_exchange.layout.images import CHECKPOINT_HEADER
from tests.journal.histories import COMMANDS, book_at, checkpoint_at, history, record, spoil

HALF = COMMANDS // 2
FLIPS = 20 if INTERPRETED else 150


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    """The whole market's log, and checkpoints at a quarter, at the half and at the end."""
    past = history("market")
    made = record(tmp_path, past.config, past.log)
    for sequence in (HALF // 2, HALF, COMMANDS):
        checkpoint_at(tmp_path, past, sequence)
    return made


def sequence_of(journal: Journal, at_most: int = COMMANDS) -> int:
    """Where the newest good one stands; -1 without."""
    found = newest_checkpoint(journal, at_most)
    if found.checkpoint is None or found.book is None:
        return -1
    assert state_hash(found.book) == history("market").hashes[found.checkpoint.sequence]
    return found.checkpoint.sequence


def test_what_was_written_is_read(tmp_path: Path) -> None:
    past = history("market")
    path = checkpoint_at(tmp_path, past, HALF, term=3)
    found = read_checkpoint(path, past.config)
    assert (found.path, found.sequence, found.term, found.state_hash) == (checkpoint_path(tmp_path, HALF), HALF, 3, past.hashes[HALF])
    book = book_of(found, past.config, 12345)
    assert check_book(book) == 0
    assert state_hash(book) == past.hashes[HALF]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_the_newest_that_is_not_too_new_is_taken(journal: Journal) -> None:
    places = (0, HALF // 2 - 1, HALF // 2, HALF - 1, HALF, COMMANDS - 1, COMMANDS, 10 * COMMANDS)
    assert [sequence_of(journal, at_most) for at_most in places] == [-1, -1, HALF // 2, HALF // 2, HALF, HALF, COMMANDS, COMMANDS]


def test_one_from_before_the_first_record_is_not_taken(journal: Journal) -> None:
    for segment in journal.segments[:-1]:
        segment.path.unlink()
    left = Journal(journal.directory)
    assert left.first > HALF
    assert sequence_of(left, COMMANDS - 1) == -1
    assert sequence_of(left) == COMMANDS


def test_one_beyond_the_end_is_not_taken(journal: Journal) -> None:
    assert sequence_of(Journal(journal.directory, end=HALF + 1)) == HALF


def test_no_flipped_bit_is_believed(journal: Journal) -> None:
    """Whichever it is: the file is refused, and the next older one is taken."""
    path, draw = checkpoint_path(journal.directory, COMMANDS), Random(1)
    whole = path.read_bytes()
    places = [*range(0, 8 * CHECKPOINT_HEADER.itemsize, 7), *(draw.randrange(8 * len(whole)) for _ in range(FLIPS))]
    for bit in places:
        spoil(path, lambda data, bit=bit: data.__setitem__(bit // 8, data[bit // 8] ^ 1 << bit % 8))  # type: ignore[misc]
        with pytest.raises((JournalDamaged, JournalError), match=path.name):
            read_checkpoint(path, journal.config)
        path.write_bytes(whole)
    assert sequence_of(journal) == COMMANDS


@pytest.mark.parametrize("change", ["cut in the header", "cut in a table", "empty", "longer", "another state", "another name"])
def test_a_bad_one_is_skipped_and_said(journal: Journal, caplog: pytest.LogCaptureFixture, change: str) -> None:
    path = checkpoint_path(journal.directory, COMMANDS)
    changes = {
        "cut in the header": (lambda data: data.__delitem__(slice(100, None)), "cut short"),
        "cut in a table": (lambda data: data.__delitem__(slice(-1, None)), "it has [0-9,]+ bytes and should have [0-9,]+"),
        "empty": (lambda data: data.clear(), "cut short"),
        "longer": (lambda data: data.extend(b"12345678"), "it has [0-9,]+ bytes"),
        "another state": (_with_another_state, "has not the hash"),
        "another name": (lambda data: data.__init__(checkpoint_path(journal.directory, HALF).read_bytes()), f"at number {HALF}"),
    }
    how, why = changes[change]
    spoil(path, how)
    with caplog.at_level(logging.WARNING):
        found = newest_checkpoint(journal, COMMANDS)
    assert found.checkpoint is not None
    assert found.checkpoint.sequence == HALF
    (said,) = found.skipped
    assert path.name in said
    assert any(said in message for message in caplog.messages)
    assert re.search(why, said)


def _with_another_state(data: bytearray) -> None:
    """A good CRC over a state that the header does not mean."""
    header = np.frombuffer(data[: CHECKPOINT_HEADER.itemsize], CHECKPOINT_HEADER).copy()
    header["state_hash"] += 1
    header["crc"] = 0
    header["crc"] = checkpoints._crc(header.tobytes() + data[CHECKPOINT_HEADER.itemsize :])
    data[: CHECKPOINT_HEADER.itemsize] = header.tobytes()


def test_what_was_rolled_back_is_not_believed(tmp_path: Path) -> None:
    """A power loss took the log back below a checkpoint that was on disk; then other commands got the same numbers."""
    past = history("market")
    record(tmp_path, past.config, past.log[:HALF])
    checkpoint_at(tmp_path, past, HALF // 2)
    checkpoint_at(tmp_path, past, HALF)
    for path in tmp_path.glob("segment-*"):
        path.unlink()
    (tmp_path / "durable").unlink()
    log = np.concatenate([past.log[: HALF - 10], past.log[HALF : HALF + 20]])
    record(tmp_path, past.config, log[: HALF - 10])
    journal = record(tmp_path, past.config, log, HALF - 10, TermStart(2, HALF - 10, 1))
    found = newest_checkpoint(journal, COMMANDS)
    assert found.checkpoint is not None
    assert found.checkpoint.sequence == HALF // 2
    assert "is of term 1 and what it knows was rolled back" in found.skipped[0]
    write_checkpoint(tmp_path, past.config, book_at(past.config, log, HALF), 2)
    assert newest_checkpoint(journal, COMMANDS).skipped == ()


def test_one_of_another_exchange_is_refused(tmp_path: Path) -> None:
    past = history("market")
    path = checkpoint_at(tmp_path, past, HALF)
    for other in (replace(past.config, max_pages=1023), replace(past.config, instruments=past.config.instruments[:2])):
        with pytest.raises(JournalError, match="with other instruments or sizes"):
            read_checkpoint(path, other)
    same_rules = replace(past.config, name="another", depth=1, lane_capacity=64, report_capacity=64, event_capacity=128, log_capacity=128)
    assert read_checkpoint(path, same_rules).sequence == HALF


def test_one_of_other_rules_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    past = history("market")
    path = checkpoint_at(tmp_path, past, HALF)
    for name, why in (("RULES_VERSION", "under version 1 of the rules"), ("FILE_VERSION", "is of version 1 and this release reads 2")):
        with monkeypatch.context() as patch:
            patch.setattr(checkpoints, name, 2)
            with pytest.raises(JournalError, match=why):
                read_checkpoint(path, past.config)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_a_disk_that_refuses_leaves_what_was_there(journal: Journal, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    before = sorted(journal.directory.iterdir())
    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(JournalError, match=f"cannot write checkpoint .*: {os.strerror(number)}"):
        checkpoint_at(journal.directory, history("market"), HALF + 1)
    assert sorted(journal.directory.iterdir()) == before
    assert sequence_of(journal) == COMMANDS


def test_the_newest_two_good_ones_are_kept(journal: Journal) -> None:
    spoil(checkpoint_path(journal.directory, HALF), lambda data: data.__setitem__(-1, 255))
    assert prune_checkpoints(journal) == []
    checkpoint_at(journal.directory, history("market"), HALF + 1)
    assert prune_checkpoints(journal) == [checkpoint_path(journal.directory, sequence) for sequence in (HALF // 2, HALF)]
    assert [sequence for sequence, _ in checkpoint_paths(journal.directory)] == [HALF + 1, COMMANDS]
    assert prune_checkpoints(journal, keep=1) == [checkpoint_path(journal.directory, HALF + 1)]
