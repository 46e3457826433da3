"""Who is alive, said by the kernel: byte locks on the root file that end with their holder, however it ends (I3).

    byte 0                  the matcher
    byte n, 1 … 1023        the process that has session n
    byte 2^20               the supervisor
    byte 2^20 + 3           the keeper
    byte 2^20 + 1           the attach mutex: held for the moment in which a session is looked up and taken
    all bytes at once       a reaper: gets it only while nobody holds any byte, so whoever meets it waits a moment instead of giving up

They are OFD locks (fcntl(2), "open file description locks"): they belong to an open of the file, not to a process. The older POSIX locks vanish
as soon as the process closes any other descriptor of the same file; flock knows no bytes; a pid in memory may be somebody else's by now, and a
heartbeat only says that a process is slow.

Two consequences. A lock does not conflict with another lock taken through the same open, so a LockFile remembers what it holds. And a forked
child shares the open: the parent's lock would live on in the child. So the descriptor is close-on-exec, and a child of a plain fork closes its
copy at once and finds its LockFile poisoned.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import weakref
from typing import NamedTuple

from shm_exchange.domain.errors import ExchangeError, HandleClosed

MATCHER_BYTE = 0
SUPERVISOR_BYTE = 1 << 20
ATTACH_BYTE = SUPERVISOR_BYTE + 1
_REAPER_BYTE = SUPERVISOR_BYTE + 2
KEEPER_BYTE = SUPERVISOR_BYTE + 3
_TO_THE_END = 0

_FLOCK = struct.Struct("hhqqi4x")
"""struct flock of 64-bit Linux: type, whence, start, length (0 = to the end), pid."""

_open_files: weakref.WeakSet[LockFile] = weakref.WeakSet()


class _Range(NamedTuple):
    start: int
    length: int

    @property
    def is_reaper(self) -> bool:
        return self == (0, _TO_THE_END)


class LockFile:
    """One open of a file and the byte locks taken through it. Takes over the descriptor. Not for use by several threads at once."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._held: set[int] = set()
        self._why_closed = ""
        _open_files.add(self)

    def fileno(self) -> int:
        """The descriptor. Raises HandleClosed."""
        if self._fd < 0:
            raise HandleClosed(self._why_closed)
        return self._fd

    def holds(self, byte: int) -> bool:
        """Whether this very handle holds the byte."""
        return byte in self._held

    def is_held(self, byte: int) -> bool:
        """Whether some living process holds the byte: this handle, or any other. A reaper does not count."""
        if byte in self._held:
            return True
        conflict = self._conflict(byte)
        return conflict is not None and not conflict.is_reaper

    def try_lock(self, byte: int) -> bool:
        """Take the byte; False when somebody, this handle included, has it already."""
        if byte in self._held:
            return False
        while not self._set(fcntl.F_OFD_SETLK, fcntl.F_WRLCK, _Range(byte, 1)):
            conflict = self._conflict(byte)
            if conflict is not None and not conflict.is_reaper:
                return False
            self._wait_for_reaper()
        self._held.add(byte)
        return True

    def lock(self, byte: int) -> None:
        """Take the byte, waiting for as long as somebody else has it. A signal handler may end the wait by raising."""
        if byte in self._held:
            raise ValueError(f"byte {byte} is locked by this handle already: waiting for it would never end")
        self._set(fcntl.F_OFD_SETLKW, fcntl.F_WRLCK, _Range(byte, 1))
        self._held.add(byte)

    def release(self, byte: int) -> None:
        """Give the byte back, if this handle has it."""
        if byte in self._held:
            self._set(fcntl.F_OFD_SETLK, fcntl.F_UNLCK, _Range(byte, 1))
            self._held.discard(byte)

    def try_lock_all(self) -> bool:
        """Take every byte at once; False when anybody has any. Caller: a reaper, which closes soon."""
        return self._set(fcntl.F_OFD_SETLK, fcntl.F_WRLCK, _Range(0, _TO_THE_END))

    def close(self) -> None:
        """Give everything back. Again is harmless."""
        if self._fd >= 0:
            self._set(fcntl.F_OFD_SETLK, fcntl.F_UNLCK, _Range(0, _TO_THE_END))
            self._shut("this handle was closed; attach again")

    def __del__(self) -> None:
        self._shut("this handle was closed; attach again")

    def _shut(self, why: str) -> None:
        fd, self._fd = self._fd, -1
        self._held.clear()
        if fd >= 0:
            self._why_closed = why
            os.close(fd)

    def _in_forked_child(self) -> None:
        """Close without unlocking: an unlock would release the parent's locks, which live in the open that both share."""
        self._shut(f"this handle belongs to process {os.getppid()}, which forked this one; attach again in the child")

    def _set(self, operation: int, kind: int, part: _Range) -> bool:
        """Lock or unlock; False when it would have to wait."""
        try:
            fcntl.fcntl(self.fileno(), operation, _FLOCK.pack(kind, os.SEEK_SET, *part, 0))
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.EACCES):
                return False
            if error.errno == errno.EBADF:
                raise ExchangeError("a handle that was opened for reading cannot lock; attach with write=True") from error
            raise
        return True

    def _conflict(self, byte: int) -> _Range | None:
        """The lock of another handle that lies on the byte; its pid would be -1, since an open has none."""
        answer = fcntl.fcntl(self.fileno(), fcntl.F_OFD_GETLK, _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, byte, 1, 0))
        kind, _, start, length, _ = _FLOCK.unpack(answer)
        return None if kind == fcntl.F_UNLCK else _Range(start, length)

    def _wait_for_reaper(self) -> None:
        """Sleep until no reaper is at work. Shared, so that those who wait do not wait for each other."""
        self._set(fcntl.F_OFD_SETLKW, fcntl.F_RDLCK, _Range(_REAPER_BYTE, 1))
        self._set(fcntl.F_OFD_SETLK, fcntl.F_UNLCK, _Range(_REAPER_BYTE, 1))


def _poison_inherited() -> None:
    for file in list(_open_files):
        file._in_forked_child()  # noqa: SLF001


os.register_at_fork(after_in_child=_poison_inherited)
