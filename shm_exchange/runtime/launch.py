"""Our own programs as child processes: `python -m shm_exchange.… arguments`.

A child gets the caller's import path, a session of its own (the terminal's Ctrl-C belongs to the foreground), no descriptor but those it is given,
and single-threaded numerical libraries. The caller's `__main__` is never imported, so all of this works from a script without a guard, a REPL and
a notebook. What a child leaves to read later, a traceback or a result, goes to memory (memfd): no pipe that could fill up and stop it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from shm_exchange.domain.errors import ConfigError

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
_TEXT_BYTES = 64 * 1024

Stream = int | IO[bytes] | None


def launch(
    module: str,
    arguments: Iterable[str] = (),
    *,
    stdin: Stream = subprocess.DEVNULL,
    stdout: Stream = None,
    stderr: Stream = None,
    pass_fds: Iterable[int] = (),
) -> subprocess.Popen[bytes]:
    """Start `python -m module arguments` as its own session. Raises ConfigError where there is no Python program to start."""
    if not sys.executable:
        raise ConfigError("sys.executable is empty: this Python is embedded in another program, which cannot start processes of an exchange")
    return subprocess.Popen(
        [sys.executable, "-P", "-m", module, *arguments],
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        pass_fds=tuple(pass_fds),
        env=environment(),
        start_new_session=True,
    )


def environment() -> dict[str, str]:
    """The environment of our children: ours, with the import path of this very process and no hidden threads."""
    entries = (entry for entry in sys.path if isinstance(entry, str) and os.pathsep not in entry)
    path = [entry if entry.startswith("/") else str(Path.cwd() / entry) for entry in entries]
    return os.environ | dict.fromkeys(_THREADS, "1") | {"PYTHONPATH": os.pathsep.join(dict.fromkeys(path)), "SHM_EXCHANGE_CHILD": "1"}


def memory_file(name: str, content: bytes = b"") -> int:
    """An anonymous file in memory, positioned at its start. It lives as long as somebody has it open."""
    fd = os.memfd_create(name, os.MFD_CLOEXEC)
    with open(fd, "wb", closefd=False) as file:
        file.write(content)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def memory_bytes(fd: int) -> bytes:
    """All that was written into a memory file."""
    return os.pread(fd, os.fstat(fd).st_size, 0)


def memory_text(fd: int) -> str:
    """The end of what was written into a memory file, as text: a traceback is worth reading from its end."""
    size = os.fstat(fd).st_size
    return os.pread(fd, _TEXT_BYTES, max(0, size - _TEXT_BYTES)).decode(errors="replace").strip()
