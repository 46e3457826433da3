"""Does the kernel let us? Each trial really does what an exchange does, because a sandbox (seccomp) refuses what the kernel's version promises.

A trial answers with nothing where all is well, else with the reason in words.
"""

from __future__ import annotations

import errno
import importlib
import os
import signal
import tempfile
from contextlib import closing
from pathlib import Path

from shm_exchange.shm.locks import LockFile
from shm_exchange.shm.mapping import Mapping

_WAITED_NS = 1_000_000


def import_refused(module: str) -> str:
    """Import a library."""
    try:
        importlib.import_module(module)
    except Exception as error:  # noqa: BLE001 — a broken binary raises whatever it likes
        return f"{type(error).__name__}: {' '.join(str(error).split())}"
    return ""


def pidfd_refused() -> str:
    """Open a handle of a process and signal through it."""
    try:
        handle = os.pidfd_open(os.getpid())
        try:
            signal.pidfd_send_signal(handle, 0)
        finally:
            os.close(handle)
    except (OSError, AttributeError) as error:
        return _reason(error)
    return ""


def futex_refused() -> str:
    """Wait on a word for a millisecond, and wake nobody. The system call is made as kernels make it, by its number."""
    import ctypes

    from shm_exchange._intrinsics import FUTEX_CALL

    libc = ctypes.CDLL(None, use_errno=True)
    word, limit = ctypes.c_int32(0), (ctypes.c_int64 * 2)(0, _WAITED_NS)
    ctypes.set_errno(0)
    waited = libc.syscall(FUTEX_CALL, ctypes.byref(word), 0, 0, limit, None, 0)
    if waited == -1 and (code := ctypes.get_errno()) != errno.ETIMEDOUT:
        return os.strerror(code)
    return "" if libc.syscall(FUTEX_CALL, ctypes.byref(word), 1, 1, None, None, 0) == 0 else os.strerror(ctypes.get_errno())


def shared_memory_refused(directory: Path) -> str:
    """Make a file, lock a byte of it, see the lock through another open of the file, map it."""
    try:
        with tempfile.TemporaryFile(dir=directory) as file:
            os.posix_fallocate(file.fileno(), 0, 4096)
            own = LockFile(os.dup(file.fileno()))
            other = LockFile(os.open(f"/proc/self/fd/{file.fileno()}", os.O_RDWR | os.O_CLOEXEC))
            with closing(own), closing(other):
                if not own.try_lock(1) or not other.is_held(1) or other.try_lock(1):
                    return "open file description locks do not exclude each other"
            Mapping(file.fileno(), 0, 4096, writable=True).close()
    except OSError as error:
        return _reason(error)
    return ""


def _reason(error: Exception) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
