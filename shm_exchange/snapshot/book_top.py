"""From the engine's book to a snapshot: the best levels of both sides, written only where something within the published window changed."""

from __future__ import annotations

import numpy as np

from shm_exchange._intrinsics import store_relaxed
from shm_exchange._jit import inlined, kernel
from shm_exchange.engine.book import NIL, RANK_MAX
from shm_exchange.engine.ladder import next_level, price_of_rank, rank_of_level
from shm_exchange.snapshot.slots import begin_version, depth_of, end_version, put_level


@inlined
def _put_side(book, snapshots, slot, ladder):
    """Store the best levels of one side and note how far they reach; returns how many."""
    side = book.ladders[ladder]
    level_index, count, depth = np.int64(side.best_level), 0, depth_of(snapshots)
    rank = np.int64(RANK_MAX + 1)
    while level_index != NIL and count < depth:
        rank = rank_of_level(book, level_index)
        put_level(snapshots, slot, ladder & 1, count, price_of_rank(ladder, rank), book.levels[level_index].quantity)
        count += 1
        level_index = next_level(book, level_index)
    side.window_rank = rank if count == depth else RANK_MAX + 1
    return count


@kernel
def publish_instrument(book, snapshots, instrument):
    """Write the next version of one instrument's snapshot."""
    slot = begin_version(snapshots, instrument)
    head, traded = snapshots.heads[slot], book.traded[instrument]
    store_relaxed(head, "event_number", book.state[0].next_event - 1)
    store_relaxed(head, "last_price_ticks", traded.last_price_ticks)
    store_relaxed(head, "last_quantity", traded.last_quantity)
    store_relaxed(head, "last_match_id", traded.last_match_id)
    store_relaxed(head, "time_ns", book.state[0].time_ns)
    store_relaxed(head, "bid_count", _put_side(book, snapshots, slot, 2 * instrument))
    store_relaxed(head, "ask_count", _put_side(book, snapshots, slot, 2 * instrument + 1))
    end_version(snapshots, instrument, slot)


@inlined
def publish_due(book, snapshots):
    """Publish every instrument whose visible book or last trade changed since the last call."""
    state = book.state[0]
    for index in range(state.snapshots_due):
        instrument = book.due[index]
        publish_instrument(book, snapshots, instrument)
        book.traded[instrument].snapshot_due = 0
    state.snapshots_due = 0
