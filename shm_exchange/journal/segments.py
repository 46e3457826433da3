"""Writing a journal: the log ring into segment files. One process at a time, under the folder's lock.

A segment is preallocated as a whole, so that writing into it needs no new room, and the next one lies ready as the spare. It gets its header
before it gets its name, hence whatever is named like a segment is one. Every start makes a new segment: the one before it is cut at the number
where the writer goes on, and never written again.

What a disk says is taken seriously. Where room is lacking, less is written and `room` says so; after any other error of the disk nothing is
written any more, and no durable mark either: a second fdatasync may well succeed after a first one that lost data.
"""

from __future__ import annotations

import errno
import logging
import os
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from shm_exchange.domain.config import ExchangeConfig, TermStart
from shm_exchange.domain.errors import JournalError
from shm_exchange.journal.codec import encode
from shm_exchange.journal.durable import DurableMark, read_mark
from shm_exchange.journal.folder import FolderLock, lacks_room, make_folder, open_file, read_at, segment_path, segment_paths, sync_folder, write_at
from shm_exchange.journal.header import Segment, new_segment, packed_header
from shm_exchange.journal.reading import Journal, read_segments
from shm_exchange.journal.reserve import Room, Spare
from shm_exchange.layout.files import JOURNAL_RECORD, JOURNAL_WORDS

SEGMENT_RECORDS = 1 << 20
"""75 MB a segment."""
_PIECE_RECORDS = (1 << 20) // JOURNAL_RECORD.itemsize
"""Written at once: at most 1 MiB."""
_UNSYNCED_MAX = 256
"""Full segments that wait for a sync, each with a descriptor open."""

_log = logging.getLogger(__name__)


