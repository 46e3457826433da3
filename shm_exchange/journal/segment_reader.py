"""The records of one segment file, checked: a buffer, and the kernels on it."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from shm_exchange.domain.errors import JournalError
from shm_exchange.journal.codec import decode, find_good
from shm_exchange.journal.folder import open_file, read_into
from shm_exchange.journal.header import Segment
from shm_exchange.layout.files import JOURNAL_RECORD
from shm_exchange.layout.records import LOG_RECORD

Records = np.ndarray[tuple[int], np.dtype[np.void]]
_PIECE = 1 << 20


class SegmentReader:
    """An open segment, read in chunks of at most so many records. Raises JournalError where it is gone, or the disk does not give it."""

    def __init__(self, segment: Segment, chunk: int) -> None:
        self._segment = segment
        self._chunk = chunk
        self._buffer = bytearray(0)
        try:
            self._fd = open_file(segment.path)
        except FileNotFoundError as error:
            raise JournalError(f"{segment.path} was removed while the journal was read; begin again with what is left") from error

    def take(self, first: int, last: int) -> Records:
        """Copies of records `first` to `last - 1`; fewer where one of them is missing or not good: those before it."""
        words, count = self._read(first, last)
        found = np.empty(count, LOG_RECORD)
        good = int(decode(words, count, first, self._segment.term.term, found.view(np.uint64)))
        return found[:good]

    def first_bad(self, first: int, last: int) -> int:
        """Number of the first record from `first` on that is missing or not good; `last` where there is none before it."""
        while first < last:
            wanted = min(last, first + self._chunk)
            first += len(self.take(first, wanted))
            if first < wanted:
                break
        return first

    def first_good(self, first: int, last: int) -> int:
        """Number of the first record from `first` on that is good; `last` where there is none before it."""
        while first < last:
            words, count = self._read(first, min(last, first + self._chunk))
            good = int(find_good(words, count, first, self._segment.term.term))
            if good < count:
                return first + good
            if count == 0:
                break
            first += count
        return last

    def _read(self, first: int, last: int) -> tuple[np.ndarray[tuple[int], np.dtype[np.uint64]], int]:
        """The words of records as they lie in the file, and how many whole records there are. The words change with the next call."""
        size = (last - first) * JOURNAL_RECORD.itemsize
        if len(self._buffer) < size:
            self._buffer = bytearray(size)
        count = read_into(self._fd, self._segment.path, memoryview(self._buffer)[:size], self._segment.offset(first))
        return np.frombuffer(self._buffer, np.uint64), count // JOURNAL_RECORD.itemsize

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        os.close(self._fd)


def has_bytes(path: Path, offset: int) -> bool:
    """Whether a file holds anything but zeros from `offset` on. Raises JournalError."""
    fd, buffer = open_file(path), memoryview(bytearray(_PIECE))
    try:
        while count := read_into(fd, path, buffer, offset):
            if np.frombuffer(buffer[:count], np.uint8).any():
                return True
            offset += count
    finally:
        os.close(fd)
    return False
