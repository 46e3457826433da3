"""The matcher of a simulation: the product's kernels, one piece at a time, so that others run, and death comes, between any two of them.

A sweep is one kernel. What it stores for others is taken back and shown store by store: first the log records, then log.tail, then the lanes' heads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from shm_exchange.domain.errors import ExchangeRunning
from shm_exchange.engine.apply import apply
from shm_exchange.matcher.loop import gate_of
from shm_exchange.matcher.process import MatcherProcess
from shm_exchange.matcher.step import _count, _publish_accounts, _wake_parked
from shm_exchange.matcher.sweep import look_at_all, look_at_keeper, sweep
from shm_exchange.ring.publish import publish_events, publish_reports
from shm_exchange.shm.locks import MATCHER_BYTE
from shm_exchange.shm.segment import Segment
from shm_exchange.snapshot.book_top import publish_due
from tests.sim.stage import let_go

Piece = Callable[[], None]


class Matcher:
    """One matcher after the other over one segment. `step` once for each piece; `die` at any time."""

    pieces: tuple[str, ...] = ("show_accounts", "show_snapshots", "show_events", "show_reports", "finish")
    """How a batch is published, in this order."""
    stores: tuple[str, ...] = ("show_tail", "show_heads")
    """How a sweep is published, in this order."""

    def __init__(self, segment: Segment) -> None:
        self._segment = segment
        self._life: Iterator[None] | None = None
        self.given_up = ""
        """Why nobody can match any more."""

    @property
    def lives(self) -> bool:
        """Whether the byte is held."""
        return self._segment.holds(MATCHER_BYTE)

    @property
    def is_quiet(self) -> bool:
        """Whether everything in the log is applied and out."""
        return self._life is not None and bool(self.memory.counters["commands"][0] == self.memory.words["log_tail"][0])

    def step(self) -> None:
        """Start, or do the next piece."""
        if self._life is None:
            self._start()
        else:
            next(self._life)

    def die(self) -> None:
        """What is private is gone, and the kernel gives the byte to whoever asks next."""
        self._life = None
        let_go(self._segment, MATCHER_BYTE)

    def _start(self) -> None:
        try:
            self.process = MatcherProcess(self._segment)
        except ExchangeRunning as error:
            self.given_up = str(error)
            let_go(self._segment, MATCHER_BYTE)
            return
        self.process.announce()
        plain = self.process._plain
        self.memory, self.policy, self.book, self.outputs, self.log, self.snapshots = plain
        self._life = self._live()

    def _live(self) -> Iterator[None]:
        while True:
            if self.policy.has_journal:
                look_at_keeper(self.memory)
            yield from self._swept()
            yield from self._matched()
            self._answer()
            if self.is_quiet:
                look_at_all(self.memory, self.policy, self.outputs)
            yield

    def _swept(self) -> Iterator[None]:
        """A sweep, its stores one after the other."""
        words, heads = self.memory.words, self.memory.lane_heads
        before = int(words["log_tail"][0]), heads["head"].copy()
        if not sweep(self.memory, self.policy, self.outputs, self.log):
            return
        self._after = int(words["log_tail"][0]), heads["head"].copy()
        words["log_tail"], heads["head"] = before
        yield
        for name in self.stores:
            getattr(self, name)()
            yield

    def _matched(self) -> Iterator[None]:
        """A batch, as far as the gate, its publications one after the other."""
        self.private = self.memory.private
        gate = gate_of(self.memory, self.policy, self.outputs)
        if gate <= self.private["applied"][0]:
            return
        apply(self.book, self.outputs, self.log, gate)
        yield
        for name in self.pieces:
            getattr(self, name)()
            yield

    def show_tail(self) -> None:
        """The log has grown."""
        self.memory.words["log_tail"] = self._after[0]

    def show_heads(self) -> None:
        """Lanes may be filled again."""
        self.memory.lane_heads["head"] = self._after[1]

    def show_accounts(self) -> None:
        """Names of new accounts."""
        _publish_accounts(self.memory, self.book)

    def show_snapshots(self) -> None:
        """Books that have changed."""
        publish_due(self.book, self.snapshots)

    def show_events(self) -> None:
        """Events, then their tail."""
        publish_events(self.book, self.outputs, self.memory.words[0])

    def show_reports(self) -> None:
        """Reports, then their tails."""
        self._published = int(publish_reports(self.book, self.outputs, self.memory.report_tails))

    def finish(self) -> None:
        """Wake the parked, and count."""
        _wake_parked(self.memory, self.outputs)
        self.outputs.state["touched"] = 0
        _count(self.memory, self.book, self._published)

    def _answer(self) -> None:
        """Between two batches: what supervisor and keeper wish to know."""
        keeper, words = self.memory.keeper[0], self.memory.words[0]
        if keeper["hash_request"] != words["hash_request"]:
            self.process.hash(int(keeper["hash_request"]))

    def verified(self) -> tuple[int, int, int]:
        """Check the book: (code, state hash, log number)."""
        self.process.verify(int(self.memory.words["verified"][0]) + 1)
        words = self.memory.words[0]
        return int(words["check_code"]), int(words["state_hash"]), int(np.int64(self.book.state["sequence"][0]))
