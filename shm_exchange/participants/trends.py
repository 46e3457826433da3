"""Two who trade on where the price has been: momentum goes along, mean reversion goes against. Both compare two averages of the mid."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from shm_exchange.domain.enums import Side, TimeInForce
from shm_exchange.participants.behaviour import Behaviour, parameter
from shm_exchange.participants.market import Market


@dataclass
class Momentum(Behaviour):
    """Holds `quantity` in the direction in which the fast average is away from the slow one, and nothing where they agree."""

    fast: float = parameter(0.5, "s", "how long the fast average remembers; 0: it is the mid itself", least=0.0)
    slow: float = parameter(5.0, "s", "how long the slow average remembers", above=0.0)
    threshold: float = parameter(2.0, "ticks", "between the averages, from which on it acts", least=0.0)
    quantity: int = parameter(10, "lots", "that it holds, either way", least=1)
    through: int = parameter(2, "ticks", "that it pays through the touch at most", least=0)
    _averages: list[float] = field(default_factory=list, init=False)
    _seen_ns: int = field(default=0, init=False)

    def target(self, distance: float) -> int:
        """Lots to hold where the fast average is so many ticks above the slow one."""
        return self.quantity if distance > self.threshold else -self.quantity if distance < -self.threshold else 0

    def on_market(self, market: Market) -> None:
        """Average, compare, and trade towards the target when nothing is on its way."""
        mid = market.mid_ticks
        if mid is None:
            return
        if not self._averages:
            self._averages, self._seen_ns = [mid, mid], market.now_ns
        passed = (market.now_ns - self._seen_ns) / 1e9
        self._seen_ns = market.now_ns
        for index, memory in enumerate((self.fast, self.slow)):
            weight = 1.0 if memory <= 0 else -math.expm1(-passed / memory)
            self._averages[index] += weight * (mid - self._averages[index])
        wanted = self.target(self._averages[0] - self._averages[1]) - market.position()
        if wanted and not market.orders:
            take(market, Side.BUY if wanted > 0 else Side.SELL, abs(wanted), self.through)


@dataclass
class MeanReversion(Momentum):
    """The opposite: it sells what has risen, and expects it back."""

    fast: float = parameter(0.0, "s", "how long the fast average remembers; 0: it is the mid itself", least=0.0)

    def target(self, distance: float) -> int:
        """Lots to hold where the fast average is so many ticks above the slow one."""
        return -super().target(distance)


def take(market: Market, side: Side, lots: int, through: int) -> int:
    """Trade at once with what the other side shows, up to so many ticks through it; the handle, or 0 where there is nothing to trade with."""
    best = market.ask_ticks if side is Side.BUY else market.bid_ticks
    if best is None or lots <= 0:
        return 0
    return market.limit(side, best + (through if side is Side.BUY else -through), lots, time_in_force=TimeInForce.IOC)
