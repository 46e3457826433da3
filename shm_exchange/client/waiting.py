"""Waiting without burning a core.

A gateway looks, yields, parks: the matcher wakes who sleeps, once a batch. A reader, whom the matcher does not know, naps between two looks.

Gateway: parked := 1; full fence (E); look once more; sleep on the word.  Matcher: tail; full fence (D); parked? then wake. (D) pairs with (E): either
we see the report or the matcher sees that we sleep.
"""

from __future__ import annotations

import numpy as np

from shm_exchange._intrinsics import (
    exchange,
    fence_full,
    futex_wait,
    futex_wake,
    load_acquire,
    load_relaxed,
    monotonic_ns,
    record_at,
    store_relaxed,
)
from shm_exchange._jit import kernel
from shm_exchange.ring.reports import await_report

WORD = np.dtype([("value", "i8")])
"""Any polled word, by its address."""
NAP_NS, NAP_NS_MAX = 100_000, 4_000_000


@kernel
def park_for_report(reader, reports, tail, parked, timeout_ns):
    """Sleep until the expected report may be there, at most `timeout_ns`; whether it is. `parked`: the session's PARKED[1]."""
    store_relaxed(parked[0], "parked", 1)
    fence_full()  # (E) pairs with (D) in matcher.step
    if not await_report(reader, reports, tail, 1):
        futex_wait(parked.ctypes.data, 1, timeout_ns)
    exchange(parked[0], "parked", 0)
    return await_report(reader, reports, tail, 1)


@kernel
def await_other(word_address, seen, parked, patience_ns):
    """Readers, whom nobody wakes: look until the word at an address is another than `seen`, at most `patience_ns`; whether it is.

    Between two looks it sleeps an eighth of the time that it has waited, from 0.1 to 4 ms: awake soon after something came, and nearly free
    when nothing comes. `parked`: a PARKED[1] of the caller's own, on which `unpark` ends the sleep.
    """
    own, word = parked[0], record_at(word_address, WORD)
    store_relaxed(own, "parked", 1)
    start, waited = monotonic_ns(), 0
    while load_acquire(word, "value") == seen and waited < patience_ns and load_relaxed(own, "parked") != 0:
        futex_wait(parked.ctypes.data, 1, min(max(waited >> 3, NAP_NS), NAP_NS_MAX))
        waited = monotonic_ns() - start
    store_relaxed(own, "parked", 0)
    return load_acquire(word, "value") != seen


@kernel
def unpark(parked):
    """End the sleep of another thread of this process."""
    exchange(parked[0], "parked", 0)
    futex_wake(parked.ctypes.data)
