"""When commands are due: a Poisson process, or bursts at Poisson moments. The plan is made without a look at how the exchange does: an open loop.

A late gateway does not move its plan. It sends what is overdue at once, and every answer is timed from the moment that was planned.
"""

from __future__ import annotations

import math

import numpy as np

from shm_exchange._intrinsics import mix64
from shm_exchange._jit import inlined
from shm_exchange.layout.headers import lines

PACER = lines(
    ("gap_ns", "f8"),  # mean time between two bursts; 0: no plan, a command is due as soon as it can be made
    ("burst", "i8"),  # commands due at the same moment
    ("random", "i8"),
    ("next_ns", "i8"),  # when the next command is due
    ("left", "i8"),  # of the burst at that moment
)
_UNIT = 1.0 / (1 << 53)


def new_pacer(rate: float, burst: int, seed: int) -> np.ndarray:
    """PACER[1] of a gateway with `rate` commands a second, 0: without a plan."""
    pacer = np.zeros(1, PACER)
    pacer["gap_ns"] = burst * 1e9 / rate if rate else 0
    pacer["burst"] = pacer["left"] = burst
    pacer["random"] = int(mix64(seed)) >> 1
    return pacer


@inlined
def advance(pacer):
    """The command due at `next_ns` was made: plan the one behind it."""
    pacer.left -= 1
    if pacer.left > 0:
        return
    pacer.left = pacer.burst
    pacer.random += 1
    uniform = ((mix64(pacer.random) >> 10) + 0.5) * _UNIT  # between 0 and 1, neither of them
    pacer.next_ns += np.int64(-math.log(uniform) * pacer.gap_ns)


@inlined
def overdue(pacer, end_ns):
    """How many commands would still have come before `end_ns`: those of this burst, and as many bursts as are expected."""
    if pacer.gap_ns == 0 or pacer.next_ns >= end_ns:
        return np.int64(0)
    return pacer.left + np.int64((end_ns - pacer.next_ns) / pacer.gap_ns) * pacer.burst
