"""What the two ends of a ring do in memory: put, take, finish, wait. What `drop_oldest` and `conflate` do else is in ring_newest and ring_keys.

Every word has one writer; the parked words are hints. Barriers:

    (A) producer: release tail, or number        (B) consumer: acquire it: the item below is whole
    (C) consumer: release taken, and head        (D) producer: acquire one of them: the slot was copied out before we overwrite it
    (G) after (A): full fence, consumer parked?  (H) consumer parked := 1, full fence, look again: one of the two sees the other
    (I) after (C): full fence, producer parked?  (J) producer parked := 1, full fence, look again: as G and H

A killed producer leaves the tail where it was: what it had begun to write was never put, and its successor goes on there. A killed consumer leaves
the head where it was: its successor takes from there again.
"""

from __future__ import annotations

import numpy as np

from shm_exchange._intrinsics import (
    exchange,
    fence_full,
    futex_wait,
    load_acquire,
    load_relaxed,
    pause,
    record_at,
    store_relaxed,
    store_release,
    yield_core,
)
from shm_exchange._jit import inlined, kernel
from shm_exchange.domain.limits import CACHE_LINE
from shm_exchange.layout.headers import PARKED
from shm_exchange.pipeline.parking import wake
from shm_exchange.pipeline.ring_layout import GONE, HEAD, NUMBER_WORDS, READER, TAIL, WORD, WORD_BYTES

PRODUCER = np.dtype(
    [
        ("position", "i8"),  # next to put
        ("seen", "i8"),  # the consumer's taken or head, as last seen
        ("by_credit", "i8"),  # 1: room is what was finished, 0: what was taken
        ("maxsize", "i8"),
        ("mask", "i8"),
        ("words", "i8"),  # of an item
        ("slots", "i8"),  # addresses from here on
        ("tail", "i8"),  # our TAIL
        ("head", "i8"),  # our HEAD
        ("reader", "i8"),
        ("reader_parked", "i8"),
        ("parked", "i8"),  # our PARKED
        ("latest", "i8"),  # by key: LATEST[maxsize], DIRTY[slots], and for each key, in private memory, the dirty position behind its last entry
        ("dirty", "i8"),
        ("entries", "i8"),
    ]
)
"""A producer's end of its lane, in private memory; kernels take its address."""

CONSUMER = np.dtype(
    [
        ("next_lane", "i8"),  # to look at first
        ("lanes", "i8"),
        ("maxsize", "i8"),
        ("mask", "i8"),
        ("words", "i8"),
        ("lane_bytes", "i8"),  # from the items of one lane to those of the next
        ("slots", "i8"),  # addresses from here on: those of lane 0
        ("tails", "i8"),
        ("heads", "i8"),
        ("reader", "i8"),
        ("reader_parked", "i8"),
        ("parked", "i8"),
        ("latest", "i8"),
        ("keys", "i8"),
        ("dirty", "i8"),
        ("cursors", "i8"),  # by key, private: the next key of each lane to be looked at whether or not it is in the dirty ring
        ("hand", "i8"),  # by key, private: the numbers of the keys in hand, and how many
        ("in_hand", "i8"),
    ]
)
"""The consumer's end of all lanes, in private memory."""

SPINS, YIELDS = 100, 8


@inlined
def copy_words(source, target, words):
    """Copy an item; every word is really read once, and never torn."""
    for index in range(words):
        store_relaxed(record_at(target + index * WORD_BYTES, WORD), "value", load_relaxed(record_at(source + index * WORD_BYTES, WORD), "value"))


@inlined
def slot_at(slots, position, mask, words):
    """Where the slot of a position lies: its number, then its item."""
    return slots + (position & mask) * (NUMBER_WORDS + words) * WORD_BYTES


@inlined
def _see_room(own):
    head = record_at(own.head, HEAD)
    own.seen = load_acquire(head, "head") if own.by_credit else load_acquire(head, "taken")  # (D)


@inlined
def has_closed_reader(own):
    """Whether the consumer has closed. Of one that was killed only its lock tells."""
    return load_relaxed(record_at(own.reader, READER), "state") == GONE


@kernel
def put_waiting(producer_address, source, count):
    """Put items while there is room; returns how many, or -1 when the consumer has closed. source: address of `count` items of whole words."""
    own = record_at(producer_address, PRODUCER)
    if has_closed_reader(own):
        return -1
    if own.position + count - own.seen > own.maxsize:
        _see_room(own)
    count = max(0, min(count, own.maxsize - (own.position - own.seen)))
    if count == 0:
        return 0
    for index in range(count):
        slot = slot_at(own.slots, own.position + index, own.mask, own.words)
        copy_words(source + index * own.words * WORD_BYTES, slot + NUMBER_WORDS * WORD_BYTES, own.words)
    own.position += count
    store_release(record_at(own.tail, TAIL), "tail", own.position)  # (A)
    fence_full()  # (G)
    wake(own.reader_parked)
    return count


