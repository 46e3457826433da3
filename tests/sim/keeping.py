"""The keeper of a simulation: the product's, pass by pass, on a disk that may be full, fail, or be the last thing that it ever sees."""

from __future__ import annotations

import os
from contextlib import suppress

from shm_exchange.domain.errors import JournalError
from shm_exchange.keeper.process import KeeperProcess
from shm_exchange.layout.headers import KEEPER_FAILED
from shm_exchange.shm.locks import KEEPER_BYTE
from shm_exchange.shm.segment import Segment
from tests.sim.stage import let_go


class Keeper:
    """One keeper after the other over one segment. A pass that raises OSError, or dies, was its last."""

    def __init__(self, segment: Segment) -> None:
        self._segment = segment
        self._process: KeeperProcess | None = None

    @property
    def lives(self) -> bool:
        """Whether one is at work."""
        return self._process is not None

    def step(self) -> None:
        """Start, or do one pass. Raises what a disk makes of it, which its words say, as in `KeeperProcess.run`; then `die`. Also Killed."""
        if self._process is None:
            self._process = KeeperProcess(self._segment)
            self._process.announce()
            return
        try:
            self._process.step(0)
        except OSError as error:
            own = self._process._own
            own.error, own.state = error.errno or 0, KEEPER_FAILED
            raise

    def step_on_bad_disk(self) -> None:
        """The same where the disk may have no room to begin with, or fail: then it ends, as a process would."""
        try:
            self.step()
        except (OSError, JournalError):
            self.die()

    def die(self) -> None:
        """Its files are closed as they are, and its locks free."""
        if self._process is not None:
            self._process._writer.close(clean=False)
        self._process = None
        let_go(self._segment, KEEPER_BYTE)
        if not self._segment.journal.directory:
            return
        folder = f"{self._segment.journal.directory}/"
        for handle in os.listdir("/proc/self/fd"):  # noqa: PTH208 (one that died as it began has told nobody what it had open)
            with suppress(FileNotFoundError):
                if os.readlink(f"/proc/self/fd/{handle}").startswith(folder):  # noqa: PTH115 (a thousand times a second)
                    os.close(int(handle))
