"""How commands, or decisions, are spread over time, beside how many there are: independently, or in clusters that excite themselves.

poisson   every moment is as good as any other
hawkes    each arrival raises the intensity by `alpha`, and what was raised decays with `beta`: intensity(t) = mu + Σ alpha exp(-beta (t - arrival))

A rate is always the mean one: mu = rate × (1 - alpha / beta). One arrival causes alpha / beta others on average, so that must stay below 1.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from shm_exchange.domain.errors import ConfigError
from shm_exchange.domain.names import nearest

KINDS = ("poisson", "hawkes")
ALPHA, BETA = 6.0, 10.0
"""Of a Hawkes process that says nothing else: an arrival causes 0.6 others, most of them within a tenth of a second."""


class Arrivals(NamedTuple):
    """What a pacer is made from. Both are per second, and 0 for a Poisson process."""

    alpha: float = 0.0
    beta: float = 0.0

    @property
    def kind(self) -> str:
        """Its name."""
        return "hawkes" if self.alpha else "poisson"

    @property
    def branching(self) -> float:
        """How many arrivals one arrival causes."""
        return self.alpha / self.beta if self.alpha else 0.0


POISSON = Arrivals()


def arrivals_of(kind: str, alpha: float | None = None, beta: float | None = None) -> Arrivals:
    """Those of that name. Raises ConfigError."""
    if kind not in KINDS:
        raise ConfigError(f"arrivals {kind!r} are not known{nearest(kind, KINDS)}; known are {', '.join(KINDS)}")
    if kind == "poisson":
        if alpha is not None or beta is not None:
            raise ConfigError("alpha and beta belong to Hawkes arrivals, and these are Poisson; say arrivals hawkes, or leave them out")
        return POISSON
    chosen = Arrivals(ALPHA if alpha is None else float(alpha), BETA if beta is None else float(beta))
    if not (0 < chosen.alpha < math.inf and 0 < chosen.beta < math.inf):
        raise ConfigError(f"alpha and beta are above 0, per second, not {chosen.alpha:g} and {chosen.beta:g}")
    if chosen.branching >= 1:
        raise ConfigError(f"alpha {chosen.alpha:g} must be below beta {chosen.beta:g}: else every arrival causes at least one more, for ever")
    return chosen
