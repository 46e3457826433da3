"""Writers and readers at full speed, as kernels: every word of a record tells its number, so a torn copy shows at once."""

from __future__ import annotations

import numpy as np

from shm_exchange._intrinsics import load_acquire, store_relaxed
from shm_exchange._jit import inlined, kernel
from shm_exchange.domain.enums import EventKind
from shm_exchange.engine.outputs import Subject, emit_event
from shm_exchange.ring.broadcast import take_events
from shm_exchange.ring.publish import publish_events
from shm_exchange.snapshot.slots import begin_version, depth_of, end_version, put_level, read_snapshot

TALLY = np.dtype(
    [
        ("reads", "i8"),
        ("torn", "i8"),  # copies whose words do not belong together
        ("back", "i8"),  # copies older than the one before
        ("busy", "i8"),  # calls that gave up after eight tries
        ("retries", "i8"),
        ("lost", "i8"),  # events that the reader was told it will not get
        ("last", "i8"),  # newest version or event seen
    ]
)


@kernel
def write_versions(snapshots, instrument, count):
    """Write so many versions; the number of levels changes with each."""
    depth = depth_of(snapshots)
    for _ in range(count):
        version = snapshots.latest[instrument].version + 1
        slot = begin_version(snapshots, instrument)
        head = snapshots.heads[slot]
        store_relaxed(head, "event_number", version * 3)
        store_relaxed(head, "last_price_ticks", version * 5)
        store_relaxed(head, "last_quantity", version * 7)
        store_relaxed(head, "last_match_id", -version)
        store_relaxed(head, "time_ns", version * 11)
        store_relaxed(head, "bid_count", version % depth + 1)
        store_relaxed(head, "ask_count", (version >> 3) % depth + 1)
        for position in range(version % depth + 1):
            put_level(snapshots, slot, 0, position, version + position, -version)
        for position in range((version >> 3) % depth + 1):
            put_level(snapshots, slot, 1, position, version - position, version * 13)
        end_version(snapshots, instrument, slot)


@inlined
def _is_version(head, levels, depth):
    """Whether all words of a copy are those of its version."""
    version = head.stamp
    whole = head.event_number == version * 3 and head.last_price_ticks == version * 5 and head.last_quantity == version * 7
    whole = whole and head.last_match_id == -version and head.time_ns == version * 11
    whole = whole and head.bid_count == version % depth + 1 and head.ask_count == (version >> 3) % depth + 1
    for position in range(head.bid_count):
        whole = whole and levels[position].price_ticks == version + position and levels[position].quantity == -version
    for position in range(head.ask_count):
        whole = whole and levels[depth + position].price_ticks == version - position and levels[depth + position].quantity == version * 13
    return whole


@kernel
def read_versions(snapshots, instrument, head, levels, tally, count):
    """Read so many times, and count in `tally` what was seen."""
    own, depth = tally[0], depth_of(snapshots)
    for _ in range(count):
        tries = read_snapshot(snapshots, instrument, head, levels)
        own.reads += 1
        if tries < 1:
            own.busy += 1
            continue
        own.retries += tries - 1
        if not _is_version(head[0], levels, depth):
            own.torn += 1
        if head[0].stamp < own.last:
            own.back += 1
        own.last = head[0].stamp


@kernel
def write_events(book, outputs, words, count, batch):
    """Write so many batches of events."""
    state = book.state[0]
    for _ in range(count):
        for _ in range(batch):
            number = state.next_event
            state.sequence, state.time_ns = number * 7, number * 11
            subject = Subject(number * 3, np.uint64(0), 1, number & 0xFFFF, 1)
            emit_event(book, outputs, subject, EventKind.CANCELED, number & 7, number * 5, -number, number * 13)
        publish_events(book, outputs, words[0])


@inlined
def _is_event(event):
    """Whether all words of a copy are those of its number."""
    number = event.number
    whole = event.sequence == number * 7 and event.time_ns == number * 11 and event.order_id == number * 3 and event.resting_order_id == number * 5
    whole = whole and event.price_ticks == -number and event.quantity == number * 13
    return whole and event.kind == EventKind.CANCELED and event.reason == number & 7 and event.account == number & 0xFFFF


@kernel
def read_events(feed, events, words, out, tally, count):
    """Take so many events, or the news of their loss, or find nothing for that many looks; counts in `tally` what was seen."""
    own, looks = tally[0], 0
    while own.reads < count and looks < count:
        taken = take_events(feed, events, words, out)
        looks += 1
        if feed[0].lost_first != 0:
            if feed[0].lost_first != own.last + 1:
                own.back += 1
            own.lost += feed[0].lost_last - feed[0].lost_first + 1
            own.last = feed[0].lost_last
        for index in range(taken):
            if out[index].number != own.last + 1:
                own.back += 1
            if not _is_event(out[index]):
                own.torn += 1
            own.last = out[index].number
        own.reads += taken


@kernel
def compare_with_events(snapshots, instrument, words, head, levels, tally, count):
    """Look at the newest event that is out, then read the snapshot: one that is older counts as `back`. `retries`: how often there was a new one."""
    own = tally[0]
    for _ in range(count):
        newest = load_acquire(words[0], "event_tail") - 1
        if read_snapshot(snapshots, instrument, head, levels) < 1:
            own.busy += 1
            continue
        own.reads += 1
        if head[0].event_number < newest:
            own.back += 1
        if newest > own.last:
            own.retries += 1
            own.last = newest
