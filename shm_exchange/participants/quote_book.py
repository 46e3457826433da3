"""The newest quote of every venue, what is best among them, and where one venue bids more than another asks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from shm_exchange.pipeline.tick import Tick


class VenueTick(NamedTuple):
    """A tick and where it comes from."""

    venue: str
    tick: Tick


class Best(NamedTuple):
    """The best of one side."""

    venue: str
    price: float
    size: float


class Opportunity(NamedTuple):
    """Buy here, sell there, and keep the difference."""

    symbol: str
    buy_venue: str
    buy_price: float
    sell_venue: str
    sell_price: float
    quantity: float
    """What both sides have; 0 where a venue tells no sizes."""

    @property
    def edge(self) -> float:
        """What a unit earns."""
        return self.sell_price - self.buy_price


class QuoteBook:
    """Only the latest quote of a venue counts. A tick that is older than the one before it, by the venue's clock, is passed over and counted."""

    def __init__(self) -> None:
        self.updates = self.late = 0
        self._quotes: dict[str, dict[str, Tick]] = {}

    def update(self, venue: str, tick: Tick) -> bool:
        """Take a tick; whether it is the venue's newest."""
        quotes = self._quotes.setdefault(tick.symbol, {})
        before = quotes.get(venue)
        if before is not None and tick.timestamp_ns < before.timestamp_ns:
            self.late += 1
            return False
        quotes[venue] = tick
        self.updates += 1
        return True

    def quotes(self, symbol: str) -> dict[str, Tick]:
        """The newest of each venue, in the order of their names."""
        return dict(sorted(self._quotes.get(symbol, {}).items()))

    @property
    def symbols(self) -> list[str]:
        """Those that were quoted."""
        return sorted(self._quotes)

    def best_bid(self, symbol: str) -> Best | None:
        """The highest of all venues; of equal ones the first by name."""
        return max(self._bids(symbol), key=lambda best: best.price, default=None)

    def best_ask(self, symbol: str) -> Best | None:
        """The lowest of all venues; of equal ones the first by name."""
        return min(self._asks(symbol), key=lambda best: best.price, default=None)

    def opportunity(self, symbol: str, least_edge: float = 0.0) -> Opportunity | None:
        """The pair of different venues with the greatest edge, if it is above `least_edge`; of equal pairs the first by the buyer's name."""
        pairs = [
            Opportunity(symbol, ask.venue, ask.price, bid.venue, bid.price, min(ask.size, bid.size))
            for ask in self._asks(symbol)
            for bid in self._bids(symbol)
            if ask.venue != bid.venue
        ]
        best = max(pairs, key=lambda pair: pair.edge, default=None)
        return best if best is not None and best.edge > least_edge else None

    def forget(self, symbol: str, venues: Iterable[str]) -> None:
        """These quotes were traded against: they count no more until their venues quote again."""
        for venue in venues:
            self._quotes.get(symbol, {}).pop(venue, None)

    def _bids(self, symbol: str) -> list[Best]:
        """A price that is no number is an empty side."""
        return [Best(venue, tick.bid, tick.bid_size) for venue, tick in self.quotes(symbol).items() if tick.bid == tick.bid]

    def _asks(self, symbol: str) -> list[Best]:
        return [Best(venue, tick.ask, tick.ask_size) for venue, tick in self.quotes(symbol).items() if tick.ask == tick.ask]