@kernel
def await_room(producer_address, park_ns):
    """Wait until there may be room, at most about `park_ns`: look, yield, sleep."""
    own = record_at(producer_address, PRODUCER)
    for attempt in range(SPINS + YIELDS):
        _see_room(own)
        if own.position - own.seen < own.maxsize or has_closed_reader(own):
            return
        if attempt < SPINS:
            pause()
        else:
            yield_core()
    parked = record_at(own.parked, PARKED)
    store_relaxed(parked, "parked", 1)
    fence_full()  # (J)
    _see_room(own)
    if own.position - own.seen >= own.maxsize and not has_closed_reader(own):
        futex_wait(own.parked, 1, park_ns)
    exchange(parked, "parked", 0)


@inlined
def lane_head(own, lane):
    """HEAD of a lane."""
    return record_at(own.heads + lane * CACHE_LINE, HEAD)


@inlined
def lane_tail(own, lane):
    """TAIL of a lane."""
    return record_at(own.tails + lane * CACHE_LINE, TAIL)


@inlined
def wake_producers(own):
    """After taking or finishing: let those go on who wait for room."""
    fence_full()  # (I)
    for lane in range(own.lanes):
        wake(own.parked + lane * CACHE_LINE)


@inlined
def see_size(own, waiting):
    """Note the greatest number of items that were seen waiting."""
    reader = record_at(own.reader, READER)
    if waiting > load_relaxed(reader, "high_water"):
        store_relaxed(reader, "high_water", waiting)


@inlined
def finish_taken(own):
    """Whether anything was in hand."""
    any_finished = False
    for lane in range(own.lanes):
        head = lane_head(own, lane)
        taken = load_relaxed(head, "taken")
        if load_relaxed(head, "head") != taken:
            store_release(head, "head", taken)  # (C)
            any_finished = True
    return any_finished


@kernel
def finish(consumer_address):
    """Everything taken is finished."""
    own = record_at(consumer_address, CONSUMER)
    if finish_taken(own):
        wake_producers(own)


@kernel
def take_waiting(consumer_address, target, limit):
    """Finish what is in hand, and take at most `limit` items, lane by lane; returns how many. target: address of `limit` items of whole words."""
    own = record_at(consumer_address, CONSUMER)
    any_finished = finish_taken(own)
    count, waiting = 0, 0
    for turn in range(own.lanes):
        lane = (own.next_lane + turn) % own.lanes
        head = lane_head(own, lane)
        position = load_relaxed(head, "taken")
        there = load_acquire(lane_tail(own, lane), "tail") - position  # (B)
        waiting += there
        taking = min(there, limit - count, own.maxsize)
        for index in range(taking):
            slot = slot_at(own.slots + lane * own.lane_bytes, position + index, own.mask, own.words)
            copy_words(slot + NUMBER_WORDS * WORD_BYTES, target + (count + index) * own.words * WORD_BYTES, own.words)
        if taking > 0:
            store_release(head, "taken", position + taking)  # (C)
            count += taking
    own.next_lane = (own.next_lane + 1) % own.lanes
    see_size(own, waiting)
    if count > 0 or any_finished:
        wake_producers(own)
    return count


@inlined
def skip_on(head):
    """What `skipping` announces. Again is harmless."""
    store_release(head, "lost", load_relaxed(head, "skip_lost"))
    store_release(head, "head", load_relaxed(head, "skip_head"))
    store_release(head, "taken", load_relaxed(head, "skip_head"))
    store_release(head, "skipping", 0)


@kernel
def take_over(consumer_address):
    """A new consumer: what its predecessor had in hand waits again."""
    own = record_at(consumer_address, CONSUMER)
    for lane in range(own.lanes):
        head = lane_head(own, lane)
        if load_acquire(head, "skipping") != 0:
            skip_on(head)
        store_release(head, "taken", load_relaxed(head, "head"))


@inlined
def _any_waiting(own):
    found = False
    for lane in range(own.lanes):
        found |= load_acquire(lane_tail(own, lane), "tail") != load_relaxed(lane_head(own, lane), "taken")
    return found


@kernel
def await_items(consumer_address, park_ns):
    """Wait until something may be there, at most about `park_ns`: look, yield, sleep."""
    own = record_at(consumer_address, CONSUMER)
    for attempt in range(SPINS + YIELDS):
        if _any_waiting(own):
            return
        if attempt < SPINS:
            pause()
        else:
            yield_core()
    parked = record_at(own.reader_parked, PARKED)
    store_relaxed(parked, "parked", 1)
    fence_full()  # (H)
    if not _any_waiting(own):
        futex_wait(own.reader_parked, 1, park_ns)
    exchange(parked, "parked", 0)
