"""The folder of one journal: names of its files, opening them, and the lock of whoever writes.

    segment-<first sequence>.log         records; written once, never changed below the durable number
    reserve.log                          blank and preallocated: becomes the next segment
    durable                              the durable mark
    checkpoint-<sequence>.image          state of the engine at a number
    lock                                 under flock(2), which ends with its holder

Readers need no lock, but to find the end of a journal at rest they share it for a moment. Folder and files are ours alone: 0700 and 0600, no links.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shm_exchange.domain.errors import ExchangeError, JournalError
from shm_exchange.shm.root import open_own

RESERVE = "reserve.log"
DURABLE = "durable"
LOCK = "lock"
TEMPORARY = ".tmp"
_LOOK_SECONDS = 0.01
_SEGMENT, _CHECKPOINT = re.compile(r"segment-(\d{16})\.log"), re.compile(r"checkpoint-(\d{16})\.image")


def segment_path(directory: Path, first: int) -> Path:
    """Where the segment lies that begins with record `first`."""
    return directory / f"segment-{first:016d}.log"


def checkpoint_path(directory: Path, sequence: int) -> Path:
    """Where the checkpoint lies that was made before record `sequence`."""
    return directory / f"checkpoint-{sequence:016d}.image"


def segment_paths(directory: Path) -> list[tuple[int, Path]]:
    """All segments: (number of the first record, file), ascending. Raises JournalError where the folder cannot be read."""
    return _numbered(directory, _SEGMENT)


def checkpoint_paths(directory: Path) -> list[tuple[int, Path]]:
    """All checkpoints: (sequence, file), ascending. Raises JournalError where the folder cannot be read."""
    return _numbered(directory, _CHECKPOINT)


def _numbered(directory: Path, pattern: re.Pattern[str]) -> list[tuple[int, Path]]:
    try:
        found = [(match, path) for path in directory.iterdir() if (match := pattern.fullmatch(path.name))]
    except OSError as error:
        raise JournalError(f"cannot read the journal folder {directory}: {error.strerror}; name the folder that the exchange writes to") from error
    return sorted((int(match[1]), path) for match, path in found)


def make_folder(directory: Path) -> None:
    """Make the folder, 0700, unless it is there. Raises JournalError where it cannot be made, or is not ours alone."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = directory.stat()
    except OSError as error:
        raise JournalError(f"cannot make the journal folder {directory}: {error.strerror}; choose another one") from error
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
        raise JournalError(f"the journal folder {directory} belongs to user {status.st_uid}; choose one of your own")
    if status.st_mode & 0o077:
        raise JournalError(
            f"the journal folder {directory} is open to others (mode {status.st_mode & 0o777:03o}); close it with: chmod 700 {directory}"
        )


def open_file(path: Path, flags: int = os.O_RDONLY) -> int:
    """The descriptor of a journal file, which must be ours. Raises FileNotFoundError, JournalError; OSError where there is no room."""
    try:
        return open_own(path, flags)
    except ExchangeError as error:
        raise JournalError(str(error)) from error


def read_into(fd: int, path: Path, buffer: memoryview, offset: int) -> int:
    """Fill `buffer`, less only at the end of the file; returns how many bytes. Raises JournalError where the disk does not give them."""
    count = 0
    try:
        while count < len(buffer) and (got := os.preadv(fd, [buffer[count:]], offset + count)):
            count += got
    except OSError as error:
        raise JournalError(f"cannot read {path} at byte {offset + count}: {error.strerror}; restore the folder from a copy") from error
    return count


def read_at(fd: int, path: Path, count: int, offset: int) -> bytes:
    """`count` bytes, fewer only at the end of the file. Raises JournalError."""
    buffer = bytearray(count)
    return bytes(buffer[: read_into(fd, path, memoryview(buffer), offset)])


def write_at(fd: int, data: bytes | memoryview, offset: int) -> None:
    """All of `data`. Raises OSError."""
    rest = memoryview(data)
    while rest:
        written = os.pwrite(fd, rest, offset)
        rest, offset = rest[written:], offset + written


def replace_file(path: Path, data: bytes) -> None:
    """Put a file with `data` there, on disk as a whole or not at all. Caller: holds the lock. Raises OSError, JournalError."""
    temporary = path.with_name(path.name + TEMPORARY)
    temporary.unlink(missing_ok=True)
    fd = open_file(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL)
    try:
        write_at(fd, data, 0)
        os.fsync(fd)
    finally:
        os.close(fd)
    temporary.rename(path)
    sync_folder(path.parent)


def sync_folder(directory: Path) -> None:
    """Make renames and removals in the folder last. Raises OSError."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def lacks_room(error: OSError) -> bool:
    """Whether a disk or a quota is full, and no more."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


class FolderLock:
    """The right to write in a folder, held until it is closed or its process ends. Raises JournalError where another process has it."""

    def __init__(self, directory: Path) -> None:
        self._fd = open_file(directory / LOCK, os.O_RDWR | os.O_CREAT)
        while not _try_lock(self._fd, fcntl.LOCK_EX):
            if not _try_lock(self._fd, fcntl.LOCK_SH):
                holder = os.pread(self._fd, 20, 0).decode("ascii", "replace").strip() or "unknown"
                self.close()
                raise JournalError(f"the journal in {directory} is in use by process {holder}; stop its exchange, or use another folder")
            time.sleep(_LOOK_SECONDS)  # only readers who are looking for its end
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)

    def close(self) -> None:
        """Let others write. Again is harmless."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


@contextmanager
def held_at_rest(directory: Path) -> Iterator[bool]:
    """Within the block nobody begins to write, unless somebody does already: then this is False. Short blocks only, for a writer waits for it."""
    try:
        fd = open_file(directory / LOCK)
    except FileNotFoundError:
        yield True
        return
    try:
        yield _try_lock(fd, fcntl.LOCK_SH)
    finally:
        os.close(fd)


def _try_lock(fd: int, operation: int) -> bool:
    try:
        fcntl.flock(fd, operation | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
