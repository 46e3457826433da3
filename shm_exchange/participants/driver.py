"""The loop of a spawned gateway, as a kernel in bounded slices: make what is due, submit it, take what was answered, and time it.

    made ──▶ pending ──▶ lane …… matcher …… report ring ──▶ taken
    planned[id]          sent[id]                           latency = seen - planned,  service = seen - sent

Answers come in the order of our commands, so a command is answered by the first report whose cause is it. Stamps lie in rings by lane position, as
long as everything that can be under way. Where nothing is to do it waits as everybody here waits: spin, yield, park.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from shm_exchange._intrinsics import load_relaxed, monotonic_ns, pause, yield_core
from shm_exchange._jit import inlined, kernel
from shm_exchange.client.waiting import park_for_report
from shm_exchange.domain.enums import EventKind
from shm_exchange.domain.limits import POSITION_BITS
from shm_exchange.layout.headers import lines
from shm_exchange.participants.book_flows import make_command
from shm_exchange.participants.histogram import observe
from shm_exchange.participants.ledger import Ledger, fold_fills
from shm_exchange.participants.pacer import advance, overdue
from shm_exchange.participants.settle import settle
from shm_exchange.ring.lane import submit_many
from shm_exchange.ring.reports import acknowledge, take_reports

SLICE_OVER, FINISHED, LOST = 0, 1, 2
BATCH = 64
SLICE_NS = 5_000_000
"""Signals and the death of the matcher are looked at in between."""
GRACE_NS = 2_000_000_000
"""How long after its end a run waits for answers."""
FOR_EVER = 1 << 62
_PAUSES, _YIELDS = 16, 100

DRIVER = lines(
    ("flow", "i8"),  # FlowKind
    ("wanted", "i8"),  # commands to make in all
    ("made", "i8"),
    ("end_ns", "i8"),  # nothing is made from here on
    ("closed", "i8"),  # 1: the last command was made
    ("pending", "i8"),  # made and not in the lane yet …
    ("first", "i8"),  # … from this index of the batch
    ("next_send", "i8"),  # id of the next command to submit
    ("next_answer", "i8"),  # id of the oldest command without an answer
    ("idle", "i8"),  # looks in vain since something moved
)


class Buffers(NamedTuple):
    """Private memory of the loop. Ring sizes are powers of two."""

    commands: np.ndarray  # COMMAND[BATCH]
    words: np.ndarray  # the same memory as COMMAND_WORDS
    reports: np.ndarray  # REPORT[BATCH]
    planned: np.ndarray  # i8[window], ns, by lane position
    sent: np.ndarray  # i8[window]


class Recording(NamedTuple):
    """Our record, in shared memory."""

    parent: np.ndarray  # PARENT[1]
    row: np.ndarray  # ROW[1]
    latency: np.ndarray  # i8[BUCKETS]
    service: np.ndarray  # i8[BUCKETS]
    ledger: Ledger


class Waiting(NamedTuple):
    """What a waiting gateway looks at."""

    parked: np.ndarray  # PARKED[1] of the session
    control: np.ndarray  # CONTROL[1]


class Driving(NamedTuple):
    """Where a run stands."""

    driver: np.ndarray  # DRIVER[1]
    pacer: np.ndarray  # PACER[1]


@inlined
def _answered(own, buffers, recording, cause_id, seen_ns):
    """The answer to one of our commands: time it."""
    row, at = recording.row[0], cause_id & (len(buffers.planned) - 1)
    latency, service = seen_ns - buffers.planned[at], seen_ns - buffers.sent[at]
    observe(recording.latency, latency)
    observe(recording.service, service)
    row.latency_max = max(row.latency_max, latency)
    row.service_max = max(row.service_max, service)
    row.answered += 1
    row.ended_ns = seen_ns
    own.next_answer = cause_id + 1


@inlined
def _take(own, portfolio, buffers, rings, recording):
    """Take reports; returns how many, or -1 when some were lost."""
    _, reader, reports, tail, head = rings
    count = take_reports(reader, reports, tail, buffers.reports)
    if count == 0:
        if reader[0].lost_first == 0:
            return 0
        recording.row[0].reports_lost += reader[0].lost_last - reader[0].lost_first + 1
        return -1
    fold_fills(recording.ledger, buffers.reports[:count])  # before they are acknowledged: else a kill between the two would lose them
    acknowledge(reader, head)
    seen_ns = monotonic_ns()
    row, lane = recording.row[0], own.next_answer >> POSITION_BITS
    for index in range(count):
        report = buffers.reports[index]
        if report.kind == EventKind.EXECUTED:
            row.fills += 1
        elif report.cause_id >= own.next_answer and report.cause_id >> POSITION_BITS == lane:
            _answered(own, buffers, recording, report.cause_id, seen_ns)
            if report.kind == EventKind.REJECTED:
                row.rejected += 1
    row.misfits += settle(portfolio, buffers.reports[:count], seen_ns)
    return count


@inlined
def _make_due(own, pacer, portfolio, reading, buffers, now_ns):
    """Make the commands that are due by now, as far as one batch, the window and the flow allow."""
    tally, window, count = portfolio.tally[0], len(buffers.planned), 0
    while count < BATCH and own.made < own.wanted:
        planned_ns = now_ns if pacer.gap_ns == 0 else pacer.next_ns
        if planned_ns > now_ns or planned_ns >= own.end_ns:
            break
        command_id = tally.next_id
        if command_id - own.next_answer >= window:
            break
        if make_command(own.flow, portfolio, reading, buffers.commands[count : count + 1], planned_ns) == 0:
            break
        buffers.planned[command_id & (window - 1)] = planned_ns
        own.made += 1
        count += 1
        if pacer.gap_ns > 0:
            advance(pacer)
    own.first, own.pending = 0, count


@inlined
def _submit(own, buffers, rings, recording):
    """Put what is pending into the lane; returns how many went in."""
    row, window = recording.row[0], len(buffers.sent)
    now_ns = monotonic_ns()
    count = submit_many(rings[0], buffers.words[own.first : own.first + own.pending], 0)
    for index in range(count):
        buffers.sent[(own.next_send + index) & (window - 1)] = now_ns
    row.sent += count
    if count < own.pending:
        row.lane_full += 1
    own.next_send += count
    own.first += count
    own.pending -= count
    return count


@inlined
def _close(own, pacer, recording, now_ns):
    """When all was made, or time is over: what was due and is not in the lane is dropped."""
    if now_ns < own.end_ns and (own.made < own.wanted or own.pending > 0):
        return
    own.closed = 1
    recording.row[0].dropped += own.pending + min(overdue(pacer, own.end_ns), own.wanted - own.made)
    own.pending = 0


@inlined
def _wait(own, pacer, rings, waiting, now_ns, until_ns):
    """Nothing moved: spin where processes have cores of their own, else yield, then sleep until a report comes or a command is due."""
    own.idle += 1
    if load_relaxed(waiting.control[0], "spin_polls") != 0:
        for _ in range(_PAUSES):
            pause()
    elif own.idle < _YIELDS:
        yield_core()
    else:
        due_ns = pacer.next_ns if pacer.gap_ns > 0 and own.closed == 0 and pacer.next_ns > now_ns else until_ns
        _, reader, reports, tail, _head = rings
        park_for_report(reader, reports, tail, waiting.parked, max(0, min(due_ns, until_ns) - now_ns))


@kernel
def drive_slice(driving, portfolio, reading, buffers, rings, recording, waiting):
    """Send and take for one slice. Returns SLICE_OVER, FINISHED when all is answered (or GRACE_NS after the end), LOST when reports were skipped.

    rings: Gateway.rings().
    """
    own, pacer = driving.driver[0], driving.pacer[0]
    now_ns = monotonic_ns()
    until_ns = now_ns + SLICE_NS
    if load_relaxed(recording.parent[0], "stop") != 0:
        own.end_ns = min(own.end_ns, now_ns)
    while True:
        moved = _take(own, portfolio, buffers, rings, recording)
        if moved < 0:
            return LOST
        now_ns = monotonic_ns()
        if own.closed == 0:
            if own.pending == 0:
                _make_due(own, pacer, portfolio, reading, buffers, now_ns)
            if own.pending > 0:
                moved += _submit(own, buffers, rings, recording)
            _close(own, pacer, recording, now_ns)
        elif own.next_answer >= own.next_send or now_ns > own.end_ns + GRACE_NS:
            return FINISHED
        if now_ns > until_ns:
            return SLICE_OVER
        if moved > 0:
            own.idle = 0
        else:
            _wait(own, pacer, rings, waiting, now_ns, until_ns)
