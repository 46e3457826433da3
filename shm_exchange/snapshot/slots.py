"""Versioned snapshot slots: eight versions of each instrument's book top, so that a reader is never blocked and never blocks.

    writer   v := latest + 1, slot v % 8:   stamp := 2 v - 1;  release fence (A);  payload;  stamp := 2 v (B: release);  latest := v (C: release)
    reader   v := latest (acquire, pairs with C);  stamp == 2 v? (acquire, pairs with B);  copy;  acquire fence (D, pairs with A);  stamp still 2 v?

A writer killed anywhere leaves `latest` naming a whole slot. A reader must be lapped seven times within one copy to need another try, and
after eight tries it says BUSY instead of spinning for ever. Readers map read-only. Snapshots are published before the events and reports of the
same batch, so whoever has seen one of those finds a book at least as new.

Rejected: a plain seqlock (a writer killed inside hangs every reader), a read-write lock (readers would write).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from shm_exchange._intrinsics import fence_acquire, fence_release, load_acquire, load_relaxed, store_relaxed, store_release
from shm_exchange._jit import inlined, kernel
from shm_exchange.domain.limits import SNAPSHOT_SLOTS

READ_TRIES = 8


class Snapshots(NamedTuple):
    """All snapshot memory; depth = levels a side."""

    latest: np.ndarray  # SNAPSHOT_LATEST[instruments]
    heads: np.ndarray  # SNAPSHOT[instruments * 8]
    levels: np.ndarray  # PRICE_LEVEL[instruments * 8 * 2 * depth], bids then asks, best first


@inlined
def depth_of(snapshots):
    """Levels a side that each slot has room for."""
    return len(snapshots.levels) // (2 * len(snapshots.heads))


@inlined
def begin_version(snapshots, instrument):
    """Writer: open the next version; returns its slot index, whose payload may now be stored."""
    version = snapshots.latest[instrument].version + 1
    slot = instrument * SNAPSHOT_SLOTS + version % SNAPSHOT_SLOTS
    store_relaxed(snapshots.heads[slot], "stamp", 2 * version - 1)
    fence_release()  # (A)
    return slot


@inlined
def put_level(snapshots, slot, side_index, position, price_ticks, quantity):
    """Writer: store one level; side_index 0 = bids, 1 = asks."""
    depth = depth_of(snapshots)
    level = snapshots.levels[(slot * 2 + side_index) * depth + position]
    store_relaxed(level, "price_ticks", price_ticks)
    store_relaxed(level, "quantity", quantity)


@inlined
def end_version(snapshots, instrument, slot):
    """Writer: the version is whole; name it the latest."""
    version = snapshots.latest[instrument].version + 1
    store_release(snapshots.heads[slot], "stamp", 2 * version)  # (B)
    store_release(snapshots.latest[instrument], "version", version)  # (C)


@kernel
def read_snapshot(snapshots, instrument, head_out, levels_out):
    """Copy the latest version: head_out SNAPSHOT[1], levels_out PRICE_LEVEL[2 * depth]. Returns tries used, 0 = no version yet, -1 = busy."""
    depth = depth_of(snapshots)
    out = head_out[0]
    for attempt in range(1, READ_TRIES + 1):
        version = load_acquire(snapshots.latest[instrument], "version")
        if version == 0:
            return 0
        slot = instrument * SNAPSHOT_SLOTS + version % SNAPSHOT_SLOTS
        head = snapshots.heads[slot]
        if load_acquire(head, "stamp") != 2 * version:
            continue
        out.event_number = load_relaxed(head, "event_number")
        out.last_price_ticks = load_relaxed(head, "last_price_ticks")
        out.last_quantity = load_relaxed(head, "last_quantity")
        out.last_match_id = load_relaxed(head, "last_match_id")
        out.bid_count = min(max(load_relaxed(head, "bid_count"), 0), depth)
        out.ask_count = min(max(load_relaxed(head, "ask_count"), 0), depth)
        out.time_ns = load_relaxed(head, "time_ns")
        for side_index in range(2):
            count = out.bid_count if side_index == 0 else out.ask_count
            for position in range(count):
                level = snapshots.levels[(slot * 2 + side_index) * depth + position]
                levels_out[side_index * depth + position].price_ticks = load_relaxed(level, "price_ticks")
                levels_out[side_index * depth + position].quantity = load_relaxed(level, "quantity")
        fence_acquire()  # (D)
        if load_relaxed(head, "stamp") == 2 * version:
            out.stamp = version
            return attempt
    return -1
