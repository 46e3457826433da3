"""What every worker says of itself, in memory that outlives it: a row each, mapped by its worker and by whoever watches.

A worker writes the first part of its row, the watcher the second. An item is in hand while `taken` is above `finished`: both move by one store
each, so a worker killed between two instructions has either finished an item or has it in hand.
"""

from __future__ import annotations

import mmap
import os
from typing import Any, Self

import numpy as np

from shm_exchange.layout.histogram import BUCKETS

ERROR_BYTES = 2048

WORKER = np.dtype(
    [
        ("taken", "i8"),
        ("processed", "i8"),
        ("failed", "i8"),
        ("handling_ns", "i8"),
        ("lag_ns", "i8"),
        ("lags", "i8"),
        ("refused", "i8"),
        ("_reserved_worker", "V72"),
        ("given_up", "i8"),
        ("told_to_stop", "i8"),
        ("_reserved_watcher", "V112"),
        ("error", f"S{ERROR_BYTES}"),
        ("times", "i8", BUCKETS),
        ("lag_times", "i8", BUCKETS),
    ]
)
assert WORKER.itemsize == 256 + ERROR_BYTES + 16 * BUCKETS
"""taken: items begun. processed, failed: items ended, well or with an exception. given_up: items that the watcher counted as dropped, because
their worker was killed or did not end in time. lags: items whose tick time is known. refused: items that the output did not accept.
times, lag_times: histograms of nanoseconds. error: the last exception, as text."""

Rows = np.ndarray[Any, np.dtype[np.void]]


class SharedTable:
    """Rows of a dtype in an anonymous file of memory; `fd` passes it on to a child."""

    def __init__(self, dtype: np.dtype[np.void], rows: int, fd: int | None = None) -> None:
        size = dtype.itemsize * rows
        if fd is None:
            fd = os.memfd_create("pipeline", os.MFD_CLOEXEC)
            os.ftruncate(fd, size)
        self.fd = fd
        self.rows: Rows = np.frombuffer(mmap.mmap(fd, size), dtype)

    def close(self) -> None:
        """Close the file. Views live on, and the memory with them."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def finished(row: Any) -> int:
    """Items of a row that are over, one way or the other."""
    return int(row["processed"]) + int(row["failed"]) + int(row["given_up"])


def in_hand(row: Any) -> int:
    """1 while an item was begun and is not over, else 0."""
    return int(row["taken"]) - finished(row)


def error_text(row: Any) -> str:
    """The last exception of a row; a piece of it where it was long."""
    return bytes(row["error"]).decode(errors="replace")


class Hand:
    """The bytes of the item in hand, in a file of memory that outlives its worker. The worker writes it before it counts the item as taken."""

    def __init__(self, fd: int | None = None) -> None:
        self.fd = os.memfd_create("hand", os.MFD_CLOEXEC) if fd is None else fd

    def write(self, content: bytes) -> None:
        """Have it in hand."""
        os.pwrite(self.fd, len(content).to_bytes(8, "little") + content, 0)

    def read(self) -> bytes:
        """What is, or was last, in hand."""
        return os.pread(self.fd, int.from_bytes(os.pread(self.fd, 8, 0), "little"), 8)

    def close(self) -> None:
        """Close the file."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)
