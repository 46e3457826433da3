"""The loop of a keeper: write, make checkpoints when there is time, say that it lives, end when the exchange has."""

from __future__ import annotations

import errno
import json
import logging
import os
import signal
import sys
import time
from contextlib import suppress
from types import FrameType

import numpy as np

from shm_exchange.domain.enums import Admission
from shm_exchange.domain.errors import ExchangeError, ExchangeRunning, JournalError
from shm_exchange.journal.folder import lacks_room
from shm_exchange.keeper.checkpoints import Checkpoints
from shm_exchange.keeper.words import KeeperWords, await_log
from shm_exchange.keeper.writing import LogWriter
from shm_exchange.layout.headers import KEEPER_FAILED, KEEPER_RUNNING, KEEPER_STOPPED, MATCHER_STOPPED
from shm_exchange.layout.regions import Writer
from shm_exchange.shm.locks import KEEPER_BYTE
from shm_exchange.shm.segment import Segment

_PATIENCE_NS = 20_000_000
_NAP_NS_MAX = 1_000_000
_NS_A_COMMAND = 25
"""Half of the time in which the fastest matcher fills a slot of the ring: naps are so short that it never fills."""
_LOOK_SECONDS = 0.02
_FULL_SECONDS = 1.0
_IDLE_SECONDS = 1.0
"""ASYNC: after so long without a command, all that was written is put on the disk."""
_log = logging.getLogger(__name__)


class KeeperProcess:
    """One keeper over one segment whose journal has a folder. `run` returns when the exchange has stopped, or it was asked to."""

    def __init__(self, segment: Segment) -> None:
        self._asked, self._look_again = False, 0.0
        if not segment.try_lock(KEEPER_BYTE):
            raise ExchangeRunning(f"exchange {segment.name!r} already has a living keeper")
        self._segment = segment
        own = segment.writable(Writer.KEEPER)
        self._own, self._counters = own["keeper"][0], own["keeper_counters"]
        self._own.pid = os.getpid()
        plain = [array.view(np.ndarray) for array in (own["keeper"], segment.array("matcher"), own["parked"], own["keeper_parked"])]
        self._words = KeeperWords(*plain)
        self._writer = self._opened()
        self._checkpoints = Checkpoints(segment, self._words, self._counters, self._writer.written)
        self._capacity = segment.config.log_capacity
        self._nap_ns = min(_NAP_NS_MAX, max(1, _NS_A_COMMAND * segment.config.log_capacity))
        self._idle_since = time.monotonic()

    def _opened(self) -> LogWriter:
        """The writer, once the disk has room for it: a keeper that goes on waits for that, and only one that begins gives up at once."""
        while True:
            try:
                return LogWriter(self._segment, self._words, self._counters)
            except JournalError as error:
                full = isinstance(error.__cause__, OSError) and lacks_room(error.__cause__)
                if not full or not self._counters[0].lives or self._is_over():
                    raise
            self._own.admission, self._own.error = Admission.NONE, errno.ENOSPC
            time.sleep(_FULL_SECONDS)

    def announce(self) -> None:
        """Say who we are."""
        self._counters[0].lives += 1
        self._own.state, self._own.error = KEEPER_RUNNING, 0

    def ask_to_stop(self, _number: int = 0, _frame: FrameType | None = None) -> None:
        """As a signal handler: end after this pass."""
        self._asked = True

    def run(self) -> None:
        """Write until the exchange has stopped, or we were asked to; then all is on the disk. Raises OSError, after saying so in our words."""
        try:
            while not self._asked and not self._is_over():
                self.step(_PATIENCE_NS)
            self._finish()
        except (OSError, ExchangeError) as error:
            self._own.error, self._own.state = getattr(error, "errno", None) or errno.EIO, KEEPER_FAILED
            raise
        self._own.state = KEEPER_STOPPED

    def _finish(self) -> None:
        """All that was taken in goes to the disk. Raises OSError, also where it has no room for it."""
        tail = int(self._words.matcher[0]["log_tail"])
        self._writer.write(tail)
        self._checkpoints.close()
        self._writer.close(clean=True)
        if self._writer.written < tail:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def step(self, patience_ns: int) -> None:
        """One pass: wait a moment for commands, write them, else use the time."""
        written = self._writer.written
        tail = int(await_log(self._words, written, self._capacity, self._nap_ns, patience_ns, self._writer.answers_wait))
        self._counters[0].heartbeat_ns = time.monotonic_ns()
        self._writer.look_for_room()
        if tail != written:
            self._writer.write(tail)
            self._idle_since = time.monotonic()
        elif self._writer.is_behind and time.monotonic() > self._idle_since + _IDLE_SECONDS:
            self._writer.sync()
        while self._checkpoints.step(self._writer.written, is_idle=tail == written):
            if self._words.matcher[0]["log_tail"] != self._writer.written:
                return

    def _is_over(self) -> bool:
        """Whether nothing more can come: the matcher has stopped for good, nobody is left, or this memory was given up."""
        if time.monotonic() < self._look_again:
            return False
        self._look_again = time.monotonic() + _LOOK_SECONDS
        segment = self._segment
        if segment.matcher_alive:
            return not segment.is_current
        stopped = segment.array("control")[0].stop or self._words.matcher[0]["state"] == MATCHER_STOPPED
        return bool(stopped) or not segment.supervisor_alive


def serve(keeper: KeeperProcess) -> None:
    """Keep until the exchange has stopped, or SIGTERM; SIGINT belongs to whoever sits at the terminal."""
    signal.signal(signal.SIGTERM, keeper.ask_to_stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    keeper.announce()
    with suppress(BrokenPipeError):
        sys.stdout.write(json.dumps({"ready": True, "pid": os.getpid()}) + "\n")
        sys.stdout.flush()
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    keeper.run()
    _log.info("the keeper stopped")
