"""The root file of an exchange: a small stable name that says which data file is the current one, and carries the locks.

    /dev/shm/shm_exchange-<uid>-<name>                 ROOT record; locks
    /dev/shm/shm_exchange-<uid>-<name>.<generation>    everything else

The root is an inode, not a path: a name may be removed and made again between two system calls. So whoever takes a lock asks afterwards whether
the path still names the file it has locked (`is_current`), and starts again where it does not. Only the holder of the supervisor byte, or of all
bytes, of the current root removes files, and the root itself goes last: while it stands nobody else makes data files of that name.

The ROOT record is written and read through the descriptor, never mapped: Python's mmap keeps a duplicate of the descriptor, and with it the locks.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

import numpy as np

from shm_exchange.domain.errors import ExchangeError, ExchangeRunning
from shm_exchange.domain.names import EXCHANGE_NAME, checked_exchange_name, whole_name
from shm_exchange.layout.digest import LAYOUT_VERSION, layout_digest
from shm_exchange.layout.headers import MAGIC, ROOT
from shm_exchange.shm.locks import KEEPER_BYTE, MATCHER_BYTE, SUPERVISOR_BYTE, LockFile

SHM_DIR = "/dev/shm"
_MAGIC_OFFSET = int((ROOT.fields or {"magic": (ROOT, 0)})["magic"][1])


def _prefix() -> str:
    return f"shm_exchange-{os.getuid()}-"


def root_path(name: str, directory: str | Path) -> Path:
    """Where the root file of an exchange lies. Raises ConfigError for what cannot be a name."""
    return Path(directory) / (_prefix() + checked_exchange_name(name))


def data_path(name: str, generation: int, directory: str | Path) -> Path:
    """Where the data file of a generation lies."""
    return Path(directory) / f"{_prefix()}{checked_exchange_name(name)}.{generation}"


def data_files(name: str, directory: str | Path) -> list[Path]:
    """All data files of that name, of whatever generation."""
    return sorted(path for path in Path(directory).glob(f"{_prefix()}{checked_exchange_name(name)}.*") if path.suffix[1:].isdecimal())


def names_in(directory: str | Path) -> list[str]:
    """The names of all exchanges of this user that have a file left, alive or not."""
    pattern = re.compile(re.escape(_prefix()) + rf"({EXCHANGE_NAME})(\.\d+)?")
    with os.scandir(directory) as entries:
        matches = [pattern.fullmatch(entry.name) for entry in entries if _is_own(entry)]
    return sorted({match[1] for match in matches if match})


def _is_own(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file(follow_symlinks=False) and entry.stat(follow_symlinks=False).st_uid == os.getuid()
    except FileNotFoundError:
        return False


def open_own(path: Path, flags: int) -> int:
    """Open a file that must be ours: no link, and no file that another user put under our name. Not inherited by other programs.

    Raises FileNotFoundError, OSError where there is no room, and ExchangeError for everything else.
    """
    try:
        fd = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOSPC, errno.EDQUOT):
            raise
        raise ExchangeError(f"cannot open {path}: {error.strerror}; remove it or choose another name") from error
    status = os.fstat(fd)
    if status.st_uid != os.getuid() or not stat.S_ISREG(status.st_mode):
        os.close(fd)
        raise ExchangeError(f"{path} is not a file of ours: it belongs to user {status.st_uid}; remove it or choose another name")
    if flags & os.O_CREAT:
        os.fchmod(fd, 0o600)
    return fd


def time_text(created_ns: int) -> str:
    """A moment as people write it."""
    try:
        return datetime.fromtimestamp(created_ns / 1e9).astimezone().isoformat(" ", "seconds")
    except (OverflowError, ValueError, OSError):
        return "an unknown time"


class Root:
    """An open root file."""

    def __init__(self, name: str, directory: str | Path, flags: int) -> None:
        self.name = name
        self.directory = Path(directory)
        self.path = root_path(name, directory)
        self.locks = LockFile(open_own(self.path, flags))

    def read(self) -> np.void | None:
        """The ROOT record once it is complete: the magic is stored last, so it is looked at first, and the rest read after it."""
        raw = os.pread(self.locks.fileno(), ROOT.itemsize, 0)
        if len(raw) < ROOT.itemsize or not np.frombuffer(raw, ROOT)[0]["magic"]:
            return None
        record: np.void = np.frombuffer(os.pread(self.locks.fileno(), ROOT.itemsize, 0), ROOT)[0]
        return record

    def publish(self, generation: int, size: int, created_ns: int) -> None:
        """Write the ROOT record, magic last: from here on others attach."""
        record = np.zeros(1, ROOT)
        record["version"], record["digest"] = LAYOUT_VERSION, layout_digest()
        record["generation"], record["data_bytes"] = generation, size
        record["created_ns"], record["creator_pid"] = created_ns, os.getpid()
        os.pwrite(self.locks.fileno(), record.tobytes(), 0)
        os.pwrite(self.locks.fileno(), np.int64(MAGIC).tobytes(), _MAGIC_OFFSET)

    def is_current(self) -> bool:
        """Whether the path still names this file."""
        try:
            return os.path.samestat(self.path.lstat(), os.fstat(self.locks.fileno()))
        except FileNotFoundError:
            return False

    def remove_files(self) -> None:
        """Remove the data files, then the root. Caller: holds the supervisor byte, or all, of the current root."""
        for path in data_files(self.name, self.directory):
            path.unlink(missing_ok=True)
        self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the file; its locks go."""
        self.locks.close()


def claim(name: str, directory: str | Path) -> Root:
    """A new empty root whose supervisor byte we hold, with nothing of a dead predecessor left. Raises ExchangeRunning.

    A predecessor's root is never used again: a gateway of the dead exchange may still hold a session byte of it. It is removed, and the claim
    made again on a new file; of several who do so, one gets the lock of the new file and the others are told about it.
    """
    while True:
        with ExitStack() as stack:
            root = Root(name, directory, os.O_RDWR | os.O_CREAT)
            stack.callback(root.close)
            if _is_ours_and_empty(root):
                stack.pop_all()
                return root


def _is_ours_and_empty(root: Root) -> bool:
    """Take the supervisor byte of the root; False when there must be another look at the path."""
    if not root.locks.try_lock(SUPERVISOR_BYTE):
        if root.is_current():
            raise ExchangeRunning(_who_runs(root, "supervisor"))
        return False
    if not root.is_current():
        return False
    for byte, who in ((MATCHER_BYTE, "matcher"), (KEEPER_BYTE, "keeper")):
        if root.locks.is_held(byte):
            raise ExchangeRunning(_who_runs(root, who))
    if os.fstat(root.locks.fileno()).st_size == 0 and not data_files(root.name, root.directory):
        return True
    root.remove_files()
    return False


def _who_runs(root: Root, who: str) -> str:
    record, name = root.read(), whole_name(root.name)
    cure = f"stop it with `shm-exchange stop {name}`, or choose another name"
    if record is None:
        return f"exchange {name!r} is just being started by another process; {cure}"
    started = f"process {record['creator_pid']}, started {time_text(int(record['created_ns']))}"
    if who != "supervisor":
        return f"exchange {name!r} is running: its supervisor ({started}) is gone, but its {who} lives; {cure}"
    return f"exchange {name!r} is running: its supervisor ({started}) lives; {cure}"
