"""A matcher on memory that had one before: the book is rebuilt from the log, every lane goes on, and exactly what was not out yet is published.

    published   every output of a command below it is out: stored last in a batch (COUNTERS.commands)
    gate        commands below it may be applied: log.tail, or log.durable where answers wait for the disk
    tail        commands below it are in the log, whatever became of their lane's head

         checkpoint      files       │ log ring     published          gate         tail
    ──────────┴──────────────────────┴────────────────┴────────────────┴────────────┴───▶ log numbers
              └── applied, outputs dropped ───────────┘└─ redone ──────┘└─ positions ┘

The dead matcher may have published a part of one batch. That batch is redone into private rings, because a slot of a number below its tail may be
under a reader's eyes; then only what lies behind the tails is copied into the shared rings, and published as ever. What it had written behind the
tails is written again with the same bytes, since outputs are functions of the log alone (I5).
"""

from __future__ import annotations

import os
from typing import NamedTuple

import numpy as np

from shm_exchange._intrinsics import exchange, fence_release, futex_wake, store_relaxed, store_release
from shm_exchange._jit import inlined, kernel
from shm_exchange.domain.enums import CommandKind
from shm_exchange.domain.errors import ExchangeRunning
from shm_exchange.domain.limits import CACHE_LINE, POSITION_BITS
from shm_exchange.engine.apply import Log, apply
from shm_exchange.engine.book import Book, new_book
from shm_exchange.engine.ladder import mark_changed
from shm_exchange.engine.outputs import Outputs, refresh_limit, silent_outputs, slot_of
from shm_exchange.matcher.memory import MatcherMemory, Policy
from shm_exchange.matcher.step import publish
from shm_exchange.ring.publish import publish_session
from shm_exchange.shm.segment import Segment
from shm_exchange.snapshot.slots import Snapshots

_POSITION_MASK = (1 << POSITION_BITS) - 1


class Past(NamedTuple):
    """How far the exchange had come, in log numbers: see above."""

    published: int
    gate: int
    tail: int


def begin_life(memory: MatcherMemory, book: Book) -> None:
    """Set the matcher's words to the beginning of a term, if nobody has yet: numbers go on where the term before ended."""
    words, state = memory.words[0], book.state[0]
    if words.lives == 0:
        words.log_tail = memory.counters[0].commands = state.sequence
        words.event_tail = words.first_event = state.next_event
        memory.report_tails["tail"] = book.sessions["next_report"]
        memory.lane_heads["head"] = book.sessions["position"]
    words.lives += 1


def rebuilt_book(segment: Segment, log: Log) -> Book:
    """The book as it stood when the last batch was out completely. Raises ExchangeRunning where the log is not there any more, JournalDamaged."""
    words, config = segment.array("matcher")[0], segment.config
    published = int(segment.array("counters")[0].commands) if words.lives else segment.term.first_sequence
    if segment.journal.directory:
        book = _from_files(segment, published)
    elif words.overwritten:
        raise ExchangeRunning(
            f"exchange {config.name!r} has a history of {words.log_tail:,} commands, more than its log ring holds, and no journal: its book cannot "
            f"be rebuilt; stop it with `shm-exchange stop {config.name}`, and start it with a journal (run --journal async)"
        )
    else:
        book = new_book(config, secret())
    apply(book, silent_outputs(config), log, published)
    return book


def _from_files(segment: Segment, published: int) -> Book:
    """As far as the files go: from the newest checkpoint, and the segments behind it."""
    archived = min(published, max(int(segment.array("keeper")[0].archived), segment.term.first_sequence))
    if not archived:
        return new_book(segment.config, secret())
    from shm_exchange.journal.reading import Journal
    from shm_exchange.journal.replaying import Replay

    replay = Replay(Journal(segment.journal.directory, end=archived), at_most=archived)
    replay.advance(archived)
    return replay.book


def secret() -> int:
    """What the hashes of a book are mixed with: no result depends on it."""
    return int.from_bytes(os.urandom(7), "little")


