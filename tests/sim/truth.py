"""What is true: one clean replay of the log, beside everything that happens, and what every command of it has led to.

The history is copied from the log ring as it grows; each command of it is applied once, in order, by nobody who ever dies. Whatever the matchers of
a simulated exchange show must be what stands here under the same number.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from shm_exchange._jit import inlined, kernel
from shm_exchange.domain.config import ExchangeConfig
from shm_exchange.engine.apply import apply, log_of
from shm_exchange.engine.book import NIL, new_book
from shm_exchange.engine.check import check_book, fold, state_hash
from shm_exchange.engine.ladder import next_level, price_of_rank, rank_of_level
from shm_exchange.engine.outputs import new_outputs
from shm_exchange.layout.records import COMMAND, EVENT, LOG_RECORD, REPORT

COMMANDS_MAX = 1 << 12
"""Of one seed, in all terms together."""
_REPORTS_MAX, _EVENTS_MAX = 1 << 13, 1 << 15


class Marks(NamedTuple):
    """How things stood after so many commands; index 0 is the beginning."""

    events: np.ndarray  # i8, next event number
    hashes: np.ndarray  # i8, state hash
    reports: np.ndarray  # i8, next report number; session s after n commands at n * (sessions + 1) + s
    tops: np.ndarray  # i8, digest of what a snapshot shows; instrument i after n commands at n * instruments + i


@inlined
def _digest_of_side(book, ladder, depth, digest):
    level_index, count = np.int64(book.ladders[ladder].best_level), 0
    while level_index != NIL and count < depth:
        digest = fold(fold(digest, price_of_rank(ladder, rank_of_level(book, level_index))), book.levels[level_index].quantity)
        level_index = next_level(book, level_index)
        count += 1
    return fold(digest, count)


@kernel
def _digest_of_book(book, instrument, depth):
    traded = book.traded[instrument]
    digest = fold(fold(fold(np.int64(1), traded.last_price_ticks), traded.last_quantity), traded.last_match_id)
    return _digest_of_side(book, 2 * instrument + 1, depth, _digest_of_side(book, 2 * instrument, depth, digest))


@kernel
def digest_of_snapshot(heads, levels):
    """The same of a snapshot that was read: SNAPSHOT[1], PRICE_LEVEL[2 * depth]."""
    head, depth = heads[0], len(levels) // 2
    digest = fold(fold(fold(np.int64(1), head.last_price_ticks), head.last_quantity), head.last_match_id)
    for level in range(head.bid_count):
        digest = fold(fold(digest, levels[level].price_ticks), levels[level].quantity)
    digest = fold(digest, head.bid_count)
    for level in range(head.ask_count):
        digest = fold(fold(digest, levels[depth + level].price_ticks), levels[depth + level].quantity)
    return fold(digest, head.ask_count)


@kernel
def follow(book, outputs, log, marks, last, depth):
    """Apply one command after the other up to log number `last`, and note how things stand; 0, or what `check_book` says."""
    state = book.state[0]
    while state.sequence < last:
        apply(book, outputs, log, state.sequence + 1)
        outputs.state[0].touched = 0
        number, stride = state.sequence, len(book.sessions)
        marks.events[number], marks.hashes[number] = state.next_event, state_hash(book)
        for session in range(stride):
            marks.reports[number * stride + session] = book.sessions[session].next_report
            outputs.sessions[session].unpublished = book.sessions[session].next_report
        for instrument in range(len(book.traded)):
            marks.tops[number * len(book.traded) + instrument] = _digest_of_book(book, instrument, depth)
        wrong = check_book(book)
        if wrong != 0:
            return wrong
    return 0


class Truth:
    """The history of one exchange and what it led to. `submitted`: per session, what its gateways put into its lane, by position."""

    def __init__(self, config: ExchangeConfig) -> None:
        self.config = config
        self.history = np.zeros(COMMANDS_MAX, LOG_RECORD)
        self.log = log_of(self.history)
        self.submitted = np.zeros((config.max_sessions + 1) * COMMANDS_MAX, COMMAND)
        self.begun = np.ones(config.max_sessions + 1, np.int64)
        """Per session: the next position that nobody has submitted."""
        self.due = np.zeros(config.max_sessions + 1, np.int64)
        """Per session: the position at which a DISCONNECT must come; 0 = none is due."""
        self.rewind(0)

    def rewind(self, end: int) -> None:
        """The commands behind log number `end` never happened."""
        config = self.config
        sessions, instruments = config.max_sessions, len(config.instruments)
        book = new_book(config, 1)
        self.book = type(book)(*(array.view(np.ndarray) for array in book))
        reports, events = np.zeros(sessions * _REPORTS_MAX, REPORT), np.zeros(_EVENTS_MAX, EVENT)
        outputs = new_outputs(config, reports, events)
        self.outputs = type(outputs)(*(array.view(np.ndarray) for array in outputs))
        sizes = (1, 1, sessions + 1, instruments)
        self.marks = Marks(*(np.zeros((COMMANDS_MAX + 1) * size, np.int64) for size in sizes))
        self.marks.events[0], self.marks.hashes[0] = 1, state_hash(self.book)
        self.marks.reports[: sessions + 1] = 1
        log = type(self.log)(*(array.view(np.ndarray) for array in self.log))
        self.plain_log = log
        assert follow(self.book, self.outputs, log, self.marks, 0, config.depth) == 0
        for instrument in range(instruments):
            self.marks.tops[instrument] = _digest_of_book(self.book, instrument, config.depth)
        self.follow(end)
        self.begun[:] = self.book.sessions["position"] if end else 1
        self.due[:] = np.where(self.book.sessions["logged_on"] != 0, self.begun, 0)

    def follow(self, last: int) -> None:
        """Apply the history up to log number `last`."""
        if last == self.sequence:
            return
        wrong = follow(self.book, self.outputs, self.plain_log, self.marks, last, self.config.depth)
        assert wrong == 0, f"the book of a clean replay is broken at number {self.sequence}: check {wrong}"
        fits = self.book.state["next_event"][0] <= _EVENTS_MAX and self.book.sessions["next_report"].max() <= _REPORTS_MAX
        assert fits, "a seed with too many outputs for its own books"

    @property
    def sequence(self) -> int:
        """How far it is."""
        return int(self.book.state["sequence"][0])

    def next_report(self, number: int, session: int) -> int:
        """Of a session, after `number` commands."""
        return int(self.marks.reports[number * (self.config.max_sessions + 1) + session])

    def note(self, session: int, commands: np.ndarray) -> None:
        """Commands of a gateway have got into its lane."""
        begin = session * COMMANDS_MAX + int(self.begun[session])
        assert self.begun[session] + len(commands) < COMMANDS_MAX, "a seed with too many commands for its own books"
        self.submitted[begin : begin + len(commands)] = commands
        self.begun[session] += len(commands)

    def last_submitted(self, session: int) -> np.ndarray:
        """The command that lies last in a lane, as an array of none or one."""
        begin = session * COMMANDS_MAX + int(self.begun[session])
        return self.submitted[begin - 1 : begin] if self.begun[session] > 1 else self.submitted[:0]
