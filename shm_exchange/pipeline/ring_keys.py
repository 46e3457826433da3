"""The ring of policy `conflate`: for each key the newest version, and a ring of the keys of which there is something to take.

A key has two copies, written in turn: whoever is killed while it writes one leaves the other. In `dirty` each key stands at most once: the producer
enters it again only when the consumer has passed its last entry.

    (K) producer: version, fence, consumer's head past the key's entry? then enter it again
    (L) consumer: head past the entry, fence, version          one of the two sees the other: the newest version is taken, or entered again
    (M) producer: version, fence, payload of the next          (N) consumer: payload, fence, version again: a copy that was rewritten is noticed
    (A), (B), (C), (D), (G) as in ring_kernels

When both see each other the key is entered with nothing new in it; the consumer knows by the version, and passes it by. The dirty ring is a hint, the
versions are the truth: where an end was killed in between, and before the consumer says that nothing is left, it looks at all keys once (`cursors`).
"""

from __future__ import annotations

from shm_exchange._intrinsics import fence_acquire, fence_full, fence_release, load_acquire, load_relaxed, record_at, store_relaxed, store_release
from shm_exchange._jit import inlined, kernel
from shm_exchange.pipeline.parking import wake
from shm_exchange.pipeline.ring_kernels import (
    CONSUMER,
    PRODUCER,
    copy_words,
    has_closed_reader,
    lane_head,
    lane_tail,
    see_size,
)
from shm_exchange.pipeline.ring_layout import DIRTY, HEAD, KEY, KEY_BYTES, LATEST, TAIL, WORD, WORD_BYTES

TRIES = 64
"""Copies of one key that a producer may spoil before the consumer looks at others first."""


@inlined
def _copy_of(slots, key, version, words):
    return slots + (key * 2 + (version & 1)) * words * WORD_BYTES


@inlined
def _word(words_address, index):
    return record_at(words_address + index * WORD_BYTES, WORD)


@inlined
def _enter(own, key):
    """Put the key into the dirty ring."""
    tail = record_at(own.tail, TAIL)
    store_relaxed(record_at(own.dirty + (own.position & own.mask) * WORD_BYTES, DIRTY), "key", key)
    own.position += 1
    store_relaxed(_word(own.entries, key), "value", own.position)
    store_release(tail, "tail", own.position)  # (A)


@kernel
def put_keys(producer_address, source, keys, count):
    """Put a new version of each key; returns how many, or -1 when the consumer has closed. source, keys: addresses of items, and of their slots."""
    own = record_at(producer_address, PRODUCER)
    if has_closed_reader(own):
        return -1
    for index in range(count):
        key = load_relaxed(_word(keys, index), "value")
        latest = record_at(own.latest + key * WORD_BYTES, LATEST)
        version = load_relaxed(latest, "version") + 1
        fence_release()  # (M)
        copy_words(source + index * own.words * WORD_BYTES, _copy_of(own.slots, key, version, own.words), own.words)
        store_release(latest, "version", version)  # (A)
        fence_full()  # (K)
        if load_acquire(record_at(own.head, HEAD), "head") >= load_relaxed(_word(own.entries, key), "value"):  # (D)
            _enter(own, key)
    fence_full()  # (G)
    wake(own.reader_parked)
    return count


@kernel
def take_over_lane(producer_address, keys):
    """A new producer: learn what is in the dirty ring, and enter what its predecessor was killed before it had. keys: address of KEY[maxsize]."""
    own = record_at(producer_address, PRODUCER)
    for position in range(load_acquire(record_at(own.head, HEAD), "head"), own.position):  # (D)
        key = load_relaxed(record_at(own.dirty + (position & own.mask) * WORD_BYTES, DIRTY), "key")
        store_relaxed(_word(own.entries, key), "value", position + 1)
    for key in range(own.maxsize):
        version = load_relaxed(record_at(own.latest + key * WORD_BYTES, LATEST), "version")
        is_new = version != load_relaxed(record_at(keys + key * KEY_BYTES, KEY), "taken")
        if is_new and load_relaxed(_word(own.entries, key), "value") == 0:
            _enter(own, key)
    fence_full()  # (G)
    wake(own.reader_parked)


