"""A disk that is full, or fails: less is written and it is said, or nothing is any more; never is anything said to be durable that is not."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from shm_exchange.domain.errors import JournalError
from shm_exchange.journal.folder import RESERVE, segment_path
from shm_exchange.journal.reading import Journal
from shm_exchange.journal.reserve import Room
from shm_exchange.journal.segments import SegmentWriter
from tests.journal.logs import append, contents, history, open_writer, write_journal


class Disk:
    """Stands between the writer and the system: calls named in `fails` end with an error, from the moment it is set."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.fails: dict[str, int] = {}
        self.calls: list[str] = []
        for name in ("pwrite", "posix_fallocate", "fdatasync", "fsync", "preadv"):
            monkeypatch.setattr(os, name, self._wrapped(name, getattr(os, name)))

    def _wrapped(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any) -> Any:
            self.calls.append(name)
            if name in self.fails:
                raise OSError(self.fails[name], os.strerror(self.fails[name]))
            return call(*arguments)

        return wrapped


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 pages."""
    folder = tmp_path / "small"
    folder.mkdir(mode=0o700)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k,mode=0700", "none", folder], capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no small file system to be had: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)  # a test that failed may have files open


def room_of(writer: SegmentWriter) -> Room:
    """Looked at anew: what the type checker knows of it does not last."""
    return writer.room


def test_a_disk_that_fills_up_says_so_in_two_steps_and_recovers(small_disk: Path) -> None:
    """256 kB hold four segments of 500 records, with their spare: three full ones and the reserve; then nothing."""
    filler = small_disk / "filler"
    filler.write_bytes(bytes(60_000))
    writer = open_writer(small_disk, segment_records=500)
    rooms, numbers = [], []
    while room_of(writer) is not Room.NONE:
        append(writer, 50)
        rooms.append(writer.room)
        numbers.append(writer.written)
    assert rooms == sorted(rooms, reverse=True)
    assert set(rooms) == {Room.PLENTY, Room.RESERVE, Room.NONE}
    assert rooms.count(Room.RESERVE) * 50 >= 400
    full = writer.written
    assert full % 500 == 0
    assert append(writer, 50) == full
    assert writer.make_room() is Room.NONE
    writer.sync()
    assert writer.durable == full
    assert contents(Journal(small_disk, end=full)) == history(0, full)
    filler.unlink()
    assert writer.make_room() is Room.PLENTY
    assert append(writer, 50) == full + 50
    writer.close(clean=True)
    assert contents(Journal(small_disk)) == history(0, full + 50)


def test_a_disk_too_small_for_two_segments_is_refused_in_words(small_disk: Path) -> None:
    with pytest.raises(JournalError, match=r"cannot write a journal in .*: No space left on device; a segment takes 724,096 bytes and is kept twice"):
        open_writer(small_disk, segment_records=10_000)
    assert sorted(path.name for path in small_disk.iterdir()) == ["durable", "lock"]


def test_without_a_spare_the_segment_is_the_reserve(tmp_path: Path, disk: Disk) -> None:
    writer = open_writer(tmp_path)
    disk.fails["posix_fallocate"] = errno.ENOSPC
    assert append(writer, 8) == 8
    assert room_of(writer) is Room.PLENTY
    assert append(writer, 3) == 11
    assert room_of(writer) is Room.RESERVE
    assert append(writer, 20) == 16
    assert room_of(writer) is Room.NONE
    assert writer.make_room() is Room.NONE
    del disk.fails["posix_fallocate"]
    assert writer.make_room() is Room.PLENTY
    assert append(writer, 20) == 36
    writer.close(clean=True)
    assert contents(Journal(tmp_path)) == history(0, 36)


def test_the_last_record_of_the_reserve_uses_it_up(tmp_path: Path, disk: Disk) -> None:
    writer = open_writer(tmp_path)
    disk.fails["posix_fallocate"] = errno.EDQUOT
    assert append(writer, 16) == 16
    assert room_of(writer) is Room.NONE
    writer.close(clean=True)


def test_a_write_without_room_leaves_what_was_written(tmp_path: Path, disk: Disk) -> None:
    """A file system that gave a segment its room and does not keep to it."""
    writer = open_writer(tmp_path)
    append(writer, 3)
    disk.fails["pwrite"] = errno.ENOSPC
    assert append(writer, 3) == 3
    assert room_of(writer) is Room.NONE
    del disk.fails["pwrite"]
    assert append(writer, 3) == 6
    assert room_of(writer) is Room.PLENTY
    writer.close(clean=True)
    assert contents(Journal(tmp_path)) == history(0, 6)


def test_a_file_system_that_cannot_preallocate_gets_zeros(tmp_path: Path, disk: Disk) -> None:
    disk.fails["posix_fallocate"] = errno.EOPNOTSUPP
    writer = open_writer(tmp_path, segment_records=20_000)
    assert append(writer, 30) == 30
    assert segment_path(tmp_path, 0).stat().st_size == (tmp_path / RESERVE).stat().st_size == 4096 + 72 * 20_000
    assert segment_path(tmp_path, 0).stat().st_blocks * 512 >= 72 * 20_000
    writer.close(clean=True)
    assert contents(Journal(tmp_path)) == history(0, 30)


@pytest.mark.parametrize("call", ["fdatasync", "pwrite"])
def test_a_disk_error_is_never_taken_back(tmp_path: Path, disk: Disk, call: str) -> None:
    """A second fdatasync succeeds although the first one lost pages: so there is none."""
    writer = open_writer(tmp_path)
    append(writer, 5)
    writer.sync()
    append(writer, 2)
    disk.fails[call] = errno.EIO
    with pytest.raises(OSError, match="Input/output error"):
        writer.sync()
    del disk.fails[call]
    before = len(disk.calls)
    for again in (writer.sync, lambda: append(writer, 1), lambda: writer.close(clean=True)):
        with pytest.raises(OSError, match="Input/output error"):
            again()
    assert disk.calls[before:] == []
    assert writer.durable == Journal(tmp_path).durable == 5
    append(writer := open_writer(tmp_path, writer.durable), 4, salt=1)
    writer.close(clean=True)
    assert contents(Journal(tmp_path)) == history(0, 5) + history(5, 9, salt=1)


def test_an_error_of_a_write_ends_the_writing(tmp_path: Path, disk: Disk) -> None:
    writer = open_writer(tmp_path)
    append(writer, 5)
    disk.fails["pwrite"] = errno.EIO
    with pytest.raises(OSError, match="Input/output error"):
        append(writer, 2)
    del disk.fails["pwrite"]
    with pytest.raises(OSError, match="Input/output error"):
        writer.sync()
    assert (writer.written, writer.durable) == (5, 0)
    writer.close(clean=False)
    assert contents(Journal(tmp_path)) == history(0, 5)


@pytest.mark.parametrize("call", ["fsync", "posix_fallocate"])
def test_an_error_of_a_new_segment_ends_the_writing(tmp_path: Path, disk: Disk, call: str) -> None:
    writer = open_writer(tmp_path)
    disk.fails[call] = errno.EIO
    with pytest.raises(OSError, match="Input/output error"):
        append(writer, 9)
    with pytest.raises(OSError, match="Input/output error"):
        writer.sync()
    writer.close(clean=False)
    assert contents(Journal(tmp_path)) == history(0, 8)


def test_a_disk_that_cannot_be_read_is_said(tmp_path: Path, disk: Disk) -> None:
    write_journal(tmp_path, 12)
    journal = Journal(tmp_path)
    disk.fails["preadv"] = errno.EIO
    for reading in (lambda: contents(journal), lambda: Journal(tmp_path)):
        with pytest.raises(JournalError, match=r"cannot read .* at byte \d+: Input/output error; restore the folder from a copy"):
            reading()
    with pytest.raises(JournalError, match="cannot read"):
        open_writer(tmp_path, 12)


def test_the_mark_follows_the_records(tmp_path: Path, disk: Disk) -> None:
    """What is marked was on disk before: records, of every segment that was written meanwhile, and the segments' names."""
    writer = open_writer(tmp_path, durable_mode=False)
    append(writer, 20)
    disk.calls.clear()
    writer.sync()
    assert disk.calls == ["fdatasync"] * 3 + ["fsync", "pwrite", "fdatasync"]
    disk.calls.clear()
    writer.sync()
    assert disk.calls == []
    writer.close(clean=True)


