"""The gateway's side of its report ring. The number in the slot is the proof; the tail only tells that a number was skipped.

Expecting report n:  slot n carries n (acquire, pairs with A in ring.publish) → take it.  Else tail > n, and the slot still does not carry n → it was
skipped because the ring was full.  Else wait. A slot is overwritten only below our head, so what carries n stays n while we copy it.
"""

from __future__ import annotations

import numpy as np

from shm_exchange._intrinsics import load_acquire, load_relaxed, pause, store_release
from shm_exchange._jit import kernel

READER = np.dtype(
    [
        ("next_report", "i8"),  # expected next
        ("lost_first", "i8"),  # first and last number skipped, found by the last call; 0 = none
        ("lost_last", "i8"),
    ]
)


@kernel
def acknowledge(reader, head):
    """Everything taken so far is delivered: its slots may be reused."""
    store_release(head[0], "head", reader[0].next_report)


@kernel
def take_reports(reader, reports, tail, out):
    """Copy reports in number order into `out`; returns how many. Stops in front of a gap, then passes it at the next call and says so in `reader`.

    reader: READER[1], private; reports: REPORT[capacity] of the session; tail: its REPORT_TAIL[1]; out: REPORT[any].
    """
    own = reader[0]
    own.lost_first = own.lost_last = 0
    capacity = len(reports)
    count = 0
    while count < len(out):
        number = own.next_report
        slot = reports[number & (capacity - 1)]
        if load_acquire(slot, "number") == number:
            out[count] = slot
            own.next_report = number + 1
            count += 1
            continue
        behind = load_acquire(tail[0], "tail")
        if count > 0 or behind <= number or load_acquire(slot, "number") == number:
            break
        own.lost_first = number
        while number < behind and load_acquire(reports[number & (capacity - 1)], "number") != number:
            number += 1
        own.lost_last = number - 1
        own.next_report = number
        break
    return count


@kernel
def await_report(reader, reports, tail, polls):
    """Look for the expected report at most `polls` times; whether it, or news of its loss, is there."""
    number = reader[0].next_report
    slot = reports[number & (len(reports) - 1)]
    for _ in range(polls):
        if load_acquire(slot, "number") == number or load_relaxed(tail[0], "tail") > number:
            return True
        pause()
    return False
