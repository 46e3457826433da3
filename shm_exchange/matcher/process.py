"""The Python around the loop: take the lock, lay the bundles over the memory, take up where the last matcher died, slice until asked to stop.

A standby does the same, only that it waits for the lock: it has all kernels loaded when the kernel gives it the byte of the dead.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

import numpy as np

from shm_exchange._jit import INTERPRETED
from shm_exchange.domain.enums import JournalMode
from shm_exchange.domain.errors import ExchangeError, ExchangeRunning
from shm_exchange.engine.apply import log_of
from shm_exchange.engine.check import book_hash, check_book, state_hash
from shm_exchange.engine.outputs import new_outputs
from shm_exchange.layout.headers import MATCHER_RUNNING, MATCHER_STOPPED
from shm_exchange.layout.regions import Writer
from shm_exchange.matcher.bundles import Bundles, bundle_memory, plain_bundles
from shm_exchange.matcher.loop import STOP_ASKED, run_slice
from shm_exchange.matcher.memory import MatcherMemory, Policy
from shm_exchange.matcher.recovery import begin_life, rebuilt_book, recover
from shm_exchange.matcher.rehearsal import rehearse
from shm_exchange.shm.locks import MATCHER_BYTE
from shm_exchange.shm.segment import Records, Segment
from shm_exchange.snapshot.slots import Snapshots

SLICE_NS = 20_000_000
YIELD_POLLS = 50
_log = logging.getLogger(__name__)


def open_bundles(segment: Segment) -> Bundles:
    """Lay the matcher's bundles over a segment whose matcher byte we hold, and take up where the last matcher, or the last term, ended.

    Raises ExchangeRunning where that is not known any more, JournalDamaged, JournalError.
    """
    own = segment.writable(Writer.MATCHER)
    own["matcher"][0].pid = os.getpid()
    log = log_of(own["log"])
    book = rebuilt_book(segment, log)
    outputs = new_outputs(segment.config, own["reports"], own["events"], _addresses(segment, "report_head"))
    snapshots = Snapshots(own["snapshot_latest"], own["snapshots"], own["snapshot_levels"])
    bundles = Bundles(_memory(segment, own), policy_of(segment), book, outputs, log, snapshots)
    begin_life(bundles.memory, book)
    recover(*bundles)
    return bundles


def policy_of(segment: Segment) -> Policy:
    """What configuration and journal say."""
    mode = segment.journal.mode
    answers_wait = mode in (JournalMode.GROUP, JournalMode.SYNC)
    return Policy(segment.config.lane_capacity, segment.config.sweep_budget, YIELD_POLLS, SLICE_NS, mode is not JournalMode.OFF, answers_wait)


def _memory(segment: Segment, own: dict[str, Records]) -> MatcherMemory:
    return bundle_memory(segment.config, own | {name: segment.array(name) for name in ("control", "keeper")}, _addresses(segment, "lane"))


def _addresses(segment: Segment, name: str) -> np.ndarray:
    """Where an array of each session lies; nothing at index 0."""
    sessions = range(1, segment.config.max_sessions + 1)
    return np.array([0, *(segment.array(name, session).ctypes.data for session in sessions)], np.int64)


class MatcherProcess:
    """One matcher over one segment, whose byte it takes unless this segment has it. `run` returns when it was asked to stop."""

    def __init__(self, segment: Segment) -> None:
        if not segment.holds(MATCHER_BYTE) and not segment.try_lock(MATCHER_BYTE):
            raise ExchangeRunning(f"exchange {segment.name!r} already has a living matcher")
        self._segment = segment  # the bundles hold addresses into its mapping
        self.bundles = open_bundles(segment)
        self._plain = plain_bundles(self.bundles)
        self._asked = False

    def announce(self) -> None:
        """Let gateways attach."""
        self.bundles.memory.words[0].state = MATCHER_RUNNING

    def ask_to_stop(self, _number: int = 0, _frame: FrameType | None = None) -> None:
        """As a signal handler, or from the same thread: end after the current slice."""
        self._asked = True

    def run(self) -> None:
        """Slice until asked to stop by signal or by the supervisor's word; then drain what was submitted."""
        memory = self.bundles.memory
        control, keeper, words = memory.control[0], memory.keeper[0], memory.words[0]
        while not self._asked and self._slice(self.bundles.policy) != STOP_ASKED:
            if control.verify != words.verified:
                self.verify(int(control.verify))
            if keeper.hash_request != words.hash_request:
                self.hash(int(keeper.hash_request))
        self._drain()
        words.state = MATCHER_STOPPED

    def verify(self, request: int) -> None:
        """Check the book, hash it, and publish the answer under the number of the request."""
        book, words = self.bundles.book, self.bundles.memory.words[0]
        words.check_code = check_book(book)
        words.state_hash, words.verified_sequence = state_hash(book), book.state[0].sequence
        for instrument in range(len(book.traded)):
            self.bundles.snapshots.latest[instrument].book_hash = book_hash(book, instrument)
        words.verified = request

    def hash(self, request: int) -> None:
        """Hash the state for the keeper, which compares it with its own when it has come as far."""
        book, words = self.bundles.book, self.bundles.memory.words[0]
        words.hash_sequence = book.state[0].sequence
        words.hash = state_hash(book)
        words.hash_request = request

    def _drain(self) -> None:
        """Until nothing is left in the lanes, and all that was taken is answered. Answers that wait for a keeper's disk need a living keeper."""
        memory, policy = self.bundles.memory, self.bundles.policy._replace(slice_ns=0)
        before = -1
        while memory.words[0].log_tail != before or memory.private[0].applied < memory.words[0].log_tail:
            before = int(memory.words[0].log_tail)
            self._slice(policy)
            if memory.private[0].applied < before and not self._segment.keeper_alive:
                return

    def _slice(self, policy: Policy) -> int:
        plain = self._plain
        return int(run_slice(plain.memory, policy, plain.book, plain.outputs, plain.log, plain.snapshots))


def serve(segment: Segment, *, standby: bool, now_matching: Callable[[], None]) -> None:
    """Match until SIGTERM or the stop word; SIGINT belongs to whoever sits at the terminal. Once we are the matcher, `now_matching` is called."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    started = time.monotonic()
    rehearse()
    _log.info("kernels loaded in %.2f s", time.monotonic() - started)
    if standby:
        _say(standby=True)
        segment.await_lock(MATCHER_BYTE)
        if segment.array("matcher")[0].state == MATCHER_STOPPED or segment.array("control")[0].stop:
            return
    matcher = MatcherProcess(segment)
    now_matching()
    signal.signal(signal.SIGTERM, matcher.ask_to_stop)
    matcher.announce()
    _say(ready=True)
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    matcher.run()
    _log.info("stopped after %d commands", matcher.bundles.memory.counters[0].commands)


def _say(**words: bool) -> None:
    """One line to whoever started us, who may be gone."""
    with suppress(BrokenPipeError):
        sys.stdout.write(json.dumps(words | {"pid": os.getpid()}) + "\n")
        sys.stdout.flush()


def refuse_interpreted() -> None:
    """A matcher without compiled kernels would not be atomic."""
    if INTERPRETED:
        raise ExchangeError("NUMBA_DISABLE_JIT is set: interpreted kernels are for tests of the pure rooms; unset it to run an exchange")
