"""The durable mark: below which number all records are on disk, kept apart from them. The journal's writer writes it, readers check by it.

Two marks are written in turn, each on a page of its own, so that one of them is whole at every moment. Whatever lies below the number must be
good: a bad record there is damage, and no write that was cut short.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from shm_exchange.domain.errors import JournalDamaged, JournalError
from shm_exchange.domain.limits import PAGE
from shm_exchange.journal.codec import crc_of_words
from shm_exchange.journal.folder import DURABLE, open_file, read_at, replace_file, write_at
from shm_exchange.layout.files import DURABLE_MAGIC, DURABLE_MARK, FILE_VERSION

_SLOTS = 2


class Mark(NamedTuple):
    """What the file says."""

    counter: int
    sequence: int
    term: int


NO_MARK = Mark(0, 0, 0)
"""Nothing was ever said to be durable."""


def read_mark(directory: Path) -> Mark:
    """The newest mark; NO_MARK where there is no such file. Raises JournalDamaged, JournalError."""
    path = directory / DURABLE
    try:
        fd = open_file(path)
    except FileNotFoundError:
        return NO_MARK
    try:
        pages = [read_at(fd, path, PAGE, slot * PAGE) for slot in range(_SLOTS)]
    finally:
        os.close(fd)
    marks = [mark for page in pages if (mark := _unpacked(page, path))]
    if not marks:
        raise JournalDamaged(
            f"{path} is damaged: neither of its two marks is whole; restore it from a copy, or remove it "
            f"if the end of the journal need not be trusted"
        )
    return max(marks)


def _unpacked(page: bytes, path: Path) -> Mark | None:
    """The mark on a page, if it is whole."""
    if len(page) < PAGE:
        return None
    record = np.frombuffer(bytearray(page[: DURABLE_MARK.itemsize]), DURABLE_MARK)
    crc = int(record["crc"][0])
    record["crc"] = 0
    if record["magic"] != DURABLE_MAGIC or crc != _crc(record.tobytes() + page[DURABLE_MARK.itemsize :]):
        return None
    if record["version"] != FILE_VERSION:
        raise JournalError(f"{path} is of version {record['version'][0]} and this release reads {FILE_VERSION}: use the release that wrote it")
    return Mark(*(int(record[name][0]) for name in Mark._fields))


def _packed(mark: Mark) -> bytes:
    record = np.zeros(1, DURABLE_MARK)
    record["magic"], record["version"] = DURABLE_MAGIC, FILE_VERSION
    for name, value in mark._asdict().items():
        record[name] = value
    record["crc"] = _crc(record.tobytes().ljust(PAGE, b"\0"))
    return record.tobytes().ljust(PAGE, b"\0")


def _crc(page: bytes) -> int:
    return int(crc_of_words(np.frombuffer(page, np.uint64)))


class DurableMark:
    """Writing the mark. Caller: holds the folder's lock. Raises OSError, JournalDamaged, JournalError."""

    def __init__(self, directory: Path, term: int) -> None:
        self._mark = read_mark(directory)
        if self._mark == NO_MARK:
            self._mark = Mark(1, 0, term)
            replace_file(directory / DURABLE, b"".join(_packed(self._mark._replace(counter=slot)) for slot in range(_SLOTS)))
        self._term = term
        self._fd = open_file(directory / DURABLE, os.O_RDWR)

    @property
    def sequence(self) -> int:
        """All records below are on disk."""
        return self._mark.sequence

    def write(self, sequence: int) -> None:
        """Say so, and see it on disk. Caller: has seen the records there. Raises OSError."""
        self._mark = Mark(self._mark.counter + 1, sequence, self._term)
        write_at(self._fd, _packed(self._mark), self._mark.counter % _SLOTS * PAGE)
        os.fdatasync(self._fd)

    def close(self) -> None:
        """Close the file. Again is harmless."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)
