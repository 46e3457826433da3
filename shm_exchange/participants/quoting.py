"""A market maker after Avellaneda and Stoikov: it quotes around a price of its own, which leans against what it holds.

    reservation price   mid - q gamma sigma² horizon                       q: what it holds, counted in orders
    spread              gamma sigma² horizon + 2 / gamma ln(1 + gamma / kappa)

The horizon rolls: it is always as far away, as for a maker who never goes home.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from shm_exchange.domain.enums import Side
from shm_exchange.participants.behaviour import Behaviour, parameter
from shm_exchange.participants.flows import MID_TICKS
from shm_exchange.participants.market import Market


@dataclass
class MarketMaker(Behaviour):
    """Post-only quotes on both sides, replaced when they should stand elsewhere."""

    gamma: float = parameter(0.05, "per order held", "aversion to risk", above=0.0)
    sigma: float = parameter(2.0, "ticks per square root of a second", "how much the price moves", least=0.0)
    kappa: float = parameter(0.5, "per tick", "how fast fills get rarer away from the mid", above=0.0)
    horizon: float = parameter(10.0, "s", "how far it thinks ahead", above=0.0)
    quantity: int = parameter(10, "lots", "of each quote", least=1)
    limit: int = parameter(200, "lots", "that it holds at most, either way", least=1)
    value: int = parameter(MID_TICKS, "ticks", "where it begins while there is no price", least=1)
    _quotes: dict[Side, tuple[int, int]] = field(default_factory=dict, init=False)
    """Of each side: handle, and the price last asked for."""

    def prices(self, mid_ticks: float, position: int) -> tuple[int, int]:
        """Bid and ask in whole ticks, at that mid with that position (lots)."""
        risk = self.gamma * self.sigma**2 * self.horizon
        middle = mid_ticks - position / self.quantity * risk
        half = (risk + 2 / self.gamma * math.log1p(self.gamma / self.kappa)) / 2
        bid, ask = math.floor(middle - half), math.ceil(middle + half)
        return bid, max(ask, bid + 1)

    def on_start(self, market: Market) -> None:
        """Quote at once: somebody has to be first."""
        self.on_market(market)

    def on_market(self, market: Market) -> None:
        """Have both quotes stand where they should."""
        mid, position = market.mid_ticks, market.position()
        for side, price in zip((Side.BUY, Side.SELL), self.prices(self.value if mid is None else mid, position), strict=True):
            held = position if side is Side.BUY else -position
            self._quote(market, side, price, min(self.quantity, self.limit - held))

    def _quote(self, market: Market, side: Side, price_ticks: int, lots: int) -> None:
        handle, asked = self._quotes.get(side, (0, 0))
        order = market.orders.get(handle)
        if lots <= 0:
            market.cancel(handle)
        elif order is None:
            self._quotes[side] = market.limit(side, price_ticks, lots, post_only=True), price_ticks
        elif order.is_resting and price_ticks != asked:
            market.replace(handle, price_ticks, lots, post_only=True)
            self._quotes[side] = handle, price_ticks
