"""Sleeping on a PARKED word, and waking who sleeps."""

from __future__ import annotations

from shm_exchange._intrinsics import exchange, fence_full, futex_wait, futex_wake, load_relaxed, record_at
from shm_exchange._jit import inlined, kernel
from shm_exchange.layout.headers import PARKED


@inlined
def wake(parked_address):
    """Wake who sleeps on a PARKED, if somebody does. Caller: has a full fence between what it tells and this."""
    parked = record_at(parked_address, PARKED)
    if load_relaxed(parked, "parked") != 0 and exchange(parked, "parked", 0) != 0:
        futex_wake(parked_address)


@kernel
def wake_at(parked_address):
    """Wake who sleeps on a PARKED: something was told before."""
    fence_full()  # pairs with those of who parks
    wake(parked_address)


@kernel
def sleep_on(parked_address, sleep_ns):
    """Sleep while the PARKED is set, at most so long."""
    futex_wait(parked_address, 1, sleep_ns)
