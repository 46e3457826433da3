"""Who may write, and where: one process at a time, in a folder and files of ours alone, where its numbers join those that are there."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from shm_exchange.domain.config import TermStart
from shm_exchange.domain.errors import JournalError
from shm_exchange.journal import segments
from shm_exchange.journal.folder import DURABLE, LOCK, RESERVE, FolderLock, checkpoint_path, checkpoint_paths, held_at_rest, segment_path
from shm_exchange.journal.reading import Journal
from tests.journal.logs import CONFIG, append, contents, history, open_writer, write_journal


def test_files_are_ours_alone(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "journal"
    write_journal(folder, 20)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    names = sorted(path.name for path in folder.iterdir())
    assert names == sorted([DURABLE, LOCK, RESERVE, *(segment_path(folder, first).name for first in (0, 8, 16))])
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_a_folder_open_to_others_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with pytest.raises(JournalError, match=r"is open to others \(mode 755\); close it with: chmod 700 "):
        open_writer(tmp_path)


def test_a_link_is_refused(tmp_path: Path) -> None:
    write_journal(tmp_path, 3)
    path = segment_path(tmp_path, 0)
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(JournalError, match=r"cannot open .*segment"):
        Journal(tmp_path)


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(JournalError, match=r"cannot make the journal folder .*; choose another one"):
        open_writer(tmp_path / "file" / "journal")


def test_a_second_writer_is_refused_and_told_who_writes(tmp_path: Path) -> None:
    writer = open_writer(tmp_path)
    with pytest.raises(JournalError, match=f"is in use by process {os.getpid()}; stop its exchange, or use another folder"):
        open_writer(tmp_path)
    writer.close(clean=False)
    writer.close(clean=True)
    open_writer(tmp_path).close(clean=True)


def test_a_writer_waits_for_those_who_look(tmp_path: Path) -> None:
    write_journal(tmp_path, 3)
    took, locks = threading.Event(), []

    def begin() -> None:
        locks.append(FolderLock(tmp_path))
        took.set()

    with held_at_rest(tmp_path) as at_rest:
        assert at_rest
        thread = threading.Thread(target=begin)
        thread.start()
        assert not took.wait(0.1)
    assert took.wait(60)
    thread.join()
    with held_at_rest(tmp_path) as at_rest:
        assert not at_rest
    locks[0].close()


def test_where_nobody_ever_wrote_nobody_writes(tmp_path: Path) -> None:
    with held_at_rest(tmp_path) as at_rest:
        assert at_rest
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("first", "term", "words"),
    [
        (21, TermStart(1, 0, 1), "holds numbers 0 to 19 up to term 1; number 21 of term 1 does not join: resume it, or use another folder"),
        (20, TermStart(1, 0, 2), "number 20 of term 1 does not join"),
        (20, TermStart(2, 19, 2), "number 20 of term 2 does not join"),
        (4, TermStart(1, 0, 1), "is on disk up to number 5, and cannot go on at 4: resume it, or use another folder"),
    ],
)
def test_numbers_that_do_not_join_are_refused(tmp_path: Path, first: int, term: TermStart, words: str) -> None:
    write_journal(tmp_path, 20, durable=5)
    with pytest.raises(JournalError, match=words):
        open_writer(tmp_path, first, term)
    assert contents(Journal(tmp_path)) == history(0, 20)


def test_an_older_term_is_refused(tmp_path: Path) -> None:
    write_journal(tmp_path, 3)
    open_writer(tmp_path, 3, TermStart(3, 3, 1)).close(clean=True)
    with pytest.raises(JournalError, match="up to term 3; number 3 of term 2 does not join"):
        open_writer(tmp_path, 3, TermStart(2, 3, 1))


def test_another_configuration_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_journal(tmp_path, 3)
    monkeypatch.setattr("tests.journal.logs.CONFIG", type(CONFIG)("kept", CONFIG.instruments, max_sessions=3))
    with pytest.raises(JournalError, match="holds the journal of exchange 'kept' with another configuration: resume with its own"):
        open_writer(tmp_path, 3)


def test_segments_that_were_removed_are_missed(tmp_path: Path) -> None:
    """The mark says that there were records."""
    write_journal(tmp_path, 3, durable=3)
    segment_path(tmp_path, 0).unlink()
    with pytest.raises(JournalError, match="is on disk up to number 3, and cannot go on at 0"):
        open_writer(tmp_path)


def test_a_spare_that_is_not_blank_is_made_anew(tmp_path: Path) -> None:
    """Here: the segment of another life, whose records would be good at the very same numbers."""
    write_journal(tmp_path, 8)
    spare, other = tmp_path / RESERVE, segment_path(tmp_path, 0).read_bytes()
    open_writer(tmp_path, 8).close(clean=True)
    spare.write_bytes(other[:4096] + bytes(72) + other[4096 + 72 :])
    writer = open_writer(tmp_path, 8)
    writer.close(clean=False)
    assert Journal(tmp_path).end == 8
    assert not any(segment_path(tmp_path, 8).read_bytes()[4096:])


def test_a_clean_end_gives_back_the_room(tmp_path: Path) -> None:
    write_journal(tmp_path, 11, clean=True)
    assert segment_path(tmp_path, 8).stat().st_size == 4096 + 3 * 72
    assert (Journal(tmp_path).durable, Journal(tmp_path).cut) == (11, "")


def test_full_segments_do_not_pile_up_unsynced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "_UNSYNCED_MAX", 3)
    writer = open_writer(tmp_path, durable_mode=False)
    before = len(list(Path("/proc/self/fd").iterdir()))
    append(writer, 100)
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 4
    assert writer.durable == 0  # on the disk, but nobody is told before the words in memory can follow
    writer.close(clean=True)
    assert contents(Journal(tmp_path)) == history(0, 100)


def test_checkpoints_are_listed_by_their_numbers(tmp_path: Path) -> None:
    for sequence in (1000, 7):
        checkpoint_path(tmp_path, sequence).touch()
    (tmp_path / "checkpoint-0000000000000009.image.tmp").touch()
    assert checkpoint_paths(tmp_path) == [(number, checkpoint_path(tmp_path, number)) for number in (7, 1000)]
