"""What nobody has kept is said again, word for word."""

from __future__ import annotations

from pathlib import Path
from random import Random

import numpy as np
import pytest

from shm_exchange._jit import INTERPRETED
from shm_exchange.domain.errors import JournalError
from shm_exchange.journal import deriving, replaying
from shm_exchange.journal.deriving import events_of, reports_of
from shm_exchange.journal.reading import Journal
from tests.journal.histories import COMMANDS, History, checkpoint_at, history, record
from tests.oracle.flow import PROFILES

SPANS = 2 if INTERPRETED else 12


@pytest.fixture(params=PROFILES)
def past(request: pytest.FixtureRequest) -> History:
    return history(request.param)


@pytest.fixture(params=["from the first command", "from checkpoints"])
def journal(request: pytest.FixtureRequest, past: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Journal:
    """In pieces so short that every span takes several."""
    for module in (replaying, deriving):
        monkeypatch.setattr(module, "CHUNK", 32)
    if request.param == "from checkpoints":
        for place in range(5, COMMANDS, COMMANDS // 4):
            checkpoint_at(tmp_path, past, place)
    return record(tmp_path, past.config, past.log)


def spans(count: int, draw: Random) -> list[tuple[int, int]]:
    """Everything, both ends, and some in between; from 1."""
    drawn = [sorted((draw.randint(1, count), draw.randint(1, count))) for _ in range(SPANS)]
    return [(1, count), (1, 1), (count, count), *((first, last) for first, last in drawn)]


def test_reports(past: History, journal: Journal) -> None:
    draw = Random(1)
    for session, reports in past.reports.items():
        for first, last in spans(len(reports), draw):
            assert np.array_equal(reports_of(journal.directory, COMMANDS, session, first, last), reports[first - 1 : last])


def test_events(past: History, journal: Journal) -> None:
    for first, last in spans(len(past.events), Random(2)):
        assert np.array_equal(events_of(journal.directory, COMMANDS, first, last), past.events[first - 1 : last])


def test_a_command_that_says_much_is_cut_where_the_span_is(tmp_path: Path) -> None:
    """A span that begins and ends among the outputs of one command."""
    past = history("far")
    record(tmp_path, past.config, past.log)
    counts = np.bincount(past.events["sequence"], minlength=COMMANDS)
    sequence = int(np.argmax(counts))
    assert counts[sequence] > 3
    numbers = past.events["number"][past.events["sequence"] == sequence]
    first, last = int(numbers[1]), int(numbers[-2])
    assert np.array_equal(events_of(tmp_path, COMMANDS, first, last), past.events[first - 1 : last])


def test_only_what_the_log_says_up_to_its_end(tmp_path: Path) -> None:
    """The files may hold more than may be read."""
    past, half = history("market"), COMMANDS // 2
    record(tmp_path, past.config, past.log)
    said = int(np.count_nonzero(past.events["sequence"] < half))
    assert np.array_equal(events_of(tmp_path, half, 1, said), past.events[:said])
    with pytest.raises(JournalError, match=f"the log up to number {half} says events 1 to {said}, and not 1 to {said + 1}"):
        events_of(tmp_path, half, 1, said + 1)
    count = len(past.reports[1])
    with pytest.raises(JournalError, match=f"says reports 1 to {count}, and not {count} to {count + 1}"):
        reports_of(tmp_path, COMMANDS, 1, count, count + 1)
    with pytest.raises(JournalError, match="does not say so many reports"):
        reports_of(tmp_path, COMMANDS, 1, 1, 2**60)


def test_what_makes_no_sense_is_refused(tmp_path: Path) -> None:
    past = history("market")
    record(tmp_path, past.config, past.log)
    for first, last in ((0, 5), (-1, 2), (4, 3)):
        with pytest.raises(JournalError, match=f"numbered from 1, and {first} to {last} are none"):
            events_of(tmp_path, COMMANDS, first, last)
    for session in (0, past.config.max_sessions + 1, -1):
        with pytest.raises(JournalError, match=f"has sessions 1 to 7, and not {session}"):
            reports_of(tmp_path, COMMANDS, session, 1, 1)


def test_what_was_said_before_the_first_record_is_gone(tmp_path: Path) -> None:
    past = history("market")
    journal = record(tmp_path, past.config, past.log)
    first = journal.segments[2].first
    checkpoint_at(tmp_path, past, first)
    for segment in journal.segments[:2]:
        segment.path.unlink()
    known = int(np.count_nonzero(past.events["sequence"] < first))
    assert np.array_equal(events_of(tmp_path, COMMANDS, known + 1, known + 9), past.events[known : known + 9])
    with pytest.raises(JournalError, match=f"begins at number {first}, and no checkpoint serves"):
        events_of(tmp_path, COMMANDS, known, known + 9)
