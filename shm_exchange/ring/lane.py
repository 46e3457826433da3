"""The lane: how a command gets from one gateway to the matcher. One producer, one consumer, the position inside the slot.

    gateway   free?   position - head < capacity           (head: the matcher's word, looked at only when the copy of it says full)
              payload words 1 … 7, then number := position (A: release)
              full fence (B), mark my activity bit if it is clear, wake the matcher if it is parked
    matcher   number == the position it expects? (acquire, pairs with A) then the payload is whole; else nothing was submitted

A gateway killed before (A) has submitted nothing, killed after it has submitted a whole command: there is no third case and nothing to repair.
Slots are never cleared: last lap's number is not this lap's. Positions start at 1 and never restart. (B) pairs with the matcher's fence (C) in
`matcher.idle`: either the matcher sees our command before it sleeps, or we see that it sleeps and wake it.

Rejected: one shared ring with a claim counter. A producer killed between claim and publication leaves a hole that nobody may ever fill.
"""

from __future__ import annotations

import numpy as np

from shm_exchange._intrinsics import (
    exchange,
    fence_full,
    fetch_or,
    futex_wake,
    load_acquire,
    load_relaxed,
    pause,
    record_at,
    store_relaxed,
    store_release,
)
from shm_exchange._jit import inlined, kernel
from shm_exchange.domain.limits import CACHE_LINE
from shm_exchange.layout.headers import ACTIVITY, LANE_HEAD, LANES_PER_WORD, PARKED
from shm_exchange.layout.records import COMMAND_WORDS

PRODUCER = np.dtype(
    [
        ("position", "i8"),  # next to submit
        ("head_seen", "i8"),  # last known head of the matcher
        ("capacity", "i8"),
        ("slots", "i8"),  # address of COMMAND[capacity]
        ("head", "i8"),  # address of our LANE_HEAD
        ("activity", "i8"),  # address of our ACTIVITY word
        ("parked", "i8"),  # address of the matcher's PARKED word
        ("bit", "u8"),  # our bit in the activity word
        ("submitted", "i8"),
        ("full", "i8"),  # how often the lane was full
    ]
)
"""A gateway's own end of its lane, in private memory. Kernels take its address: one integer is the cheapest bundle to hand over from Python."""


