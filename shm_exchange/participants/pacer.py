"""When commands are due: a Poisson or a Hawkes process, or bursts at such moments. An open loop: the plan is made without a look at the exchange.

A late gateway does not move its plan. It sends what is overdue at once, and every answer is timed from the moment that was planned. A Hawkes process
is drawn by thinning (Ogata): its intensity only falls until the next arrival, so candidates come at the present one, and are kept in proportion.
"""

from __future__ import annotations

import math

import numpy as np

from shm_exchange._intrinsics import mix64
from shm_exchange._jit import inlined, kernel
from shm_exchange.layout.headers import lines
from shm_exchange.participants.arrivals import POISSON, Arrivals

PACER = lines(
    ("gap_ns", "f8"),  # mean time between two bursts that nothing excited; 0: no plan, a command is due as soon as it can be made
    ("mean_ns", "f8"),  # mean time between two bursts of any kind
    ("burst", "i8"),  # commands due at the same moment
    ("random", "i8"),
    ("next_ns", "i8"),  # when the next command is due
    ("left", "i8"),  # of the burst at that moment
    ("alpha", "f8"),  # by how much a burst raises the intensity, per ns; 0: Poisson
    ("beta", "f8"),  # how fast that decays, per ns
    ("excited", "f8"),  # what is left of it at `next_ns`
)
_UNIT = 1.0 / (1 << 53)


def new_pacer(rate: float, burst: int, seed: int, arrivals: Arrivals = POISSON) -> np.ndarray:
    """PACER[1] of a gateway with `rate` commands a second on average, 0: without a plan."""
    pacer = np.zeros(1, PACER)
    pacer["mean_ns"] = burst * 1e9 / rate if rate else 0
    pacer["gap_ns"] = pacer["mean_ns"] / (1 - arrivals.branching)
    pacer["alpha"], pacer["beta"] = arrivals.alpha / 1e9, arrivals.beta / 1e9
    pacer["burst"] = pacer["left"] = burst
    pacer["random"] = int(mix64(seed)) >> 1
    return pacer


@inlined
def _uniform(pacer):
    """Between 0 and 1, neither of them."""
    pacer.random += 1
    return ((mix64(pacer.random) >> 10) + 0.5) * _UNIT


@inlined
def advance(pacer):
    """The command due at `next_ns` was made: plan the one behind it."""
    pacer.left -= 1
    if pacer.left > 0:
        return
    pacer.left = pacer.burst
    if pacer.alpha == 0:
        pacer.next_ns += np.int64(-math.log(_uniform(pacer)) * pacer.gap_ns)
        return
    base, waited = 1.0 / pacer.gap_ns, 0.0
    pacer.excited += pacer.alpha
    while True:
        highest = base + pacer.excited
        gap_ns = -math.log(_uniform(pacer)) / highest
        waited += gap_ns
        pacer.excited *= math.exp(-pacer.beta * gap_ns)
        if _uniform(pacer) * highest <= base + pacer.excited:
            break
    pacer.next_ns += np.int64(waited)


@inlined
def overdue(pacer, end_ns):
    """How many commands would still have come before `end_ns`: those of this burst, and as many bursts as are expected."""
    if pacer.gap_ns == 0 or pacer.next_ns >= end_ns:
        return np.int64(0)
    return pacer.left + np.int64((end_ns - pacer.next_ns) / pacer.mean_ns) * pacer.burst


@kernel
def plan_next(pacer):
    """`advance`, from Python: the moment planned next."""
    advance(pacer[0])
    return pacer[0].next_ns
