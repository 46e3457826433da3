"""The Python around the loop: take the lock, lay the bundles over the memory, announce, slice until asked to stop.

A matcher can only begin with fresh memory: its book is private and, without a journal, cannot be rebuilt once commands were taken.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from types import FrameType
from typing import NamedTuple

import numpy as np

from shm_exchange._jit import INTERPRETED
from shm_exchange.domain.errors import ExchangeError, ExchangeRunning
from shm_exchange.engine.apply import Log, log_of
from shm_exchange.engine.book import Book, new_book
from shm_exchange.engine.check import book_hash, check_book, state_hash
from shm_exchange.engine.ladder import mark_changed
from shm_exchange.engine.outputs import Outputs, new_outputs
from shm_exchange.layout.headers import MATCHER_RUNNING, MATCHER_STOPPED
from shm_exchange.layout.regions import Writer
from shm_exchange.matcher.loop import STOP_ASKED, run_slice
from shm_exchange.matcher.memory import LANE_STATE, PRIVATE, MatcherMemory, Policy
from shm_exchange.shm.locks import MATCHER_BYTE
from shm_exchange.shm.segment import Segment
from shm_exchange.snapshot.book_top import publish_due
from shm_exchange.snapshot.slots import Snapshots

SLICE_NS = 20_000_000
YIELD_POLLS = 50
_log = logging.getLogger(__name__)


class Bundles(NamedTuple):
    """All that `run_slice` works on."""

    memory: MatcherMemory
    policy: Policy
    book: Book
    outputs: Outputs
    log: Log
    snapshots: Snapshots


def open_bundles(segment: Segment) -> Bundles:
    """Lay the matcher's bundles over a segment whose matcher byte we hold, and set every word to its beginning."""
    config = segment.config
    own = segment.writable(Writer.MATCHER)
    if own["matcher"][0].log_tail:
        raise ExchangeRunning(
            f"exchange {config.name!r} has a history of {own['matcher'][0].log_tail} commands and no journal: its book cannot be rebuilt; "
            f"stop it with `shm-exchange stop {config.name}` and start it anew"
        )
    book = new_book(config, int.from_bytes(os.urandom(7), "little"))
    outputs = new_outputs(config, own["reports"], own["events"], _addresses(segment, "report_head"))
    snapshots = Snapshots(own["snapshot_latest"], own["snapshots"], own["snapshot_levels"])
    memory = _memory(segment, own)
    own["matcher"][0].event_tail = 1
    own["report_tails"]["tail"] = 1
    own["lane_heads"]["head"] = 1
    policy = Policy(config.lane_capacity, config.sweep_budget, YIELD_POLLS, SLICE_NS)
    for ladder in range(2 * len(config.instruments)):
        mark_changed(book, ladder, 0)
    publish_due(book, snapshots)
    return Bundles(memory, policy, book, outputs, log_of(own["log"]), snapshots)


def plain_bundles(bundles: Bundles) -> Bundles:
    """The same memory as plain ndarrays: every call of a kernel recognises those 100 times faster, and `run_slice` takes forty of them."""
    memory, policy, book, outputs, log, snapshots = bundles
    return Bundles(
        MatcherMemory(*(array.view(np.ndarray) for array in memory)),
        policy,
        Book(*(array.view(np.ndarray) for array in book)),
        Outputs(*(array.view(np.ndarray) for array in outputs)),
        Log(*(array.view(np.ndarray) for array in log)),
        Snapshots(*(array.view(np.ndarray) for array in snapshots)),
    )


def _addresses(segment: Segment, name: str) -> np.ndarray:
    """Where an array of each session lies; nothing at index 0."""
    sessions = range(1, segment.config.max_sessions + 1)
    return np.array([0, *(segment.array(name, session).ctypes.data for session in sessions)], np.int64)


def _memory(segment: Segment, own: dict[str, np.recarray]) -> MatcherMemory:
    count = segment.config.max_sessions + 1
    lane_state = np.zeros(count, LANE_STATE).view(np.recarray)
    lane_state["position"] = 1
    return MatcherMemory(
        words=own["matcher"],
        counters=own["counters"],
        accounts=own["accounts"],
        lane_heads=own["lane_heads"],
        report_tails=own["report_tails"],
        control=segment.array("control"),
        activity=own["activity"],
        parked=own["parked"],
        lanes=_addresses(segment, "lane"),
        lane_state=lane_state,
        hot=np.zeros(count, np.int64),
        private=np.zeros(1, PRIVATE).view(np.recarray),
    )


class MatcherProcess:
    """One matcher over one segment. `run` returns when it was asked to stop."""

    def __init__(self, segment: Segment) -> None:
        if not segment.try_lock(MATCHER_BYTE):
            raise ExchangeRunning(f"exchange {segment.name!r} already has a living matcher")
        self._segment = segment  # the bundles hold addresses into its mapping
        self.bundles = open_bundles(segment)
        self._plain = plain_bundles(self.bundles)
        self._asked = False

    def warm(self) -> None:
        """Load or compile all kernels: one slice of no time, and one check."""
        bundles = self.bundles
        self._slice(bundles.policy._replace(slice_ns=0))
        self._verify(0)

    def announce(self) -> None:
        """Let gateways attach."""
        words = self.bundles.memory.words[0]
        words.pid = os.getpid()
        words.state = MATCHER_RUNNING

    def ask_to_stop(self, _number: int = 0, _frame: FrameType | None = None) -> None:
        """As a signal handler, or from the same thread: end after the current slice."""
        self._asked = True

    def run(self) -> None:
        """Slice until asked to stop by signal or by the supervisor's word; then drain what was submitted."""
        control, words = self.bundles.memory.control[0], self.bundles.memory.words[0]
        while not self._asked and self._slice(self.bundles.policy) != STOP_ASKED:
            if control.verify != words.verified:
                self._verify(int(control.verify))
        while words.log_tail != self._drained():
            pass
        words.state = MATCHER_STOPPED

    def _drained(self) -> int:
        """Slice once without waiting; returns where the log stood before."""
        before = int(self.bundles.memory.words[0].log_tail)
        self._slice(self.bundles.policy._replace(slice_ns=0))
        return before

    def _slice(self, policy: Policy) -> int:
        plain = self._plain
        return int(run_slice(plain.memory, policy, plain.book, plain.outputs, plain.log, plain.snapshots))

    def _verify(self, request: int) -> None:
        """Check the book, hash it, and publish the answer under the number of the request."""
        book, words = self.bundles.book, self.bundles.memory.words[0]
        words.check_code = check_book(book)
        words.state_hash = state_hash(book)
        for instrument in range(len(book.traded)):
            self.bundles.snapshots.latest[instrument].book_hash = book_hash(book, instrument)
        words.verified = request


def serve(matcher: MatcherProcess) -> None:
    """Run until SIGTERM or the stop word; SIGINT belongs to whoever sits at the terminal."""
    signal.signal(signal.SIGTERM, matcher.ask_to_stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    started = time.monotonic()
    matcher.warm()
    _log.info("kernels loaded in %.2f s", time.monotonic() - started)
    matcher.announce()
    sys.stdout.write(f'{{"ready": true, "pid": {os.getpid()}}}\n')
    sys.stdout.flush()
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    matcher.run()
    _log.info("stopped after %d commands", matcher.bundles.memory.counters[0].commands)


def refuse_interpreted() -> None:
    """A matcher without compiled kernels would not be atomic."""
    if INTERPRETED:
        raise ExchangeError("NUMBA_DISABLE_JIT is set: interpreted kernels are for tests of the pure rooms; unset it to run an exchange")