def new_producer(lane: np.ndarray, head: np.ndarray, activity: np.ndarray, parked: np.ndarray, session: int) -> np.ndarray:
    """The producer record of a session's lane, positioned behind what was ever submitted in it.

    lane: COMMAND[capacity], writable; head: the session's LANE_HEAD; activity: all ACTIVITY words; parked: the matcher's PARKED word.
    """
    producer = np.zeros(1, PRODUCER).view(np.recarray)
    own = producer[0]
    own.capacity, own.slots = len(lane), lane.ctypes.data
    own.head, own.parked = head.ctypes.data, parked.ctypes.data
    own.activity = activity.ctypes.data + (session // LANES_PER_WORD) * ACTIVITY.itemsize
    own.bit = np.uint64(1 << (session % LANES_PER_WORD))
    own.position = recover_position(lane.view(np.recarray), head.view(np.recarray))
    own.head_seen = own.position - len(lane)  # says "full", so the first submit looks
    return producer


@kernel
def recover_position(lane, head):
    """The first position that was never submitted: from the matcher's head forward, while slots carry their positions."""
    position = load_acquire(head[0], "head")
    for _ in range(len(lane)):
        if load_acquire(lane[position & (len(lane) - 1)], "number") != position:
            break
        position += 1
    return position


@inlined
def _slot(producer, position):
    return record_at(producer.slots + (position & (producer.capacity - 1)) * CACHE_LINE, COMMAND_WORDS)


@inlined
def _has_room(producer, position):
    """Whether the slot of `position` was taken by the matcher in the lap before."""
    if position - producer.head_seen < producer.capacity:
        return True
    producer.head_seen = load_acquire(record_at(producer.head, LANE_HEAD), "head")
    return position - producer.head_seen < producer.capacity


@inlined
def _announce(producer):
    """After publication: make sure that the matcher looks at this lane, now or when it wakes."""
    fence_full()  # (B) pairs with (C) in matcher.idle
    activity = record_at(producer.activity, ACTIVITY)
    if load_relaxed(activity, "bits") & producer.bit == 0:
        fetch_or(activity, "bits", producer.bit)
    parked = record_at(producer.parked, PARKED)
    if load_relaxed(parked, "parked") != 0 and exchange(parked, "parked", 0) != 0:
        futex_wake(producer.parked)


@inlined
def _put(producer, position, order_id, client_order_id, price_ticks, quantity, kinds):
    slot = _slot(producer, position)
    store_relaxed(slot, "order_id", order_id)
    store_relaxed(slot, "client_order_id", client_order_id)
    store_relaxed(slot, "price_ticks", price_ticks)
    store_relaxed(slot, "quantity", quantity)
    store_relaxed(slot, "kinds", kinds)
    store_relaxed(slot, "terms", 0)
    store_relaxed(slot, "time_ns", 0)
    store_release(slot, "number", position)  # (A)


@kernel
def submit(producer_address, order_id, client_order_id, price_ticks, quantity, kinds):
    """Submit one command; returns its lane position, or 0 when the lane is full."""
    producer = record_at(producer_address, PRODUCER)
    position = producer.position
    if not _has_room(producer, position):
        producer.full += 1
        return 0
    _put(producer, position, order_id, np.uint64(client_order_id), price_ticks, quantity, kinds)
    producer.position = position + 1
    producer.submitted += 1
    _announce(producer)
    return position


@kernel
def submit_many(producer_address, commands, first):
    """Submit COMMAND_WORDS records from index `first` until the lane is full, with one fence for all; returns how many."""
    producer = record_at(producer_address, PRODUCER)
    count = 0
    while first + count < len(commands) and _has_room(producer, producer.position):
        command = commands[first + count]
        position = producer.position
        slot = _slot(producer, position)
        store_relaxed(slot, "order_id", command.order_id)
        store_relaxed(slot, "client_order_id", command.client_order_id)
        store_relaxed(slot, "price_ticks", command.price_ticks)
        store_relaxed(slot, "quantity", command.quantity)
        store_relaxed(slot, "kinds", command.kinds)
        store_relaxed(slot, "terms", command.terms)
        store_relaxed(slot, "time_ns", 0)
        store_release(slot, "number", position)  # (A)
        producer.position = position + 1
        count += 1
    producer.submitted += count
    if first + count < len(commands):
        producer.full += 1
    if count > 0:
        _announce(producer)
    return count


@kernel
def await_room(producer_address, polls):
    """Look for room at most `polls` times; whether there is some."""
    producer = record_at(producer_address, PRODUCER)
    for _ in range(polls):
        if _has_room(producer, producer.position):
            return True
        pause()
    return False


@inlined
def take(slots_address, capacity, position, record):
    """Matcher: copy the command at `position` into a COMMAND_WORDS record, each word read once; False when nothing was submitted there."""
    slot = record_at(slots_address + (position & (capacity - 1)) * CACHE_LINE, COMMAND_WORDS)
    if load_acquire(slot, "number") != position:  # pairs with (A): the payload below is whole
        return False
    record.order_id = load_relaxed(slot, "order_id")
    record.client_order_id = load_relaxed(slot, "client_order_id")
    record.price_ticks = load_relaxed(slot, "price_ticks")
    record.quantity = load_relaxed(slot, "quantity")
    record.kinds = load_relaxed(slot, "kinds")
    record.terms = load_relaxed(slot, "terms")
    return True


@inlined
def has_command(slots_address, capacity, position):
    """Matcher: whether the command at `position` was submitted."""
    slot = record_at(slots_address + (position & (capacity - 1)) * CACHE_LINE, COMMAND_WORDS)
    return load_acquire(slot, "number") == position
