"""A disk that forgets: what a folder looks like after a power loss, and a disk that is full, fails, or sees its writer die.

Files lie in memory. `sync` is called in the place of fsync(2) and fdatasync(2): only what it has seen is safe. Of everything behind it a power loss
keeps what a seed says: nothing, all, the writes up to some moment, or any sectors, as a disk may that orders writes as it likes. The folder itself
looks as at its last sync, or as at any later moment.
"""

from __future__ import annotations

import errno
import os
import random
import stat
from pathlib import Path

from shm_exchange.journal.folder import DURABLE

SECTOR = 512
KEPT = ("nothing", "all", "a beginning", "any sectors")


class Killed(BaseException):
    """A process dies here. Nothing that handles errors may stop it."""


class Fate:
    """Whether whoever runs now gets past a place: nobody asks unless a countdown runs."""

    def __init__(self) -> None:
        self.left = 0
        """Places to pass until the end; 0 = no end is near."""
        self.error = 0
        """The errno that awaits there; 0 = death."""

    def pass_by(self, _place: str) -> None:
        """Raises Killed, or OSError, at the last place."""
        if self.left:
            self.left -= 1
            if not self.left:
                if not self.error:
                    raise Killed
                raise OSError(self.error, os.strerror(self.error))

    def calm(self) -> None:
        """Nothing awaits any more."""
        self.left = self.error = 0


class Disk:
    """The folder of one journal. `is_full`: no new room is given."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.is_full = False
        self._safe: dict[int, bytes] = {}
        self._lost: dict[int, set[int]] = {}
        self._listings: list[dict[str, int]] = [{}]

    def sync(self, fd: int) -> None:
        """Whatever the descriptor is of is on the disk."""
        status = os.fstat(fd)
        if stat.S_ISDIR(status.st_mode):
            self._listings = [self._listing()]
        else:
            content = os.pread(fd, status.st_size, 0)
            self._safe[status.st_ino] = _without(self._lost.get(status.st_ino, set()), self._safe.get(status.st_ino, b""), content)

    def fail(self, fd: int) -> None:
        """A sync has failed: what was to be written is lost, and the next sync will not know of it."""
        status = os.fstat(fd)
        if not stat.S_ISDIR(status.st_mode):
            now, safe = os.pread(fd, status.st_size, 0), self._safe.get(status.st_ino, b"")
            sectors = range(0, len(now), SECTOR)
            self._lost.setdefault(status.st_ino, set()).update(at for at in sectors if now[at : at + SECTOR] != safe[at : at + SECTOR])

    def write(self, fd: int, offset: int, size: int) -> None:
        """The next sync will know of these bytes, whatever became of them before."""
        if lost := self._lost.get(os.fstat(fd).st_ino):
            lost.difference_update(range(offset - offset % SECTOR, offset + size, SECTOR))

    def preallocate(self, fd: int, size: int) -> None:
        """Room for a file. Raises OSError when the disk is full."""
        if self.is_full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.ftruncate(fd, size)

    def look(self) -> None:
        """The folder may be seen like this after a power loss."""
        listing = self._listing()
        if listing != self._listings[-1]:
            self._listings.append(listing)

    def lose_power(self, draw: random.Random, kept: str) -> None:
        """Let the folder look as a power loss leaves it."""
        self.look()
        listing = self._listings[0 if kept == "nothing" else -1 if kept == "all" else draw.randrange(len(self._listings))]
        now = {inode: (self.folder / name).read_bytes() for name, inode in self._listings[-1].items()}
        names = sorted(listing, key=lambda name: (name == DURABLE, name))
        pairs = [(self._safe.get(listing[name]), now.get(listing[name])) for name in names]
        # A beginning: every file up to some one as it is, that one in part, the others as they were.
        turn, files = draw.randrange(len(names) + 1), {}
        for place, (name, (safe, current)) in enumerate(zip(names, pairs, strict=True)):
            if current is None or kept == "nothing" or (kept == "a beginning" and place > turn):
                files[name] = safe or b""
            elif kept == "all" or (kept == "a beginning" and place < turn):
                files[name] = current
            else:
                files[name] = _mixed(draw, safe, current, in_order=kept == "a beginning")
        for path in self.folder.iterdir():
            path.unlink()
        for name, content in files.items():
            (self.folder / name).write_bytes(content)
            (self.folder / name).chmod(0o600)
        self._listings = [self._listing()]
        self._lost = {}
        self._safe = {inode: files[name] for name, inode in self._listings[0].items()}

    def _listing(self) -> dict[str, int]:
        try:
            with os.scandir(self.folder) as found:
                return {entry.name: entry.inode() for entry in found}
        except FileNotFoundError:
            return {}


def _mixed(draw: random.Random, safe: bytes | None, current: bytes, *, in_order: bool) -> bytes:
    """A file of which some sectors that were written since its last sync are on the disk."""
    before = (safe or b"").ljust(len(current), b"\0")
    mixed = bytearray(before if len(before) == len(current) or draw.random() < 0.5 else before[: len(current)])
    dirty = [at for at in range(0, len(current), SECTOR) if before[at : at + SECTOR] != current[at : at + SECTOR]]
    kept = dirty[: draw.randrange(len(dirty) + 1)] if in_order else [at for at in dirty if draw.random() < 0.5]
    for at in kept:
        mixed[at : at + SECTOR] = current[at : at + SECTOR]
    return bytes(mixed)


def _without(lost: set[int], safe: bytes, content: bytes) -> bytes:
    """What a sync puts on the disk after one that failed: sectors that nobody has written since are as they were before."""
    synced = bytearray(content)
    for at in lost:
        size = len(synced[at : at + SECTOR])
        synced[at : at + size] = safe[at : at + size].ljust(size, b"\0")
    return bytes(synced)
