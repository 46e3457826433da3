"""How many items a queue should hold."""

from __future__ import annotations

import math

from shm_exchange.domain.errors import ConfigError


def size(burst_seconds: float, rate: float, safety: float = 2) -> int:
    """A maxsize that takes a burst: `burst_seconds` at `rate` items a second above what the consumer can do, times `safety`. Raises ConfigError."""
    for name, value, least in (("burst_seconds", burst_seconds, 0), ("rate", rate, 0), ("safety", safety, 1)):
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < least or value == 0:
            wanted = "at least 1" if least else "above 0"
            raise ConfigError(f"{name} must be a number {wanted}, not {value!r}; a queue for 5 s at 100 items a second is size(5, 100)")
    return max(1, math.ceil(round(burst_seconds * rate * safety, 6)))
