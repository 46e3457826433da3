"""A journal whose unsynced pages reached the disk out of order is refused, can be cut where the disorder begins, and goes on from there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from shm_exchange.domain.config import TermStart
from shm_exchange.domain.errors import JournalDamaged, JournalError
from shm_exchange.journal.cutting import cut_journal
from shm_exchange.journal.folder import segment_paths
from shm_exchange.journal.header import read_segment
from shm_exchange.journal.reading import Journal
from shm_exchange.layout.files import JOURNAL_RECORD
from tests.journal.logs import append, open_writer

DURABLE, WRITTEN = 10, 150
TERM = TermStart()


@pytest.fixture
def disordered(tmp_path: Path) -> Path:
    """150 records in three segments, of which 10 were durable; the power failed, and record 40 did not reach the disk, but what is behind it did."""
    directory = tmp_path / "journal"
    writer = open_writer(directory, 0, TERM, segment_records=64, durable_mode=False)
    append(writer, DURABLE)
    writer.sync()
    append(writer, WRITTEN - DURABLE)
    writer.close(clean=False)
    first, path = segment_paths(directory)[0]
    with path.open("r+b") as file:
        file.seek(read_segment(path, first).offset(40))
        file.write(bytes(JOURNAL_RECORD.itemsize))
    return directory


def test_it_is_refused_and_the_cure_is_named(disordered: Path) -> None:
    with pytest.raises(JournalDamaged, match=r"number 41 behind it is whole.*journal cut .* --at 40"):
        Journal(disordered)


def test_cut_it_goes_on(disordered: Path) -> None:
    segments = segment_paths(disordered)
    before = np.concatenate(list(Journal(disordered, end=40).records(0, 40)))
    touched = cut_journal(disordered, 40)
    assert len(touched) == len(segments)
    found = Journal(disordered)
    assert (found.end, found.cut) == (40, "")
    assert (np.concatenate(list(found.records(0, 40))) == before).all()
    writer = open_writer(disordered, 40, TERM, segment_records=64, durable_mode=False)
    append(writer, 20)
    writer.close(clean=True)
    assert Journal(disordered).end == 60


def test_what_was_durable_is_not_cut(disordered: Path) -> None:
    with pytest.raises(JournalError, match="was on disk up to number 10: nothing below that is cut"):
        cut_journal(disordered, 9)


def test_nothing_bad_is_kept(disordered: Path) -> None:
    with pytest.raises(JournalDamaged, match="number 40"):
        cut_journal(disordered, 41)
    with pytest.raises(JournalError):
        cut_journal(disordered, 1000)
