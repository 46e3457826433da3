"""A latency arbitrageur: it watches a fast price, and hits quotes of a slow market that have not followed yet."""

from __future__ import annotations

from dataclasses import dataclass

from shm_exchange.domain.enums import Side, TimeInForce
from shm_exchange.participants.behaviour import Behaviour, parameter
from shm_exchange.participants.market import Market
from shm_exchange.participants.quotes import mid_of


@dataclass
class LatencyArbitrageur(Behaviour):
    """Trades its symbol by the price of the first that it watches: another symbol, or the same at another exchange."""

    needs_watch = True
    edge: float = parameter(3.0, "ticks", "between the stale quote and the fast price, from which on it hits", above=0.0)
    quantity: int = parameter(10, "lots", "of each order at most", least=1)
    limit: int = parameter(100, "lots", "that it holds at most, either way", least=1)

    def on_market(self, market: Market) -> None:
        """Hit what is stale; else give back what it holds once the market has followed."""
        fair, quote, position = mid_of(market.quote(market.watched[0])), market.quote(), market.position()
        if fair is None or market.orders:
            return
        if quote.ask_lots and fair - quote.ask_ticks >= self.edge and position < self.limit:
            lots = min(self.quantity, quote.ask_lots, self.limit - position)
            market.limit(Side.BUY, quote.ask_ticks, lots, time_in_force=TimeInForce.IOC)
        elif quote.bid_lots and quote.bid_ticks - fair >= self.edge and position > -self.limit:
            lots = min(self.quantity, quote.bid_lots, self.limit + position)
            market.limit(Side.SELL, quote.bid_ticks, lots, time_in_force=TimeInForce.IOC)
        elif position > 0 and quote.bid_lots and quote.bid_ticks >= fair:
            market.limit(Side.SELL, quote.bid_ticks, min(position, quote.bid_lots, self.quantity), time_in_force=TimeInForce.IOC)
        elif position < 0 and quote.ask_lots and quote.ask_ticks <= fair:
            market.limit(Side.BUY, quote.ask_ticks, min(-position, quote.ask_lots, self.quantity), time_in_force=TimeInForce.IOC)
