"""Waiting for a report without burning a core: look, yield, park. The matcher wakes who sleeps, once a batch.

Gateway: parked := 1; full fence (E); look once more; sleep on the word.  Matcher: tail; full fence (D); parked? then wake. (D) pairs with (E): either
we see the report or the matcher sees that we sleep.
"""

from __future__ import annotations

from shm_exchange._intrinsics import exchange, fence_full, futex_wait, store_relaxed
from shm_exchange._jit import kernel
from shm_exchange.ring.reports import await_report


@kernel
def park_for_report(reader, reports, tail, parked, timeout_ns):
    """Sleep until the expected report may be there, at most `timeout_ns`; whether it is. `parked`: the session's PARKED[1]."""
    store_relaxed(parked[0], "parked", 1)
    fence_full()  # (E) pairs with (D) in matcher.step
    if not await_report(reader, reports, tail, 1):
        futex_wait(parked.ctypes.data, 1, timeout_ns)
    exchange(parked[0], "parked", 0)
    return await_report(reader, reports, tail, 1)
