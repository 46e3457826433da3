"""Pages of the data file in this process, and how they are let go without harm.

Two traps lie here. `mmap.close()` unmaps under the feet of numpy views made with `np.ndarray(buffer=…)`, and refuses with BufferError under those
made with `np.frombuffer`. We use the latter: closing lets the last view unmap, whoever holds it.

And a writable mapping is MADV_DONTFORK, so that a forked child cannot write in its parent's name. In the child these pages are a hole, where
something else may be mapped by now; were the inherited mmap object destroyed there, it would unmap that. So a child keeps it for ever.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import weakref
from contextlib import suppress
from typing import Any

import numpy as np

from shm_exchange.domain.errors import ExchangeError, HandleClosed
from shm_exchange.domain.limits import PAGE

_not_inherited: weakref.WeakSet[mmap.mmap] = weakref.WeakSet()


class Mapping:
    """`size` bytes of a file from `offset`, both whole pages."""

    def __init__(self, fd: int, offset: int, size: int, *, writable: bool = False, populate: bool = True) -> None:
        if PAGE % mmap.ALLOCATIONGRANULARITY:
            raise ExchangeError(f"this kernel maps pages of {mmap.ALLOCATIONGRANULARITY} bytes; shm_exchange needs one with pages of {PAGE} bytes")
        protection = mmap.PROT_READ | mmap.PROT_WRITE if writable else mmap.PROT_READ
        flags = mmap.MAP_SHARED | mmap.MAP_POPULATE if populate else mmap.MAP_SHARED
        self._pid = os.getpid()
        self._writable = writable
        memory = mmap.mmap(fd, size, flags=flags, prot=protection, offset=offset)
        if writable:
            memory.madvise(mmap.MADV_DONTFORK)
            _not_inherited.add(memory)
        self._memory: mmap.mmap | None = memory
        self._bytes: np.ndarray[Any, np.dtype[np.uint8]] | None = np.frombuffer(memory, np.uint8)
        self._offset = offset

    def bytes(self, offset: int, size: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """A view of bytes of the file. It keeps the pages mapped for as long as it lives."""
        if self._bytes is None:
            raise HandleClosed("this handle was closed; attach again")
        return self._bytes[offset - self._offset : offset - self._offset + size]

    def close(self) -> None:
        """Unmap now, or, while views live, with the last of them."""
        memory, self._memory, self._bytes = self._memory, None, None
        if memory is not None and not (self._writable and self._pid != os.getpid()):
            with suppress(BufferError):
                memory.close()


def _keep_for_ever() -> None:
    for memory in list(_not_inherited):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(memory))


os.register_at_fork(after_in_child=_keep_for_ever)
