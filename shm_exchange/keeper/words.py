"""The keeper's shared words, and its two handshakes.

    log.tail   matcher: tail; full fence (F); keeper asleep? then wake.     keeper: asleep := 1; full fence (G); tail moved? else sleep.
    durable    keeper: durable; full fence (H); matcher parked? then wake.  matcher: parked := 1; full fence (C); durable moved? else sleep.

Either side sees the other. Where no answer waits for the disk nobody needs to be woken: the keeper naps between two looks, so the matcher makes no
system call for it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from shm_exchange._intrinsics import (
    exchange,
    fence_full,
    futex_wait,
    futex_wake,
    load_acquire,
    load_relaxed,
    monotonic_ns,
    store_relaxed,
    store_release,
)
from shm_exchange._jit import kernel

GATHER_SHARE = 4
"""A napping keeper gets up early once a quarter of the ring has something for it."""


class KeeperWords(NamedTuple):
    """Shared words as the keeper sees them."""

    own: np.ndarray  # KEEPER[1], ours
    matcher: np.ndarray  # MATCHER[1], the matcher's
    parked: np.ndarray  # PARKED, hints; index 0 is the matcher's
    asleep: np.ndarray  # PARKED[1], hint; ours


@kernel
def await_log(words, seen, capacity, nap_ns, patience_ns, is_woken):
    """Look until log.tail is another than `seen`, at most `patience_ns`; returns it. capacity: of the log ring.

    `is_woken`: sleep until the matcher wakes us. Else nap, and let commands gather meanwhile: a pass over few of them costs as much as over many.
    """
    own = words.asleep[0]
    start, waited = monotonic_ns(), 0
    while waited < patience_ns:
        news = load_acquire(words.matcher[0], "log_tail") - seen
        if news > 0 and (is_woken or waited >= nap_ns or news * GATHER_SHARE >= capacity):
            break
        if is_woken:
            store_relaxed(own, "parked", 1)
            fence_full()  # (G) pairs with (F) in matcher.sweep
            if load_acquire(words.matcher[0], "log_tail") == seen:
                futex_wait(words.asleep.ctypes.data, 1, patience_ns - waited)
            exchange(own, "parked", 0)
        else:
            futex_wait(words.asleep.ctypes.data, 0, nap_ns)
        waited = monotonic_ns() - start
    return load_acquire(words.matcher[0], "log_tail")  # pairs with the matcher's release: the ring holds all below it


@kernel
def say_archived(words, number):
    """Files hold all below `number`: its ring slots are free."""
    store_release(words.own[0], "archived", number)


@kernel
def say_durable(words, number):
    """The disk has all below `number`: it may be answered."""
    store_release(words.own[0], "durable", number)
    fence_full()  # (H) pairs with (C) in matcher.loop
    parked = words.parked[0]
    if load_relaxed(parked, "parked") != 0 and exchange(parked, "parked", 0) != 0:
        futex_wake(words.parked.ctypes.data)
