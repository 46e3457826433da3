"""Memory that is really there: a full /dev/shm must be an error before anything starts, and not a bus error at some later store."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shm_exchange.domain.config import ExchangeConfig
from shm_exchange.domain.errors import NotEnoughMemory
from shm_exchange.domain.limits import PAGE
from shm_exchange.layout.regions import describe, layout_of
from shm_exchange.shm.root import open_own

_MIB = 1 << 20


@contextmanager
def room_for(config: ExchangeConfig, directory: str | Path) -> Iterator[None]:
    """Turn "no space left" into NotEnoughMemory with the figures and the cures."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.ENOMEM, errno.EFBIG):
            raise
        raise _not_enough(config, directory) from error


def check_room(config: ExchangeConfig, directory: str | Path) -> None:
    """Look before taking: another program may need what a vain attempt would occupy. Raises NotEnoughMemory."""
    if bytes_free(directory) < bytes_needed(config):
        raise _not_enough(config, directory)


def new_file(path: Path, size: int) -> int:
    """A new file with every byte allocated and zero. Raises OSError; the caller removes what is left."""
    fd = open_own(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
    try:
        os.posix_fallocate(fd, 0, size)
    except BaseException:
        os.close(fd)
        raise
    return fd


def bytes_needed(config: ExchangeConfig) -> int:
    """What an exchange takes in shared memory."""
    return layout_of(config).size + PAGE  # the root file's page


def bytes_free(directory: str | Path) -> int:
    """What is left there."""
    status = os.statvfs(directory)
    return status.f_bavail * status.f_frsize if status.f_blocks else 1 << 62  # no blocks at all: a tmpfs without a limit


def _not_enough(config: ExchangeConfig, directory: str | Path) -> NotEnoughMemory:
    needed = bytes_needed(config)
    largest = max(describe(config), key=lambda row: row.bytes)
    mebibytes = -(-2 * needed // _MIB)
    return NotEnoughMemory(
        f"exchange {config.name!r} needs {needed:,} bytes in {directory}, {bytes_free(directory):,} are free; make max_sessions, report_capacity, "
        f"lane_capacity, event_capacity or log_capacity smaller (most goes to {largest.structure}: {largest.bytes:,} bytes), or give it more room: "
        f"mount -o remount,size={mebibytes}m {directory} (in a container: docker run --shm-size={mebibytes}m)"
    )
