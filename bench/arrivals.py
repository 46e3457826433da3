"""When orders are planned for: moments drawn beforehand, so that a slow answer cannot put off the next order."""

from __future__ import annotations

from typing import Any

import numpy as np

from shm_exchange.domain.errors import ConfigError

ARRIVALS = ("poisson", "uniform", "bursts")
BURST = 32
"""Orders of one burst: all planned for the same moment."""
ORDERS_MAX = 1 << 26

Schedule = np.ndarray[Any, np.dtype[np.int64]]


def planned_times(arrivals: str, rate: int, seconds: float, seed: int) -> Schedule:
    """Nanoseconds from the start, ascending; `rate` orders a second on average, an even number of them. Raises ConfigError.

    poisson: independent of each other, as from many people. uniform: one every 1/rate seconds. bursts: BURST at once, the bursts as in poisson.
    """
    if arrivals not in ARRIVALS:
        raise ConfigError(f"no arrivals {arrivals!r}: orders come as {', '.join(ARRIVALS)}; choose one of them")
    count = max(2, round(rate * seconds / 2) * 2)
    if count > ORDERS_MAX:
        raise ConfigError(f"{count:,} orders do not fit one run: it has at most {ORDERS_MAX:,}; give fewer seconds or a lower rate")
    mean_ns = 1e9 / rate
    if arrivals == "uniform":
        return (np.arange(count) * mean_ns).astype(np.int64)
    random = np.random.default_rng(seed)
    if arrivals == "poisson":
        return np.cumsum(random.exponential(mean_ns, count)).astype(np.int64)
    starts = np.cumsum(random.exponential(mean_ns * BURST, -(-count // BURST)))
    return np.repeat(starts, BURST)[:count].astype(np.int64)
