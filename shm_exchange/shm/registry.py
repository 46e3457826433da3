"""Which exchanges this user has, alive or dead, and the removal of dead ones."""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from shm_exchange.shm.locks import MATCHER_BYTE, SUPERVISOR_BYTE
from shm_exchange.shm.root import SHM_DIR, Root, data_files, names_in


@dataclass(frozen=True)
class ExchangeInfo:
    """What can be said of an exchange from outside. `creator_pid`, `created_ns` and `generation` are 0 where its root is missing or incomplete."""

    name: str
    supervisor_alive: bool
    matcher_alive: bool
    creator_pid: int
    created_ns: int
    generation: int
    size: int
    """Bytes of its data files."""

    @property
    def is_alive(self) -> bool:
        """Whether anybody runs it."""
        return self.supervisor_alive or self.matcher_alive


def exchanges(directory: str | Path = SHM_DIR) -> list[ExchangeInfo]:
    """All exchanges of this user that have a file, by name; also dead ones, and data files whose root is gone."""
    return [_info(name, directory) for name in names_in(directory)]


def _info(name: str, directory: str | Path) -> ExchangeInfo:
    size = sum(_size(path) for path in data_files(name, directory))
    try:
        root = Root(name, directory, os.O_RDONLY)
    except FileNotFoundError:
        return ExchangeInfo(name, supervisor_alive=False, matcher_alive=False, creator_pid=0, created_ns=0, generation=0, size=size)
    with closing(root):
        record = root.read()
        supervisor, matcher = (root.locks.is_held(byte) for byte in (SUPERVISOR_BYTE, MATCHER_BYTE))
    pid, created_ns, generation = (int(record[field]) if record is not None else 0 for field in ("creator_pid", "created_ns", "generation"))
    return ExchangeInfo(name, supervisor, matcher, pid, created_ns, generation, size)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def reap(name: str, directory: str | Path = SHM_DIR) -> bool:
    """Remove what a dead exchange left; False when there is nothing, or when any process still holds any lock of it.

    All bytes are locked at once, so nobody can come alive between the look and the removal. Data files without a root get a new root for the
    moment: only under the lock of a root may data files be removed.
    """
    while True:
        orphans = bool(data_files(name, directory))
        try:
            root = Root(name, directory, os.O_RDWR | (os.O_CREAT if orphans else 0))
        except FileNotFoundError:
            return False
        with closing(root):
            if not root.locks.try_lock_all():
                return False
            if root.is_current():
                root.remove_files()
                return True
