"""What is written is what is read: against a reader that shares no code, over restarts, terms, cuts and segments of every size."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shm_exchange.domain.config import ExchangeConfig, TermStart
from shm_exchange.domain.errors import JournalError
from shm_exchange.domain.instrument import Instrument
from shm_exchange.domain.limits import INSTRUMENTS_MAX
from shm_exchange.domain.packing import packed_config
from shm_exchange.journal.reading import Journal, open_journal
from shm_exchange.journal.segments import SegmentWriter
from tests.journal import naive
from tests.journal.logs import CONFIG, FIRST_TERM, IN_MEMORY, Ring, append, contents, history, open_writer, write_journal

STEPS = st.one_of(
    st.tuples(st.just("append"), st.integers(0, 20)),
    st.tuples(st.just("sync"), st.just(0)),
    st.tuples(st.sampled_from(["restart", "term"]), st.integers(0, 5)),
    st.tuples(st.just("close"), st.integers(0, 5)),
)


class Model:
    """What a journal should hold, and the writer that fills it."""

    def __init__(self, directory: Path, first: int, segment_records: int, *, durable_mode: bool) -> None:
        self.directory, self.first, self.records, self.salt = directory, first, list[bytes](), 0
        self.segment_records, self.durable_mode = segment_records, durable_mode
        self.term = TermStart(1, first, 1)
        self.terms: list[int] = []
        self.writer = self.opened(first)

    def opened(self, first: int) -> SegmentWriter:
        return open_writer(self.directory, first, self.term, segment_records=self.segment_records, durable_mode=self.durable_mode)

    @property
    def end(self) -> int:
        return self.first + len(self.records)

    def step(self, what: str, number: int) -> None:
        if what == "append":
            self.records += history(self.end, self.end + number, self.salt)
            self.terms += [self.term.term] * number
            assert append(self.writer, number, self.salt) == self.end
        elif what == "sync":
            self.writer.sync()
            assert self.writer.durable == self.end
        else:
            self.restart(back=number, clean=what == "close", new_term=what == "term")

    def restart(self, *, back: int, clean: bool, new_term: bool) -> None:
        """Go on at the end, or some records before it: then another history follows."""
        durable = self.writer.durable
        self.writer.close(clean=clean)
        self.check()
        place = self.end if clean else max(self.end - back, durable)
        if place == self.term.sequence or (new_term and place > self.first):
            self.term = TermStart(self.term.term + 1, place, place * 2 + 1)
        place = max(place, self.term.sequence)
        del self.records[place - self.first :], self.terms[place - self.first :]
        self.salt += 1
        self.writer = self.opened(place)
        assert durable <= self.writer.durable <= place or self.writer.durable == self.first

    def check(self) -> None:
        journal, other = Journal(self.directory), naive.read(self.directory)
        assert (journal.first, journal.end, journal.cut) == (self.first, self.end, "")
        assert contents(journal) == self.records == other.records
        assert other.terms == self.terms == [journal.term_of(number) for number in range(self.first, self.end)]
        assert other.config == packed_config(CONFIG)
        assert journal.config == CONFIG
        assert journal.durable == other.durable


@settings(max_examples=25)
@given(
    steps=st.lists(STEPS, max_size=12),
    first=st.sampled_from([0, 3, 10**12]),
    segment_records=st.sampled_from([1, 2, 7, 64]),
    durable_mode=st.booleans(),
)
def test_everything_comes_back(steps: list[tuple[str, int]], first: int, segment_records: int, *, durable_mode: bool) -> None:
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as folder:
        model = Model(Path(folder), first, segment_records, durable_mode=durable_mode)
        try:
            for step in steps:
                model.step(*step)
        finally:
            model.writer.close(clean=False)
        model.check()


@given(first=st.integers(0, 40), count=st.integers(0, 40), chunk=st.integers(1, 50), records=st.integers(1, 100))
@settings(max_examples=25)
def test_any_part_can_be_read_in_chunks_of_any_size(first: int, count: int, chunk: int, records: int) -> None:
    last = min(40, first + count)
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as folder:
        write_journal(Path(folder), 40, segment_records=records)
        pieces = list(Journal(folder).records(first, last, chunk))
    assert all(0 < len(piece) <= chunk for piece in pieces)
    assert [one.tobytes() for piece in pieces for one in piece] == history(first, last)


def test_a_ring_that_wraps_is_read_where_it_goes_on(tmp_path: Path) -> None:
    ring, writer = Ring(16), open_writer(tmp_path)
    for begin in range(0, 100, 10):
        ring.put(begin, history(begin, begin + 10))
        writer.append(ring.words, begin, begin + 10)
    writer.close(clean=True)
    assert contents(Journal(tmp_path)) == history(0, 100)
    assert writer.bytes_written == 100 * 72


def test_more_than_is_written_or_looked_at_at_once(tmp_path: Path) -> None:
    count = 1 << 17
    ring = Ring(count)
    ring.words.view(np.ndarray).view(np.int64)[:] = np.random.default_rng(7).integers(-(2**63), 2**63 - 1, 8 * count)
    writer = open_writer(tmp_path, segment_records=100_000)
    assert writer.append(ring.words, 0, count) == count
    writer.close(clean=False)
    assert b"".join(piece.tobytes() for piece in Journal(tmp_path).records(0, count)) == ring.words.tobytes()


def test_a_configuration_of_many_pages(tmp_path: Path) -> None:
    config = ExchangeConfig("wide", tuple(Instrument(f"{number:x}".rjust(16, "S"), max_price="12345.67") for number in range(INSTRUMENTS_MAX)))
    writer = SegmentWriter(tmp_path, config, FIRST_TERM, 0, segment_records=8, durable_mode=False)
    append(writer, 20)
    writer.close(clean=True)
    journal = Journal(tmp_path)
    assert journal.config == config
    assert [one.max_ticks for one in journal.config.instruments] == [1_234_567] * INSTRUMENTS_MAX
    assert contents(journal) == history(0, 20)


def test_terms_say_where_they_began(tmp_path: Path) -> None:
    terms = [TermStart(1, 0, 1), TermStart(2, 10, 31), TermStart(5, 12, 40)]
    for term, count in zip(terms, (10, 2, 3), strict=True):
        writer = open_writer(tmp_path, term.sequence, term)
        append(writer, count)
        writer.close(clean=True)
    journal = Journal(tmp_path)
    assert journal.terms == terms
    assert [journal.term_of(number) for number in (0, 9, 10, 11, 12, 15)] == [1, 1, 2, 2, 5, 5]
    assert Journal(tmp_path, end=11).terms == terms[:2]


def test_a_journal_that_is_being_written_can_be_read(tmp_path: Path) -> None:
    writer = open_writer(tmp_path)
    append(writer, 11)
    assert contents(Journal(tmp_path, end=11)) == history(0, 11)
    found = open_journal(tmp_path)
    assert (found.live, found.end) == (True, 11)
    append(writer, 30)
    assert contents(found) == history(0, 11)
    assert contents(Journal(tmp_path, end=20)) == history(0, 20)
    writer.close(clean=False)
    assert (open_journal(tmp_path).live, open_journal(tmp_path).end) == (False, 41)


def test_what_is_not_there_is_refused_in_words(tmp_path: Path) -> None:
    write_journal(tmp_path, 10)
    journal = Journal(tmp_path)
    with pytest.raises(JournalError, match="holds records 0 to 9; 5 to 10 are not all there"):
        list(journal.records(5, 11))
    with pytest.raises(JournalError, match="and not 11"):
        journal.term_of(11)
    with pytest.raises(JournalError, match="holds numbers 0 to 16, and not up to 17"):
        Journal(tmp_path, end=17)
    with pytest.raises(JournalError, match=r"there is no journal in .*: it holds no segment; name the folder"):
        Journal(tmp_path.parent)


def test_files_removed_meanwhile_are_said_to_be_gone(tmp_path: Path) -> None:
    write_journal(tmp_path, 20)
    journal = Journal(tmp_path)
    journal.segments[0].path.unlink()
    assert contents(journal, 8) == history(8, 20)
    with pytest.raises(JournalError, match="was removed while the journal was read; begin again"):
        contents(journal)
    assert Journal(tmp_path).first == 8
