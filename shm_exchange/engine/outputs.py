"""What the engine says: reports to sessions and events to everybody, written straight into their rings behind the published tails.

Nobody can see a slot before its number is stored, which the publisher does after the whole batch (`ring.publish`). An event slot may still be under
the eyes of a reader that was lapped, so its number is taken away first: number := 0, release fence (A), payload. (A) pairs with the acquire
fence (B) between copy and second look in `ring.broadcast`. A report slot is free (below the reader's head) or is not written at all: the number
is then skipped, the session learns it from the tail, and nothing else changes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from shm_exchange._intrinsics import fence_release, load_acquire, load_relaxed, prefetch, record_at, store_relaxed
from shm_exchange._jit import inlined, kernel
from shm_exchange.domain.config import ExchangeConfig
from shm_exchange.domain.enums import CommandKind, EventKind, Role
from shm_exchange.layout.headers import REPORT_HEAD
from shm_exchange.layout.records import EVENT, REPORT

SESSION_OUTPUT = np.dtype(
    [
        ("limit", "i8"),  # first report number whose slot is not free: the reader's head + capacity
        ("unpublished", "i8"),  # first report number that is not out yet
        ("skipped", "i8"),  # reports for which there was no slot
        ("capacity", "i8"),  # slots of the session's ring
        ("first_slot", "i8"),  # where that ring begins among all reports
        ("skipping", "i8"),  # 1 from the first report of a batch without a slot until the batch is published
        ("_reserved", "u1", (16,)),
    ]
)
OUTPUT_STATE = np.dtype([("touched", "i8"), ("events_unpublished", "i8")])


SILENT_SLOTS = 64
"""More than SLOTS_AHEAD, and so few that they stay in the cache."""
SLOTS_AHEAD = 16
"""How far ahead an output slot is asked for: its line was last in a reader's cache, and must come back before it can be written."""


class Outputs(NamedTuple):
    """Where outputs go. The first two may be shared memory; the rest is the matcher's own."""

    reports: np.ndarray  # REPORT[sessions * report_capacity]; session s from (s - 1) * capacity
    events: np.ndarray  # EVENT[event_capacity]
    sessions: np.ndarray  # SESSION_OUTPUT[sessions + 1]
    heads: np.ndarray  # i8[sessions + 1], address of each session's REPORT_HEAD; 0 = nobody reads
    touched: np.ndarray  # i8[sessions + 1], sessions with unpublished reports
    state: np.ndarray  # OUTPUT_STATE[1]


class Subject(NamedTuple):
    """Whose order an output is about. The ladder says instrument and side."""

    order_id: int
    client_order_id: np.uint64
    session: int
    account: int
    ladder: int


class Fact(NamedTuple):
    """What happened, why, in which role, and caused by what."""

    kind: int
    reason: int
    role: int
    cause_id: int


class Amounts(NamedTuple):
    """At what price, how much, and how much is left."""

    price_ticks: int
    quantity: int
    leaves_quantity: int


class Echo(NamedTuple):
    """The words of a command that its answer repeats as they stood."""

    order_id: int
    client_order_id: np.uint64
    price_ticks: int
    quantity: int
    side: int
    instrument: int


def new_outputs(config: ExchangeConfig, reports: np.ndarray, events: np.ndarray, heads: np.ndarray | None = None) -> Outputs:
    """Outputs into the given rings, with all report slots free. Without the addresses of heads nobody reads."""
    capacity = len(reports) // config.max_sessions
    outputs = Outputs(
        reports,
        events,
        np.zeros(config.max_sessions + 1, SESSION_OUTPUT).view(np.recarray),
        np.zeros(config.max_sessions + 1, np.int64) if heads is None else heads,
        np.zeros(config.max_sessions + 1, np.int64),
        np.zeros(1, OUTPUT_STATE).view(np.recarray),
    )
    outputs.sessions["unpublished"] = 1
    outputs.sessions["limit"] = 1 + capacity
    outputs.sessions["capacity"] = capacity
    outputs.sessions["first_slot"] = (np.arange(config.max_sessions + 1) - 1) * capacity
    outputs.state["events_unpublished"] = 1
    return outputs


def private_outputs(config: ExchangeConfig) -> Outputs:
    """Outputs into memory of this process alone."""
    reports = np.zeros(config.max_sessions * config.report_capacity, REPORT).view(np.recarray)
    return new_outputs(config, reports, np.zeros(config.event_capacity, EVENT).view(np.recarray))


def silent_outputs(config: ExchangeConfig) -> Outputs:
    """Outputs that are dropped: reports find no room, and events go round in a few slots that nobody reads."""
    reports = np.zeros(config.max_sessions, REPORT).view(np.recarray)
    outputs = new_outputs(config, reports, np.zeros(SILENT_SLOTS, EVENT).view(np.recarray))
    outputs.sessions["limit"] = 0
    outputs.sessions["unpublished"] = 0
    return outputs


@inlined
def slot_of(output, number):
    """Index of a report's slot among all reports; `output`: the session's SESSION_OUTPUT."""
    return output.first_slot + (number & (output.capacity - 1))


@kernel
def refresh_limit(outputs, session):
    """Learn how far a session has read; returns how many of its published reports are still unread.

    The head is a word of the gateway: whatever it says, no slot is written twice before the head passes it, so a lie harms only the liar.
    """
    output = outputs.sessions[session]
    if outputs.heads[session] != 0:
        head = load_acquire(record_at(outputs.heads[session], REPORT_HEAD), "head")
        output.limit = min(max(head, output.limit - output.capacity), output.unpublished) + output.capacity
    return output.unpublished - (output.limit - output.capacity)


