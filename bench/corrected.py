"""What a closed loop left out, put back: for every answer that took longer than the interval between orders, the orders that were not sent meanwhile.

HdrHistogram's correction, and its code. It is a guess at what an open loop measures; where both can be had, believe the open loop.
"""

from __future__ import annotations

import numpy as np

from shm_exchange._jit import kernel
from shm_exchange.domain.errors import missing_extra
from shm_exchange.participants.histogram import Counts, bucket_of, new_histogram, value_of

_HIGHEST = 1 << 62
_DIGITS = 3


@kernel
def count_values(counts, values, times):
    """Count values[i] times[i] times."""
    for index in range(len(values)):
        counts[bucket_of(values[index])] += times[index]


def corrected(counts: Counts, interval_ns: int) -> Counts:
    """The histogram of a closed loop that meant to send one order every `interval_ns`, corrected. Raises MissingExtra."""
    try:
        from hdrh.histogram import HdrHistogram
    except ImportError as error:
        raise missing_extra("profile", error) from error
    recorded = HdrHistogram(1, _HIGHEST, _DIGITS)
    for bucket in np.flatnonzero(counts).tolist():
        recorded.record_corrected_value(value_of(bucket), interval_ns, int(counts[bucket]))
    items = [(item.value_iterated_to, item.count_at_value_iterated_to) for item in recorded.get_recorded_iterator()]
    found = new_histogram()
    pairs = np.array(items, np.int64).reshape(-1, 2)
    count_values(found, np.ascontiguousarray(pairs[:, 0]), np.ascontiguousarray(pairs[:, 1]))
    return found