class SegmentWriter:
    """Appends log records, from number `first` on. What the folder holds beyond `first` is cut; it is never durable.

    `durable_mode`: new segments are on disk before anything is written into them, as is needed where outputs wait for `sync`. After a disk error
    of a former writer `first` must be the durable number: what lies behind it may look right and not be on the disk.

    Raises JournalError (in use, no room, another exchange's, numbers that do not join) and JournalDamaged.
    """

    written: int
    """All records below are with the operating system: they survive the end of this process."""
    durable: int
    """All records below are on disk."""
    bytes_written: int
    room: Room

    def __init__(
        self,
        directory: Path | str,
        config: ExchangeConfig,
        term: TermStart,
        first: int,
        *,
        segment_records: int = SEGMENT_RECORDS,
        durable_mode: bool,
        after_error: bool = False,
    ) -> None:
        assert term.term > 0 and 0 <= term.sequence <= first, (term, first)
        self._directory, self._config, self._term = Path(directory), config, term
        self._records, self._durable_mode, self._after_error = segment_records, durable_mode, after_error
        self.written, self.bytes_written, self.room = first, 0, Room.NONE
        self._error: OSError | None = None
        self._is_named = True  # whether the names of all segments are on the disk
        self._files: list[int] = []  # written and not synced; the last one is the segment's
        self._buffer = np.zeros(_PIECE_RECORDS * JOURNAL_WORDS, np.uint64)
        with ExitStack() as stack:
            make_folder(self._directory)
            stack.callback(FolderLock(self._directory).close)
            stack.callback(self._close_files)
            try:
                self._go_on(stack)
            except OSError as error:
                raise JournalError(f"cannot write a journal in {directory}: {self._why(error)}") from error
            self._open = stack.pop_all()

    def append(self, words: np.ndarray[tuple[int], np.dtype[np.void]], first: int, last: int) -> int:
        """Write log numbers `first` to `last - 1` from the ring (COMMAND_WORDS, a power of two); returns the number up to which all is written.

        That is `last`, unless `room` is NONE. Raises OSError for everything but lack of room.
        """
        assert first == self.written <= last, (first, self.written, last)
        self._check_disk()
        ring = words.view(np.ndarray).view(np.uint64)
        ring.flags.writeable = False  # one type, wherever the log is mapped from: compiled once
        try:
            while self.written < last and self._has_place():
                stop = min(last, self._segment.limit, self.written + _PIECE_RECORDS)
                encode(ring, self.written, stop, self._term.term, self._buffer)
                self._write(stop)
        except OSError as error:
            if self._error is not None or not lacks_room(error):
                self._error = error
                raise
            self.room = Room.NONE
        else:
            self._see_room()
        return self.written

    def sync(self) -> None:
        """See on disk what was appended, then raise the durable mark. Raises OSError, and from then on always: what was lost is not known."""
        self._check_disk()
        if self.written == self.durable:
            return
        try:
            self._sync_files()
            self._mark.write(self.written)
        except OSError as error:
            self._error = error
            raise
        self.durable = self.written

    def make_room(self) -> Room:
        """Try to make the spare where there is none; returns `room`. Raises OSError for everything but lack of room."""
        self._spare.make()
        self._see_room()
        return self.room

    def close(self, *, clean: bool) -> None:
        """Let go of files and lock. `clean`: give back the room that is not used, and sync. Again is harmless. Raises OSError."""
        with self._open:
            if clean and self._files:
                self._check_disk()
                os.ftruncate(self._files[-1], self._segment.offset(self.written))
                self._spare.give_back()
                self.sync()

    def _go_on(self, stack: ExitStack) -> None:
        """Check what is there, cut it where we go on, and begin a segment."""
        mark = read_mark(self._directory)
        former = self._former(mark.sequence)
        if mark.sequence > self.written:
            raise JournalError(
                f"the journal in {self._directory} is on disk up to number {mark.sequence}, and cannot go on at {self.written}: "
                f"resume it, or use another folder"
            )
        self.durable = max(mark.sequence, former[0].first) if former else self.written
        self._cut(former)
        self._mark = DurableMark(self._directory, self._term.term)
        stack.callback(self._mark.close)
        self._spare = Spare(self._directory, self._new_segment().size)
        if not self._spare.make():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._begin_segment(last=True)
        self.make_room()

    def _former(self, durable: int) -> list[Segment]:
        """The segments that are there. Raises JournalError where they are of something else, or do not reach up to us; JournalDamaged."""
        if not read_segments(self._directory, durable)[0]:
            return []
        journal = Journal(self._directory)
        if journal.config != self._config:
            raise JournalError(
                f"{self._directory} holds the journal of exchange {journal.config.name!r} with another configuration: resume with its own, "
                f"or use another folder"
            )
        newest = journal.terms[-1]
        follows = self._term == newest or (self._term.term > newest.term and self._term.sequence == self.written)
        if not follows or not journal.first <= self.written <= journal.end:
            raise JournalError(
                f"{self._directory} holds numbers {journal.first} to {journal.end - 1} up to term {newest.term}; number {self.written} of term "
                f"{self._term.term} does not join: resume it, or use another folder"
            )
        return journal.segments

    def _cut(self, former: list[Segment]) -> None:
        """Remove what lies at or behind the number where we go on, newest first, and remember what was never synced."""
        ours = {segment.path for segment in former if segment.first < self.written}
        for _, path in reversed(segment_paths(self._directory)):
            if path not in ours:
                _log.info("%s: removed, it holds nothing below number %d", path, self.written)
                path.unlink()
        starts = [segment.first for segment in former[1:]]
        for segment, start in zip(former, [*starts, self.written], strict=False):
            limit = min(start, self.written)
            if segment.path in ours and (limit == self.written or limit > self.durable):
                fd = open_file(segment.path, os.O_RDWR)
                self._files.append(fd)
                if os.fstat(fd).st_size > segment.offset(limit):
                    os.ftruncate(fd, segment.offset(limit))
                if self._after_error and limit > self.durable:
                    self._write_again(fd, segment, segment.offset(limit))
        sync_folder(self._directory)

    def _write_again(self, fd: int, segment: Segment, end: int) -> None:
        """What was never durable, as it is read: then a sync will not take it for written. It was checked. Raises OSError, JournalError."""
        offset = segment.offset(self.durable) if segment.first < self.durable else 0
        while offset < end:
            data = read_at(fd, segment.path, min(_PIECE_RECORDS * JOURNAL_RECORD.itemsize, end - offset), offset)
            write_at(fd, data, offset)
            offset += len(data)

    def _sync_files(self) -> None:
        """All that is written is on the disk, whether or not anybody is told yet. Raises OSError."""
        for fd in self._files:
            os.fdatasync(fd)
        if not self._is_named:
            sync_folder(self._directory)
            self._is_named = True
        self._close_files(keep=1)

    def _has_place(self) -> bool:
        """Whether the segment has place, or the next one was begun. Raises OSError."""
        if self.written < self._segment.limit:
            return True
        if not self._spare.make():
            self._see_room()
            return False
        if len(self._files) > _UNSYNCED_MAX:
            self._sync_files()
        self._begin_segment(last=self._durable_mode)
        self._spare.make()
        return True

    def _new_segment(self) -> Segment:
        path = segment_path(self._directory, self.written)
        return new_segment(path, self.written, self._records, self._term, self._config, time.time_ns())

    def _begin_segment(self, *, last: bool) -> None:
        segment = self._new_segment()
        self._files.append(self._spare.use(segment.path, packed_header(segment), last=last))
        self._segment, self._is_named = segment, self._is_named and last

    def _write(self, stop: int) -> None:
        """The records in the buffer, which are those below `stop`. Raises OSError."""
        data = self._buffer[: (stop - self.written) * JOURNAL_WORDS].view(np.uint8).data
        write_at(self._files[-1], data, self._segment.offset(self.written))
        self.bytes_written += len(data)
        self.written = stop

    def _see_room(self) -> None:
        if self._spare.is_there:
            self.room = Room.PLENTY
        else:
            self.room = Room.RESERVE if self.written < self._segment.limit else Room.NONE

    def _check_disk(self) -> None:
        """Raises the error that the disk has answered before."""
        if self._error is not None:
            raise self._error

    def _close_files(self, keep: int = 0) -> None:
        while len(self._files) > keep:
            os.close(self._files.pop(0))

    def _why(self, error: OSError) -> str:
        if lacks_room(error):
            return f"{error.strerror}; a segment takes {self._new_segment().size:,} bytes and is kept twice: make room, or use another folder"
        return f"{error.strerror}; look after the disk, or use another folder"
