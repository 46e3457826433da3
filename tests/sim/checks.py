"""After every step of a simulated exchange: what its memory shows, against the truth. One kernel, so that it costs microseconds.

It looks at the memory as anybody could who has it mapped: numbers in slots, tails, heads, the log ring, the keeper's words.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from shm_exchange._jit import inlined, kernel
from shm_exchange.domain.enums import CommandKind, JournalMode
from shm_exchange.domain.limits import POSITION_BITS
from shm_exchange.layout.headers import PRICE_LEVEL, SNAPSHOT
from shm_exchange.shm.segment import Segment
from shm_exchange.snapshot.slots import Snapshots, read_snapshot
from tests.sim.truth import COMMANDS_MAX, Truth, digest_of_snapshot

_WORDS = 8
_POSITION_MASK = (1 << POSITION_BITS) - 1
WRONG = (
    "",
    "the log went back",
    "a log record changed while it was neither archived nor done with",
    "the log holds what is no command of any lane",
    "the positions of a lane are not consecutive in the log: a command is missing, or there twice",
    "the log holds what nobody has submitted",
    "a command is not the one that was submitted at its position",
    "a lane's head is beyond what the log has of it",
    "an event is out whose command is not in the log",
    "an event is not what a clean replay says",
    "the events' tail went back, or is beyond what the log leads to",
    "an event is gone that no batch could have overwritten",
    "a report is out whose command is not in the log",
    "a report is not what a clean replay says",
    "the tail of a session's reports went back, or is beyond what the log leads to",
    "a report was lost, or came although it was said to be skipped",
    "something was said before it was durable",
    "what counts as done is not out",
    "a word of the keeper is beyond the log",
)


class Shown(NamedTuple):
    """The shared memory as read-only arrays; records as words where they are compared."""

    words: np.ndarray  # MATCHER[1]
    counters: np.ndarray  # COUNTERS[1]
    keeper: np.ndarray  # KEEPER[1]
    tails: np.ndarray  # REPORT_TAIL[sessions + 1]
    lane_heads: np.ndarray  # LANE_HEAD[sessions + 1]
    report_heads: np.ndarray  # REPORT_HEAD[sessions]
    reports: np.ndarray  # u8
    events: np.ndarray  # u8
    log: np.ndarray  # u8


class Told(NamedTuple):
    """The truth, and what was seen so far; all private. Arrays as of `Truth`, records as words."""

    history: np.ndarray
    submitted: np.ndarray
    begun: np.ndarray
    events: np.ndarray
    reports: np.ndarray
    events_after: np.ndarray
    reports_after: np.ndarray
    expected: np.ndarray  # i8[sessions + 1], next position of each lane in the log
    seen: np.ndarray  # u1[(sessions + 1) * reports], 1 = the report was out
    unseen: np.ndarray  # i8[sessions + 1], reports below the tail that never were
    report_tails: np.ndarray  # i8[sessions + 1]
    watch: np.ndarray  # WATCH[1]


WATCH = np.dtype(
    [
        ("tail", "i8"),
        ("floor", "i8"),  # so many commands have an output that can be seen, or come before one that has
        ("first", "i8"),  # where the term began
        ("first_event", "i8"),
        ("event_tail", "i8"),
        ("has_journal", "i8"),
        ("answers_wait", "i8"),
        ("within_stores", "i8"),  # 1 = death may fall between the count of skipped reports and the tail, and then some count twice
        ("session", "i8"),  # where something is wrong
        ("number", "i8"),
    ]
)


@inlined
def _same(some, index, others, other_index, first):
    """Whether two records of eight words are equal from word `first` on."""
    equal = True
    for word in range(first, _WORDS):
        equal &= some[index * _WORDS + word] == others[other_index * _WORDS + word]
    return equal


@kernel
def look_at_log(shown, told):
    """Take over what is new in the log; 0 or an index into WRONG."""
    watch, tail = told.watch[0], shown.words[0].log_tail
    capacity = len(shown.log) // _WORDS
    if tail < watch.tail:
        return 1
    done = shown.counters[0].commands
    free = min(done, shown.keeper[0].archived) if watch.has_journal else done
    for number in range(max(watch.first, tail - capacity, free), watch.tail):
        if not _same(shown.log, number & (capacity - 1), told.history, number, 0):
            watch.number = number
            return 2
    for number in range(watch.tail, tail):
        watch.number = number
        for word in range(_WORDS):
            told.history[number * _WORDS + word] = shown.log[(number & (capacity - 1)) * _WORDS + word]
        command_id = np.int64(told.history[number * _WORDS])
        session, position = command_id >> POSITION_BITS, command_id & _POSITION_MASK
        if session == 0:
            if command_id != number or told.history[number * _WORDS + 5] & 0xFF != CommandKind.ADMIT:
                return 3
            continue
        watch.session = session
        if not 0 < session < len(told.begun):
            return 3
        if position != told.expected[session]:
            return 4
        told.expected[session] += 1
        if position >= told.begun[session]:
            return 5
        for word in range(1, _WORDS - 1):
            if told.history[number * _WORDS + word] != told.submitted[(session * COMMANDS_MAX + position) * _WORDS + word]:
                return 6
    watch.tail = tail
    for owner in range(1, len(told.expected)):
        if shown.lane_heads[owner].head > told.expected[owner]:
            watch.session = owner
            return 7
    if shown.keeper[0].archived > tail or shown.keeper[0].durable > tail:
        return 18
    return 0


@inlined
def _look_at_events(shown, told):
    """The newest event that is out, or minus an index into WRONG."""
    watch, words = told.watch[0], shown.words[0]
    capacity = len(shown.events) // _WORDS
    behind, newest = told.events_after[watch.tail], words.event_tail - 1
    for slot in range(capacity):
        number = np.int64(shown.events[slot * _WORDS])
        if number == 0:
            continue
        watch.number = number
        newest = max(newest, number)
        if number >= behind or number < watch.first_event or number & (capacity - 1) != slot:
            return -8
        if not _same(shown.events, slot, told.events, number, 1):
            return -9
    if words.event_tail < watch.event_tail or words.event_tail > behind:
        return -10
    watch.event_tail = words.event_tail
    batch = min(watch.tail, shown.counters[0].commands + capacity // 2) if watch.answers_wait else watch.tail
    for safe in range(max(watch.first_event, told.events_after[batch] - capacity), words.event_tail):
        if np.int64(shown.events[(safe & (capacity - 1)) * _WORDS]) != safe:
            watch.number = safe
            return -11
    return newest


@inlined
def _look_at_reports(shown, told, session):
    """The newest report of a session that is out, or minus an index into WRONG."""
    watch, sessions = told.watch[0], len(told.begun) - 1
    capacity, most = len(shown.reports) // _WORDS // sessions, len(told.reports) // _WORDS // sessions
    behind = told.reports_after[watch.tail * (sessions + 1) + session]
    head, tail = shown.report_heads[session - 1].head, shown.tails[session].tail
    newest = tail - 1
    watch.session = session
    for slot in range(capacity):
        number = np.int64(shown.reports[((session - 1) * capacity + slot) * _WORDS])
        if number == 0 or number < head:
            continue
        watch.number = number
        newest = max(newest, number)
        if number >= behind or number & (capacity - 1) != slot:
            return -12
        if not _same(shown.reports, (session - 1) * capacity + slot, told.reports, (session - 1) * most + number, 1):
            return -13
        if number < told.report_tails[session] and told.seen[session * most + number] == 0:
            return -15
        told.seen[session * most + number] = 1
    if tail < told.report_tails[session] or tail > behind:
        return -14
    for said in range(told.report_tails[session], tail):
        told.unseen[session] += 1 - told.seen[session * most + said]
    told.report_tails[session] = tail
    extra = shown.tails[session].skipped - told.unseen[session]
    if extra < 0 or (extra > 0 and not watch.within_stores):
        return -15
    return newest


@kernel
def look_at_outputs(shown, told):
    """Everything that can be seen of events and reports; 0 or an index into WRONG. The truth is as far as the log."""
    watch, stride = told.watch[0], len(told.begun)
    newest = _look_at_events(shown, told)
    if newest < 0:
        return -newest
    floor, done = watch.floor, shown.counters[0].commands
    while told.events_after[floor] <= newest:
        floor += 1
    for session in range(1, stride):
        newest = _look_at_reports(shown, told, session)
        if newest < 0:
            return -newest
        while told.reports_after[floor * stride + session] <= newest:
            floor += 1
        if done > watch.first and told.report_tails[session] < told.reports_after[done * stride + session]:
            return 17
    watch.floor = floor
    if done > watch.tail or (done > watch.first and shown.words[0].event_tail < told.events_after[done]):
        return 17
    if watch.answers_wait and max(floor, done) > max(shown.keeper[0].durable, watch.first):
        watch.number = max(floor, done)
        return 16
    return 0


class Checker:
    """Looks at the memory of one term. Raises AssertionError."""

    def __init__(self, segment: Segment, truth: Truth) -> None:
        self._truth, self._sessions = truth, segment.config.max_sessions
        plain = {
            name: segment.array(name).view(np.ndarray) for name in ("matcher", "counters", "keeper", "report_tails", "lane_heads", "report_head")
        }
        rings = (segment.array(name).view(np.ndarray).view(np.uint64) for name in ("reports", "events", "log"))
        self.shown = Shown(*plain.values(), *rings)
        self._snapshots = Snapshots(*(segment.array(name).view(np.ndarray) for name in ("snapshot_latest", "snapshots", "snapshot_levels")))
        self._versions = [0] * len(segment.config.instruments)
        self._head, self._levels = np.zeros(1, SNAPSHOT), np.zeros(2 * segment.config.depth, PRICE_LEVEL)
        first = truth.sequence
        watch = np.zeros(1, WATCH)
        mode = segment.journal.mode
        watch["tail"] = watch["floor"] = watch["first"] = first
        watch["first_event"] = watch["event_tail"] = truth.marks.events[first]
        watch["has_journal"], watch["answers_wait"] = mode is not JournalMode.OFF, mode in (JournalMode.GROUP, JournalMode.SYNC)
        self._next_reports = np.array([truth.next_report(first, session) for session in range(self._sessions + 1)])
        self._watch = watch
        self._begun = False
        self._looked_at: list[int] = []

    def _told(self) -> Told:
        truth, sessions = self._truth, self._sessions
        outputs, marks = truth.outputs, truth.marks
        return Told(
            history=truth.history.view(np.uint64),
            submitted=truth.submitted.view(np.uint64),
            begun=truth.begun,
            events=outputs.events.view(np.uint64),
            reports=outputs.reports.view(np.uint64),
            events_after=marks.events,
            reports_after=marks.reports,
            expected=truth.book.sessions["position"].copy(),
            seen=np.zeros((sessions + 1) * (len(outputs.reports) // sessions), np.uint8),
            unseen=np.zeros(sessions + 1, np.int64),
            report_tails=self._next_reports,
            watch=self._watch,
        )

    def look(self) -> None:
        """Look at everything, once a matcher has set its words for the first time."""
        if not self._begun:
            if not self.shown.words["lives"][0]:
                return
            self._begun, self._all = True, self._told()
        self._expect(look_at_log(self.shown, self._all))
        self._truth.follow(int(self._watch["tail"][0]))
        self._expect(look_at_outputs(self.shown, self._all))
        seen = [self.floor, *self._snapshots.latest["version"].tolist()]
        if seen == self._looked_at:
            return
        self._looked_at = seen
        for instrument in range(len(self._versions)):
            self._look_at_snapshot(instrument)

    @property
    def floor(self) -> int:
        """So many commands can be known by their outputs."""
        return int(self._watch["floor"][0])

    def _expect(self, code: int) -> None:
        if code:
            watch = self._watch[0]
            raise AssertionError(f"{WRONG[code]} (session {watch['session']}, number {watch['number']}, log {watch['tail']})")

    def _look_at_snapshot(self, instrument: int) -> None:
        """I7: whole, the book at its event number, never older than before nor than what is out."""
        head, marks, count = self._head, self._truth.marks, len(self._versions)
        tries = read_snapshot(self._snapshots, instrument, head, self._levels)
        assert tries == 1 or not self._versions[instrument], "a snapshot cannot be read although nobody writes"
        if tries == 0:
            assert self.floor == self._watch["first"][0], f"something is out, and there is no snapshot of instrument {instrument}"
            return
        version, event = int(head["stamp"][0]), int(head["event_number"][0])
        assert version >= self._versions[instrument], f"the snapshot of instrument {instrument} went back"
        self._versions[instrument] = version
        known = marks.events[: self._truth.sequence + 1]
        number = int(np.searchsorted(known, event + 1))
        assert number < len(known), f"the snapshot of instrument {instrument} contains event {event}, which the log does not lead to"
        assert known[number] == event + 1, f"the snapshot of instrument {instrument} ends within a command, at event {event}"
        digest = digest_of_snapshot(head, self._levels)
        assert digest == marks.tops[number * count + instrument], f"the snapshot of instrument {instrument} is not the book at event {event}"
        is_new = event + 1 >= known[self.floor] or digest == marks.tops[self.floor * count + instrument]
        assert is_new, f"the snapshot of instrument {instrument} at event {event} is older than what is out"
