"""The ring of policy `drop_oldest`: the producer never waits, and the consumer passes by what was overwritten.

    (E) producer: number := 0, fence, payload    (F) consumer: payload, fence, number again: an overwritten copy is noticed
    (A), (B), (G) as in ring_kernels

Of the `slots` only the newest `maxsize` count; there is at least one more, so what is just being overwritten was lost before. A producer killed at it
has spoilt nothing that was to be kept.
"""

from __future__ import annotations

from shm_exchange._intrinsics import fence_acquire, fence_full, fence_release, load_acquire, load_relaxed, record_at, store_relaxed, store_release
from shm_exchange._jit import inlined, kernel
from shm_exchange.pipeline.parking import wake
from shm_exchange.pipeline.ring_kernels import (
    CONSUMER,
    PRODUCER,
    copy_words,
    finish_taken,
    has_closed_reader,
    lane_head,
    lane_tail,
    see_size,
    skip_on,
    slot_at,
)
from shm_exchange.pipeline.ring_layout import NUMBER_WORDS, TAIL, WORD, WORD_BYTES

TRIES = 16
"""Copies of one item that a producer may spoil before the consumer looks elsewhere."""


@kernel
def put_newest(producer_address, source, count):
    """Put all items over the oldest; returns how many, or -1 when the consumer has closed."""
    own = record_at(producer_address, PRODUCER)
    if has_closed_reader(own):
        return -1
    for index in range(count):
        slot = slot_at(own.slots, own.position, own.mask, own.words)
        number = record_at(slot, WORD)
        store_relaxed(number, "value", 0)
        fence_release()  # (E)
        copy_words(source + index * own.words * WORD_BYTES, slot + NUMBER_WORDS * WORD_BYTES, own.words)
        own.position += 1
        store_release(number, "value", own.position)  # (A)
        store_release(record_at(own.tail, TAIL), "tail", own.position)
    fence_full()  # (G)
    wake(own.reader_parked)
    return count


@inlined
def _skip(head, position):
    """Pass by what was overwritten: nothing is in hand. In steps that a successor can do again from the start."""
    store_relaxed(head, "skip_head", position)
    store_relaxed(head, "skip_lost", load_relaxed(head, "lost") + position - load_relaxed(head, "head"))
    store_release(head, "skipping", 1)
    skip_on(head)


@inlined
def _copy_whole(slot, position, target, words):
    """Copy an item unless it is, or is being, overwritten; whether it is whole."""
    number = record_at(slot, WORD)
    if load_acquire(number, "value") != position + 1:  # (B)
        return False
    copy_words(slot + NUMBER_WORDS * WORD_BYTES, target, words)
    fence_acquire()  # (F)
    return load_relaxed(number, "value") == position + 1


@inlined
def _take_newest_of(own, lane, target, limit):
    """Items of one lane, from the oldest of the newest `maxsize`; returns how many."""
    head = lane_head(own, lane)
    for _ in range(TRIES):
        tail = load_acquire(lane_tail(own, lane), "tail")  # (B)
        if tail - load_relaxed(head, "taken") > own.maxsize:
            _skip(head, tail - own.maxsize)
        position = load_relaxed(head, "taken")
        count = 0
        while count < min(tail - position, limit):
            slot = slot_at(own.slots + lane * own.lane_bytes, position + count, own.mask, own.words)
            if not _copy_whole(slot, position + count, target + count * own.words * WORD_BYTES, own.words):
                break
            count += 1
        if count > 0:
            store_release(head, "taken", position + count)
        if count > 0 or tail == position or limit == 0:
            return count
    return 0


@kernel
def take_newest(consumer_address, target, limit):
    """`take_waiting` from lanes in which the oldest is overwritten."""
    own = record_at(consumer_address, CONSUMER)
    finish_taken(own)
    count, waiting = 0, 0
    for turn in range(own.lanes):
        lane = (own.next_lane + turn) % own.lanes
        waiting += min(load_acquire(lane_tail(own, lane), "tail") - load_relaxed(lane_head(own, lane), "taken"), own.maxsize)
        count += _take_newest_of(own, lane, target + count * own.words * WORD_BYTES, limit - count)
    own.next_lane = (own.next_lane + 1) % own.lanes
    see_size(own, waiting)
    return count