@inlined
def _finish_keys(own):
    for index in range(own.in_hand):
        number = load_relaxed(_word(own.hand, index), "value")
        key = record_at(own.keys + number * KEY_BYTES, KEY)
        store_release(key, "finished", load_relaxed(key, "taken"))  # (C)
        head = lane_head(own, number // own.maxsize)
        store_relaxed(head, "consumed", load_relaxed(head, "consumed") + 1)
    own.in_hand = 0


@kernel
def finish_keys(consumer_address):
    """Everything taken is finished."""
    _finish_keys(record_at(consumer_address, CONSUMER))


@kernel
def take_over_keys(consumer_address):
    """A new consumer: what its predecessor had in hand waits again. It looks at all keys once."""
    own = record_at(consumer_address, CONSUMER)
    for index in range(own.lanes * own.maxsize):
        key = record_at(own.keys + index * KEY_BYTES, KEY)
        store_relaxed(key, "taken", load_relaxed(key, "finished"))
    for lane in range(own.lanes):
        store_relaxed(_word(own.cursors, lane), "value", 0)
        head = lane_head(own, lane)
        store_relaxed(head, "taken", load_relaxed(head, "head"))


@inlined
def _take_key(own, lane, index, target):
    """Copy the newest version of a key, if there is one that was not taken yet; whether there was. Its successor may be written meanwhile.

    A key that is in hand already is left for the next time: either it was entered again, or it is found when all keys are looked at.
    """
    number = lane * own.maxsize + index
    key, latest = record_at(own.keys + number * KEY_BYTES, KEY), record_at(own.latest + number * WORD_BYTES, LATEST)
    taken = load_relaxed(key, "taken")
    if taken != load_relaxed(key, "finished"):
        return False
    for _ in range(TRIES):
        version = load_acquire(latest, "version")  # (B)
        if version == taken:
            return False
        copy_words(_copy_of(own.slots + lane * own.lane_bytes, index, version, own.words), target, own.words)
        fence_acquire()  # (N)
        if load_relaxed(latest, "version") == version:
            store_relaxed(key, "taken", version)
            store_relaxed(_word(own.hand, own.in_hand), "value", number)
            own.in_hand += 1
            return True
    store_relaxed(_word(own.cursors, lane), "value", 0)  # it stays new, and is found when all keys are looked at
    return False


@inlined
def _take_keys_of(own, lane, target, limit):
    head, cursor = lane_head(own, lane), _word(own.cursors, lane)
    position = load_relaxed(head, "head")
    behind = load_acquire(lane_tail(own, lane), "tail")  # (B) once: a key that is entered again meanwhile is for the next time
    count = 0
    while count < limit and position < behind:
        index = load_relaxed(record_at(own.dirty + (lane * (own.mask + 1) + (position & own.mask)) * WORD_BYTES, DIRTY), "key")
        position += 1
        store_release(head, "taken", position)
        store_release(head, "head", position)  # (C)
        fence_full()  # (L)
        count += _take_key(own, lane, index, target + count * own.words * WORD_BYTES)
    while count < limit and load_relaxed(cursor, "value") < own.maxsize:
        index = load_relaxed(cursor, "value")
        store_relaxed(cursor, "value", index + 1)
        count += _take_key(own, lane, index, target + count * own.words * WORD_BYTES)
    return count


@kernel
def take_keys(consumer_address, target, limit):
    """Finish what is in hand, and take the newest version of at most `limit` keys; returns how many."""
    own = record_at(consumer_address, CONSUMER)
    _finish_keys(own)
    count, waiting = 0, 0
    for turn in range(own.lanes):
        lane = (own.next_lane + turn) % own.lanes
        waiting += load_acquire(lane_tail(own, lane), "tail") - load_relaxed(lane_head(own, lane), "taken")
        count += _take_keys_of(own, lane, target + count * own.words * WORD_BYTES, limit - count)
    own.next_lane = (own.next_lane + 1) % own.lanes
    see_size(own, waiting)
    return count
