"""The stage of a simulation: the product's own code, with a disk that can forget in the place of the real one, and no waiting anywhere.

Everything that is replaced is put back at the end: sleeps and patience become nothing, a checkpoint is written at once instead of by a thread, and in
front of every system call of a journal and every piece of a recovery stands the question whether the process gets that far.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from shm_exchange.client import departure, sessions
from shm_exchange.keeper import checkpoints, process, writing
from shm_exchange.layout.digest import layout_digest
from shm_exchange.matcher import recovery
from shm_exchange.shm import segment
from shm_exchange.shm.segment import Segment
from shm_exchange.supervisor import departures
from tests.sim.disk import Disk, Fate

BEHIND = "behind"
"""The attribute of such a function that is the one of the product."""
_RECOVERY = ("apply", "_take_up_reports", "_hand_over", "_publish_everything", "_take_up_lanes", "_wake_everybody")


class Stage:
    """What the agents of one simulation share. `disk` is of the journal that is written now."""

    def __init__(self) -> None:
        self.fate = Fate()
        self.disk: Disk | None = None

    def before(self, place: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, behind the question whether the process gets to it."""

        def asked(*arguments: Any, **named: Any) -> Any:
            self.fate.pass_by(place)
            result = function(*arguments, **named)
            if self.disk is not None:
                self.disk.look()
            return result

        vars(asked)[BEHIND] = function
        return asked

    def sync(self, fd: int) -> None:
        """In the place of fsync."""
        try:
            self.fate.pass_by("fsync")
        except OSError:
            if self.disk is not None:
                self.disk.fail(fd)
            raise
        if self.disk is not None:
            self.disk.sync(fd)

    def preallocate(self, fd: int, offset: int, size: int) -> None:
        """In the place of posix_fallocate, which `create` calls too."""
        self.fate.pass_by("fallocate")
        if self.disk is not None:
            self.disk.preallocate(fd, size)
        else:
            os.ftruncate(fd, offset + size)


class _AtOnce:
    """In the place of a ThreadPoolExecutor."""

    def __init__(self, *_: object) -> None:
        """No thread is needed."""

    def submit(self, function: Callable[..., None], *arguments: Any) -> Future[None]:
        """The work is done when this returns. A death within it is one of the whole process."""
        future: Future[None] = Future()
        try:
            function(*arguments)
        except Exception as error:  # noqa: BLE001 (as an executor does)
            future.set_exception(error)
        else:
            future.set_result(None)
        return future

    def shutdown(self) -> None:
        """Nothing is left to do."""


@contextmanager
def staged() -> Iterator[Stage]:
    """Everything in its place for simulations, until the end of the block."""
    stage = Stage()
    with pytest.MonkeyPatch.context() as patch:
        for name in ("fsync", "fdatasync"):
            patch.setattr(os, name, stage.sync)
        patch.setattr(os, "posix_fallocate", stage.preallocate)
        patch.setattr(os, "ftruncate", stage.before("ftruncate", os.ftruncate))
        patch.setattr(os, "pwrite", stage.before("pwrite", _written(stage, os.pwrite)))
        for name in ("rename", "unlink"):
            patch.setattr(Path, name, _method(stage, name, getattr(Path, name)))
        for name in _RECOVERY:
            patch.setattr(recovery, name, stage.before(name, getattr(recovery, name)))
        for module, name in ((departure, "_NAP_SECONDS"), (sessions, "_DEPART_SECONDS"), (sessions, "_SETTLE_SECONDS")):
            patch.setattr(module, name, 0)
        for module, name in ((departures, "_PATIENCE_SECONDS"), (writing, "GATHER_SECONDS"), (writing, "_ROOM_SECONDS")):
            patch.setattr(module, name, 0)
        patch.setattr(process, "_IDLE_SECONDS", 0)
        patch.setattr(process, "lacks_room", lambda _: False)  # a keeper that would wait for room ends instead, and is started again
        patch.setattr(checkpoints, "ThreadPoolExecutor", _AtOnce)
        patch.setattr(segment, "layout_digest", lru_cache(layout_digest))
        level = logging.root.manager.disable
        logging.disable(logging.CRITICAL)  # deaths and full disks by the thousand
        try:
            yield stage
        finally:
            logging.disable(level)


def _written(stage: Stage, pwrite: Callable[[int, bytes, int], int]) -> Callable[[int, bytes, int], int]:
    """pwrite, of which the disk hears."""

    def written(fd: int, data: bytes, offset: int) -> int:
        count = pwrite(fd, data, offset)
        if stage.disk is not None:
            stage.disk.write(fd, offset, count)
        return count

    return written


def _method(stage: Stage, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
    """A method of Path, asked as `Stage.before` asks."""

    def asked(path: Path, *arguments: Any, **named: Any) -> Any:
        return stage.before(name, method)(path, *arguments, **named)

    return asked


def let_go(segment: Segment, byte: int) -> None:
    """What the kernel does at the end of whoever holds the byte: it is free, and what was writable is mapped no more."""
    segment.release(byte)
    for mapping in segment._own:
        mapping.close()
    segment._own.clear()