@kernel
def is_abandoned(outputs, session):
    """Whether whoever took a dead session's lock says that nobody will read: its reports may be skipped, since they can be derived."""
    return outputs.heads[session] != 0 and load_relaxed(record_at(outputs.heads[session], REPORT_HEAD), "abandoned") != 0


@inlined
def _next_report(book, outputs, session):
    """Number a report and find its slot; -1 when there is none."""
    record = book.sessions[session]
    number = record.next_report
    record.next_report = number + 1
    output = outputs.sessions[session]
    if number == output.unpublished:
        state = outputs.state[0]
        outputs.touched[state.touched] = session
        state.touched += 1
    if number >= output.limit:
        # Behind a skipped report the rest of the batch is skipped too, or publishing would number slots that were not written.
        if output.skipping == 0:
            refresh_limit(outputs, session)
        if number >= output.limit:
            output.skipping = 1
            output.skipped += 1
            return -1
    prefetch(outputs.reports, slot_of(output, number + SLOTS_AHEAD))
    return slot_of(output, number)


@inlined
def emit_report(book, outputs, subject, fact, amounts):
    """Write one report to the session of `subject`."""
    place = _next_report(book, outputs, subject.session)
    if place < 0:
        return
    report = outputs.reports[place]
    report.order_id = subject.order_id
    report.client_order_id = subject.client_order_id
    report.cause_id = fact.cause_id
    report.price_ticks = amounts.price_ticks
    report.quantity = amounts.quantity
    report.leaves_quantity = amounts.leaves_quantity
    report.kind = fact.kind
    report.reason = fact.reason
    report.side = (subject.ladder & 1) + 1
    report.role = fact.role
    report.instrument = subject.ladder >> 1
    report.account = subject.account


@inlined
def emit_event(book, outputs, subject, kind, reason, resting_order_id, price_ticks, quantity):
    """Write one event; returns its number."""
    state = book.state[0]
    number = state.next_event
    state.next_event = number + 1
    event = outputs.events[number & (len(outputs.events) - 1)]
    prefetch(outputs.events, (number + SLOTS_AHEAD) & (len(outputs.events) - 1))
    store_relaxed(event, "number", 0)
    fence_release()  # (A) pairs with (B) in ring.broadcast: who copies our payload sees that the old number is gone
    store_relaxed(event, "sequence", state.sequence)
    store_relaxed(event, "time_ns", state.time_ns)
    store_relaxed(event, "order_id", subject.order_id)
    store_relaxed(event, "resting_order_id", resting_order_id)
    store_relaxed(event, "price_ticks", price_ticks)
    store_relaxed(event, "quantity", quantity)
    event.kind = kind
    event.reason = reason
    event.side = (subject.ladder & 1) + 1
    event.order_type = 0
    event.instrument = subject.ladder >> 1
    event.account = subject.account
    return number


@inlined
def tell(book, outputs, subject, kind, reason, price_ticks, quantity, leaves_quantity):
    """One report to the owner of the order and one event, of the same fact."""
    emit_event(book, outputs, subject, kind, reason, 0, price_ticks, quantity)
    emit_report(book, outputs, subject, Fact(kind, reason, 0, book.state[0].command_id), Amounts(price_ticks, quantity, leaves_quantity))


@inlined
def tell_match(book, outputs, incoming, resting, price_ticks, quantity, incoming_leaves, resting_leaves):
    """One EXECUTED event and a report to each side; returns the match id."""
    match_id = emit_event(book, outputs, incoming, EventKind.EXECUTED, 0, resting.order_id, price_ticks, quantity)
    emit_report(book, outputs, resting, Fact(EventKind.EXECUTED, 0, Role.RESTING, match_id), Amounts(price_ticks, quantity, resting_leaves))
    emit_report(book, outputs, incoming, Fact(EventKind.EXECUTED, 0, Role.INCOMING, match_id), Amounts(price_ticks, quantity, incoming_leaves))
    book.state[0].trades += 1
    return match_id


@inlined
def echo_of(record, command_id):
    """What a report about a command repeats of it. An ENTER is known by the order id it would have had."""
    order_id = command_id if record.kind == CommandKind.ENTER else record.order_id
    return Echo(order_id, record.client_order_id, record.price_ticks, record.quantity, np.int64(record.side), np.int64(record.instrument))


@inlined
def answer(book, outputs, session, kind, reason, echo):
    """A report to the commanding session that is about no order."""
    place = _next_report(book, outputs, session)
    if place < 0:
        return
    report = outputs.reports[place]
    report.order_id = echo.order_id
    report.client_order_id = echo.client_order_id
    report.cause_id = book.state[0].command_id
    report.price_ticks = echo.price_ticks
    report.quantity = echo.quantity
    report.leaves_quantity = 0
    report.kind = kind
    report.reason = reason
    report.side = echo.side
    report.role = 0
    report.instrument = echo.instrument
    report.account = book.sessions[session].account


@kernel
def reject(book, outputs, session, reason, record):
    """Refuse a command; nothing else changes."""
    book.state[0].rejects += 1
    answer(book, outputs, session, EventKind.REJECTED, reason, echo_of(record, book.state[0].command_id))