def past_of(memory: MatcherMemory, policy: Policy, outputs: Outputs) -> Past:
    """How far a dead matcher, or the term before, had come. At most one batch lies between `published` and `gate`."""
    published, tail = int(memory.counters[0].commands), int(memory.words[0].log_tail)
    gate = min(tail, max(published, int(memory.keeper[0].durable))) if policy.answers_wait else tail
    return Past(published, min(gate, published + len(outputs.events) // 2), tail)


@kernel
def _take_up_reports(memory, outputs, redone):
    """Report numbers go on at the published tails; what was never read keeps its slots, in the shared rings and in the private ones alike."""
    for session in range(1, len(outputs.sessions)):
        own, tail = outputs.sessions[session], memory.report_tails[session]
        own.unpublished, own.skipped = tail.tail, tail.skipped
        refresh_limit(outputs, session)
        redone.sessions[session].limit = own.limit


@inlined
def _copy_event(event, slot):
    """Write a redone event as the engine writes one: readers that were lapped may still look at the slot."""
    store_relaxed(slot, "number", 0)
    fence_release()  # as (A) in engine.outputs
    store_relaxed(slot, "sequence", event.sequence)
    store_relaxed(slot, "time_ns", event.time_ns)
    store_relaxed(slot, "order_id", event.order_id)
    store_relaxed(slot, "resting_order_id", event.resting_order_id)
    store_relaxed(slot, "price_ticks", event.price_ticks)
    store_relaxed(slot, "quantity", event.quantity)
    slot.kind, slot.reason, slot.side, slot.order_type = event.kind, event.reason, event.side, event.order_type
    slot.instrument, slot.account = event.instrument, event.account


@kernel
def _hand_over(book, outputs, redone):
    """Copy the redone outputs behind the tails into the shared rings, where `publish` finds them."""
    state = outputs.state[0]
    for session in range(1, len(outputs.sessions)):
        own, behind = outputs.sessions[session], book.sessions[session].next_report
        if behind > own.unpublished:
            outputs.touched[state.touched] = session
            state.touched += 1
            own.skipped += max(0, behind - max(own.limit, own.unpublished))
            for number in range(own.unpublished, min(behind, own.limit)):
                place = slot_of(own, number)
                # One that was numbered already may be under its reader's eyes; it is whole, and the same.
                if outputs.reports[place].number != number:
                    outputs.reports[place] = redone.reports[slot_of(redone.sessions[session], number)]
    behind, capacity = book.state[0].next_event, len(outputs.events)
    for number in range(max(state.events_unpublished, behind - capacity), behind):
        _copy_event(redone.events[number & (capacity - 1)], outputs.events[number & (capacity - 1)])


@kernel
def _take_up_lanes(memory, book, log, first, last):
    """Go on in every lane behind what is in the log: what is applied says the state, what is not yet says the log from `first` to `last`."""
    private = memory.private[0]
    private.admission = private.admission_wanted = book.state[0].admission
    for session in range(1, len(memory.lane_state)):
        memory.lane_state[session].position = book.sessions[session].position
        memory.lane_state[session].applied = book.sessions[session].position
    for number in range(first, last):
        record = log.records[number & (len(log.records) - 1)]
        session = record.command_id >> POSITION_BITS
        if session == 0 and record.kind == CommandKind.ADMIT:
            private.admission = private.admission_wanted = record.quantity
        elif session != 0:
            memory.lane_state[session].position = (record.command_id & _POSITION_MASK) + 1
    for session in range(1, len(memory.lane_state)):
        store_release(memory.lane_heads[session], "head", memory.lane_state[session].position)


@kernel
def _wake_everybody(memory):
    """Whoever sleeps may have been about to be woken."""
    exchange(memory.parked[0], "parked", 0)
    for session in range(1, len(memory.parked)):
        if exchange(memory.parked[session], "parked", 0) != 0:
            futex_wake(memory.parked.ctypes.data + session * CACHE_LINE)


@kernel
def _publish_everything(memory, book, outputs, snapshots):
    """All snapshots, what is behind the tails, and what is known of every session."""
    for ladder in range(len(book.ladders)):
        mark_changed(book, ladder, 0)
    publish(memory, book, outputs, snapshots)
    for session in range(1, len(outputs.sessions)):
        publish_session(book, memory.report_tails, session, outputs.sessions[session].skipped)


def recover(memory: MatcherMemory, policy: Policy, book: Book, outputs: Outputs, log: Log, snapshots: Snapshots) -> None:
    """From the state at `published` to that at the gate, with everything out. `outputs`: fresh ones over the shared rings."""
    past = past_of(memory, policy, outputs)
    redone = private_outputs_like(outputs, book)
    outputs.state["events_unpublished"] = memory.words[0].event_tail
    _take_up_reports(memory, outputs, redone)
    apply(book, redone, log, past.gate)
    _hand_over(book, outputs, redone)
    _publish_everything(memory, book, outputs, snapshots)
    memory.counters[0].reports = int((book.sessions["next_report"] - 1).sum())
    _take_up_lanes(memory, book, log, past.gate, past.tail)
    _wake_everybody(memory)


def private_outputs_like(outputs: Outputs, book: Book) -> Outputs:
    """Rings of the same sizes in private memory, behind whatever the book has put out before."""
    redone = Outputs(
        np.zeros_like(outputs.reports),
        np.zeros_like(outputs.events),
        outputs.sessions.copy(),
        np.zeros_like(outputs.heads),
        np.zeros_like(outputs.touched),
        np.zeros_like(outputs.state),
    )
    redone.sessions["unpublished"] = book.sessions["next_report"]
    redone.state["events_unpublished"] = book.state["next_event"]
    return redone
