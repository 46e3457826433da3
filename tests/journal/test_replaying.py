"""A replay is the engine once more: the same state at every number, wherever it began and however it was cut into pieces."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from shm_exchange.domain.config import TermStart
from shm_exchange.domain.errors import JournalDamaged, JournalError
from shm_exchange.journal import replaying
from shm_exchange.journal.checkpoints import no_image, write_checkpoint
from shm_exchange.journal.folder import checkpoint_path
from shm_exchange.journal.reading import Journal
from shm_exchange.journal.replaying import Replay
from shm_exchange.layout.files import JOURNAL_RECORD
from tests.journal.histories import COMMANDS, checkpoint_at, history, record, spoil
from tests.oracle.flow import PROFILES

HALF = COMMANDS // 2


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Journal:
    """The market's log in several segments, read in pieces much shorter than they are."""
    monkeypatch.setattr(replaying, "CHUNK", 32)
    past = history("market")
    return record(tmp_path, past.config, past.log)


@pytest.mark.parametrize("profile", PROFILES)
def test_it_comes_to_the_same_state_at_every_number(tmp_path: Path, profile: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replaying, "CHUNK", 32)
    past, draw = history(profile), Random(profile)
    replay = Replay(record(tmp_path, past.config, past.log))
    assert (replay.sequence, replay.checkpoint, replay.skipped) == (0, None, ())
    while replay.sequence < COMMANDS:
        wanted = min(COMMANDS, replay.sequence + draw.choice((0, 1, 31, 32, 33, draw.randrange(200))))
        assert replay.advance(wanted) == replay.sequence == wanted
        assert replay.state_hash() == past.hashes[wanted]
        assert replay.check() == 0
    assert replay.advance(HALF) == COMMANDS


def test_it_goes_on_in_slices(journal: Journal) -> None:
    replay, places = Replay(journal), list[int]()
    while not places or places[-1] < HALF + 5:
        places.append(replay.advance(HALF + 5, limit=50))
    assert places == [*range(50, HALF + 5, 50), HALF + 5]
    assert replay.state_hash() == history("market").hashes[HALF + 5]


def test_it_begins_at_the_newest_checkpoint_that_is_not_too_new(journal: Journal) -> None:
    for sequence in (HALF, HALF + 100):
        checkpoint_at(journal.directory, history("market"), sequence)
    for at_most, begin in ((HALF - 1, 0), (HALF, HALF), (HALF + 99, HALF), (None, HALF + 100)):
        replay = Replay(journal, at_most=at_most)
        assert replay.sequence == begin
        replay.advance(COMMANDS)
        assert replay.state_hash() == history("market").hashes[COMMANDS]
    assert Replay(journal, suits=no_image).sequence == 0


def test_records_may_come_from_elsewhere(journal: Journal) -> None:
    past = history("market")
    replay = Replay(journal)
    replay.advance(HALF)
    assert replay.feed(past.log[HALF : HALF + 7]) == HALF + 7
    assert replay.feed(past.log[HALF + 7 :]) == COMMANDS
    assert replay.state_hash() == past.hashes[-1]


def test_its_journal_may_have_grown(tmp_path: Path) -> None:
    """As the keeper's does: it makes checkpoint after checkpoint with one book."""
    past = history("market")
    replay = Replay(record(tmp_path, past.config, past.log[:HALF]))
    replay.advance(HALF)
    record(tmp_path, past.config, past.log, HALF)
    replay.journal = Journal(tmp_path, end=COMMANDS)
    replay.advance(COMMANDS)
    assert replay.state_hash() == past.hashes[-1]
    write_checkpoint(tmp_path, past.config, replay.book, 1)
    assert Replay(replay.journal).sequence == COMMANDS


def test_terms_follow_each_other(tmp_path: Path) -> None:
    past = history("market")
    record(tmp_path, past.config, past.log[:HALF])
    journal = record(tmp_path, past.config, past.log, HALF, TermStart(2, HALF, 7))
    replay = Replay(journal)
    replay.advance(COMMANDS)
    assert replay.state_hash() == past.hashes[-1]


def test_it_refuses_to_begin_in_the_middle(journal: Journal) -> None:
    for segment in journal.segments[:2]:
        segment.path.unlink()
    left = Journal(journal.directory)
    with pytest.raises(JournalError, match=rf"begins at number {left.first}, and no checkpoint serves"):
        Replay(left)
    checkpoint_at(journal.directory, history("market"), left.first)
    assert Replay(left).sequence == left.first
    spoil(checkpoint_path(journal.directory, left.first), lambda data: data.__delitem__(-1))
    with pytest.raises(JournalError, match="no checkpoint serves"):
        Replay(left)


def test_it_asks_for_no_more_than_there_is(journal: Journal) -> None:
    with pytest.raises(JournalError, match="are not all there"):
        Replay(journal).advance(COMMANDS + 1)


def test_it_stops_at_damage(journal: Journal) -> None:
    """What lies before it was applied, and nothing behind."""
    segment = journal.segments[1]
    place = segment.offset(segment.first + 40) + JOURNAL_RECORD.itemsize // 2
    spoil(segment.path, lambda data: data.__setitem__(place, data[place] ^ 1))
    replay = Replay(journal)
    with pytest.raises(JournalDamaged, match=f"number {segment.first + 40}"):
        replay.advance(COMMANDS)
    assert replay.sequence == segment.first + 40
    assert replay.state_hash() == history("market").hashes[segment.first + 40]
