"""The spare: a blank file with the room of a whole segment, made before it is needed. While there is none the disk is full, or nearly so."""

from __future__ import annotations

import errno
import os
from enum import IntEnum
from pathlib import Path

from shm_exchange.journal.folder import RESERVE, lacks_room, open_file, sync_folder, write_at
from shm_exchange.journal.segment_reader import has_bytes

_PIECE = 1 << 20
_CANNOT_PREALLOCATE = (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS)


class Room(IntEnum):
    """How much may still be written."""

    NONE = 0
    """The segment is full and there is no spare: nothing is written."""
    RESERVE = 1
    """There is no spare: only what is left in the segment. Time to take nothing but what frees the book."""
    PLENTY = 2


class Spare:
    """The blank file beside the segments. Caller: holds the folder's lock."""

    def __init__(self, directory: Path, size: int) -> None:
        self._path = directory / RESERVE
        self._size = size
        self.is_there = self._path.exists() and self._path.stat().st_size == size and not has_bytes(self._path, 0)

    def make(self) -> bool:
        """Make it unless it is there; False where the disk has no room. Raises OSError for everything else, JournalError."""
        if self.is_there:
            return True
        try:
            self._create()
        except OSError as error:
            self._path.unlink(missing_ok=True)
            if not lacks_room(error):
                raise
            return False
        self.is_there = True
        return True

    def _create(self) -> None:
        self._path.unlink(missing_ok=True)
        fd = open_file(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        try:
            preallocate(fd, self._size)
        finally:
            os.close(fd)

    def give_back(self) -> None:
        """Remove it. Raises OSError."""
        self._path.unlink(missing_ok=True)
        self.is_there = False

    def use(self, path: Path, header: bytes, *, last: bool) -> int:
        """Write a header into it and give it its name: the descriptor of the new segment. Caller: has made it. Raises OSError.

        With `last` all of that is on disk before this returns.
        """
        fd = open_file(self._path, os.O_RDWR)
        try:
            write_at(fd, header, 0)
            if last:
                os.fsync(fd)
            self._path.rename(path)
            self.is_there = False
            if last:
                sync_folder(path.parent)
        except BaseException:
            os.close(fd)
            raise
        return fd


def preallocate(fd: int, size: int) -> None:
    """Give an empty file its room on the disk; it reads as zeros. Raises OSError."""
    try:
        os.posix_fallocate(fd, 0, size)
    except OSError as error:
        if error.errno not in _CANNOT_PREALLOCATE:
            raise
        for offset in range(0, size, _PIECE):
            write_at(fd, bytes(min(_PIECE, size - offset)), offset)