@pytest.mark.parametrize("durable_mode", [False, True])
def test_in_durable_mode_a_segment_is_there_before_it_is_used(tmp_path: Path, disk: Disk, *, durable_mode: bool) -> None:
    writer = open_writer(tmp_path, durable_mode=durable_mode)
    disk.calls.clear()
    append(writer, 9)
    assert disk.calls.count("fsync") == 2 * durable_mode
    writer.close(clean=True)


def test_records_of_a_former_writer_are_synced_before_they_are_marked(tmp_path: Path, disk: Disk) -> None:
    write_journal(tmp_path, 20, durable=3)
    writer = open_writer(tmp_path, 20)
    assert writer.durable == 3
    append(writer, 1)
    disk.calls.clear()
    writer.sync()
    assert disk.calls == ["fdatasync"] * 4 + ["pwrite", "fdatasync"]
    assert Journal(tmp_path, end=21).durable == 21
    writer.close(clean=True)


def test_a_system_that_takes_and_gives_little_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pwrite, preadv = os.pwrite, os.preadv
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", lambda fd, data, offset: pwrite(fd, data[:100], offset))
        patch.setattr(os, "preadv", lambda fd, buffers, offset: preadv(fd, [buffers[0][:99]], offset))
        write_journal(tmp_path, 20, durable=9)
        assert contents(Journal(tmp_path)) == history(0, 20)
    assert contents(Journal(tmp_path)) == history(0, 20)
