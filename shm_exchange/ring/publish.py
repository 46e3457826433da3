"""The matcher's side of events and reports: what the engine wrote behind the tails becomes visible, in the order of the protocol.

Snapshots are out already (matcher.step), so whoever sees report or event n finds a book at least as new. Then events ascending, events.tail,
reports ascending, reports[s].tail. Every number is a release store (A): it pairs with the acquire load of the number in `ring.broadcast` and
`ring.reports`. The tail is for those who lost their place: a tail beyond n while slot n does not carry n means that n is not to be had here.
"""

from __future__ import annotations

from shm_exchange._intrinsics import store_relaxed, store_release
from shm_exchange._jit import inlined
from shm_exchange.engine.outputs import slot_of


@inlined
def publish_events(book, outputs, words):
    """Number every event since the last call, then move the tail. `words`: the MATCHER record."""
    state = outputs.state[0]
    behind = book.state[0].next_event
    capacity = len(outputs.events)
    # One command may cause more events than the ring holds: those already overwritten have no slot of their own.
    for number in range(max(state.events_unpublished, behind - capacity), behind):
        store_release(outputs.events[number & (capacity - 1)], "number", number)  # (A)
    state.events_unpublished = behind
    store_release(words, "event_tail", behind)


@inlined
def publish_session(book, tails, session, skipped):
    """What everybody may know of a session, as it stands at the end of this batch."""
    record, tail = book.sessions[session], tails[session]
    store_relaxed(tail, "skipped", skipped)
    store_relaxed(tail, "open_orders", record.open_orders)
    store_relaxed(tail, "account", record.account)
    store_relaxed(tail, "logged_on", record.logged_on)
    store_relaxed(tail, "name_low", record.name_low)
    store_relaxed(tail, "name_high", record.name_high)


@inlined
def publish_reports(book, outputs, tails):
    """Number every report since the last call, session by session, then move the sessions' tails; returns how many."""
    published = 0
    for index in range(outputs.state[0].touched):
        session = outputs.touched[index]
        output = outputs.sessions[session]
        behind = book.sessions[session].next_report
        for number in range(output.unpublished, min(behind, output.limit)):
            store_release(outputs.reports[slot_of(output, number)], "number", number)  # (A)
        published += behind - output.unpublished
        output.unpublished = behind
        output.skipping = 0
        publish_session(book, tails, session, output.skipped)
        store_release(tails[session], "tail", behind)
    return published
