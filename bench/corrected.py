"""What a closed loop left out, put back: for every answer that took longer than the interval between orders, the orders that were not sent meanwhile.

The correction of HdrHistogram's original: an answer of v nanoseconds also counts as v - i, v - 2 i … as long as i or more are left. (Its Python port
also counts the rest below i, which invents short answers.) It is a guess at what an open loop measures; where both can be had, believe the open loop.
"""

from __future__ import annotations

import numpy as np

from shm_exchange._jit import kernel
from shm_exchange.participants.histogram import Counts, bucket_of, middle_values, new_histogram


@kernel
def count_values(counts, values, times, interval_ns):
    """Count values[i] times[i] times, and what each of them kept from being sent; interval_ns 0: nothing else."""
    for index in range(len(values)):
        value = values[index]
        counts[bucket_of(value)] += times[index]
        while interval_ns > 0 and value - interval_ns >= interval_ns:
            value -= interval_ns
            counts[bucket_of(value)] += times[index]


def corrected(counts: Counts, interval_ns: int) -> Counts:
    """The histogram of a closed loop that meant to send one order every `interval_ns`, corrected."""
    found, buckets = new_histogram(), np.flatnonzero(counts)
    count_values(found, middle_values()[buckets], counts[buckets], interval_ns)
    return found
