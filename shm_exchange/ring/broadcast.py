"""The reader's side of the event ring: any number of readers, read-only, none of which the writer knows or waits for.

Expecting event e: the slot carries e before (acquire, pairs with A in ring.publish) and after the copy → the copy is event e. The fence (B)
between copy and second look pairs with (A) in engine.outputs: a writer that had begun to overwrite our payload had taken the number away first.
A greater number, or a tail beyond e, means that we were lapped: the reader is told exactly which events it lost and goes on with
the oldest that is surely still there. Copies end at the tail of a whole batch, so events of one command are never torn apart.
"""

from __future__ import annotations

import numpy as np

from shm_exchange._intrinsics import fence_acquire, load_acquire, load_relaxed
from shm_exchange._jit import inlined, kernel

FEED = np.dtype(
    [
        ("next_event", "i8"),  # expected next
        ("lost_first", "i8"),  # first and last event lost, found by the last call; 0 = none
        ("lost_last", "i8"),
    ]
)


@inlined
def _copy_event(slot, out):
    """Copy one event word by word; single bytes cannot tear."""
    out.sequence = load_relaxed(slot, "sequence")
    out.time_ns = load_relaxed(slot, "time_ns")
    out.order_id = load_relaxed(slot, "order_id")
    out.resting_order_id = load_relaxed(slot, "resting_order_id")
    out.price_ticks = load_relaxed(slot, "price_ticks")
    out.quantity = load_relaxed(slot, "quantity")
    out.kind, out.reason, out.side, out.order_type = slot.kind, slot.reason, slot.side, slot.order_type
    out.instrument, out.account = slot.instrument, slot.account


@kernel
def take_events(feed, events, words, out):
    """Copy events in number order into `out`; returns how many. When lapped it copies nothing more and says in `feed` what was lost.

    feed: FEED[1], private; events: EVENT[capacity]; words: MATCHER[1]; out: EVENT[any].
    """
    own = feed[0]
    own.lost_first = own.lost_last = 0
    capacity = len(events)
    behind = load_acquire(words[0], "event_tail")
    count = 0
    while count < len(out) and own.next_event < behind:
        number = own.next_event
        slot = events[number & (capacity - 1)]
        whole = load_acquire(slot, "number") == number
        if whole:
            _copy_event(slot, out[count])
            out[count].number = number
            fence_acquire()  # (B)
            whole = load_relaxed(slot, "number") == number
        if whole:
            own.next_event = number + 1
            count += 1
            continue
        if count == 0:
            # Leave the writer half a ring of room, or we would be lapped again at once.
            tail = load_acquire(words[0], "event_tail")
            oldest = max(tail - capacity // 2, load_relaxed(words[0], "first_event"))  # of a new term nothing older was ever in this ring
            own.lost_first, own.lost_last = number, max(number, oldest - 1)
            own.next_event = own.lost_last + 1
        break
    return count
