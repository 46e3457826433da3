"""An arbitrageur: buys at one venue what it sells at another at the same moment, through a gateway at each.

Both legs are immediate-or-cancel orders, sent before either answer is awaited. Where one leg trades less than the other, the rest is unwound at once:
traded back at its own venue, up to `unwind_ticks` worse than it was filled. What even that does not fill is carried, and counted as `carried`.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from shm_exchange.domain.enums import Side
from shm_exchange.domain.errors import ConfigError
from shm_exchange.domain.instrument import Instrument
from shm_exchange.participants.holdings import NOTHING, Holdings, added
from shm_exchange.participants.quote_book import Opportunity
from shm_exchange.participants.taking import Taken, Trading, await_end, price_for, quantity_for, send, take

UNWIND_TICKS = 100


class Arbitrage(NamedTuple):
    """What became of an opportunity."""

    opportunity: Opportunity
    wanted: Decimal
    bought: Decimal
    sold: Decimal
    unwound: Decimal
    """Of the leg that had traded more, traded back."""

    @property
    def matched(self) -> Decimal:
        """Bought here and sold there."""
        return min(self.bought, self.sold)

    @property
    def carried(self) -> Decimal:
        """Left as a position; below 0: short."""
        excess = self.bought - self.sold
        return excess - self.unwound if excess > 0 else excess + self.unwound


class Arbitrageur:
    """gateways: one for each venue. max_quantity: units of one arbitrage at most. For one thread. Raises ConfigError."""

    def __init__(
        self, gateways: Mapping[str, Trading], instruments: Mapping[str, Instrument], max_quantity: Decimal, unwind_ticks: int = UNWIND_TICKS
    ) -> None:
        if max_quantity <= 0 or unwind_ticks < 0:
            raise ConfigError(f"an arbitrageur needs a quantity above 0 and unwind_ticks from 0, not {max_quantity} and {unwind_ticks}")
        self.holdings = {venue: Holdings() for venue in gateways}
        self.taken = self.missed = self.one_legged = 0
        """Opportunities of which both legs traded, none did, or one traded more than the other."""
        self._gateways, self._instruments = gateways, instruments
        self._max_quantity, self._unwind_ticks = max_quantity, unwind_ticks

    def take(self, opportunity: Opportunity) -> Arbitrage | None:
        """Trade both legs; None where there is less than a lot. Raises ExchangeError when a matcher dies, KeyError for a venue without a gateway."""
        instrument = self._instruments[opportunity.symbol]
        wanted = min(quantity_for(instrument, opportunity.quantity), self._max_quantity)
        wanted = quantity_for(instrument, wanted)
        if not wanted:
            return None
        symbol, buyer, seller = opportunity.symbol, self._gateways[opportunity.buy_venue], self._gateways[opportunity.sell_venue]
        buy = send(buyer, symbol, Side.BUY, price_for(instrument, Side.BUY, opportunity.buy_price), wanted)
        sell = send(seller, symbol, Side.SELL, price_for(instrument, Side.SELL, opportunity.sell_price), wanted)
        bought, sold = await_end(buyer, [buy])[0], await_end(seller, [sell])[0]
        self._keep(opportunity.buy_venue, bought)
        self._keep(opportunity.sell_venue, sold)
        unwound = self._unwound(opportunity, bought, sold)
        self.taken += bool(bought.fills and sold.fills)
        self.missed += not (bought.fills or sold.fills)
        self.one_legged += bought.quantity != sold.quantity
        return Arbitrage(opportunity, wanted, bought.quantity, sold.quantity, unwound)

    @property
    def positions(self) -> dict[str, Decimal]:
        """Of each symbol, all venues together: zero but for what is carried."""
        return added(self.holdings.values())[1]

    @property
    def cash(self) -> Decimal:
        """All venues together: with no position it is the profit."""
        return added(self.holdings.values())[0]

    def profit(self, marks: Mapping[str, Decimal]) -> Decimal:
        """Cash, and what is carried at these prices."""
        return self.cash + sum((position * marks[symbol] for symbol, position in self.positions.items() if position), NOTHING)

    def figures(self) -> dict[str, Any]:
        """Plain data, fit for JSON."""
        return {
            "taken": self.taken,
            "missed": self.missed,
            "one_legged": self.one_legged,
            "cash": str(self.cash),
            "positions": {symbol: str(position) for symbol, position in sorted(self.positions.items()) if position},
            "venues": {venue: holdings.figures() for venue, holdings in self.holdings.items()},
        }

    def _unwound(self, opportunity: Opportunity, bought: Taken, sold: Taken) -> Decimal:
        """Trade back what one leg has more than the other; how much that was."""
        excess = bought.quantity - sold.quantity
        if not excess:
            return NOTHING
        venue, side, leg = (opportunity.buy_venue, Side.SELL, bought) if excess > 0 else (opportunity.sell_venue, Side.BUY, sold)
        instrument = self._instruments[opportunity.symbol]
        step = self._unwind_ticks * instrument.tick
        worst = leg.fills[-1].price + (step if side is Side.BUY else -step)
        worst = max(worst, instrument.price(instrument.min_ticks))
        back = take(self._gateways[venue], opportunity.symbol, side, worst, abs(excess))
        self._keep(venue, back)
        return back.quantity

    def _keep(self, venue: str, taken: Taken) -> None:
        for fill in taken.fills:
            self.holdings[venue].fill(*fill)
