"""`shm-exchange pipeline aggregator`: the quotes of several venues in one book, and what an arbitrageur makes of it.

    exchange × 3 ── event ring, snapshots ──▶ MarketFeed × 3 ─┐ conflated by venue and symbol
                                                              ├─▶ aggregate ─▶ best of all, arbitrage ─▶ gateway × 2
    recorded quotes, or feeds from afar ──────────────────────┘ every quote; arbitrage on paper

Every venue of our own is an exchange with a market maker in a process of its own. They begin with the golden quotes, and wait until the first
arbitrage is done; then they walk.
"""

from __future__ import annotations

import math
import os
import time
from abc import abstractmethod
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from shm_exchange.cli.pipeline_feeds import FeedSource, FileSource
from shm_exchange.cli.pipeline_run import Line, Ready
from shm_exchange.participants.arbitrage import Arbitrage, Arbitrageur
from shm_exchange.participants.quote_book import Opportunity, QuoteBook, VenueTick
from shm_exchange.participants.venues import GOLDEN, INSTRUMENT, SYMBOL, Stand, make_market

if TYPE_CHECKING:
    from shm_exchange.participants.market_feed import MarketFeed
    from shm_exchange.supervisor.exchange import Exchange
    from shm_exchange.supervisor.spawn import Child

MAX_QUANTITY = Decimal(5)
_QUEUE = 256
_SIZES: dict[str, Any] = {"max_sessions": 4, "max_orders": 1024, "event_capacity": 8192}
_FIRST = ("Binance", 42001.0, "Coinbase", 42005.0)
_SHOWN_SYMBOLS = 4
_NAP_SECONDS = 0.005


class Wishes(NamedTuple):
    """What is asked for."""

    seed: int = 1
    rate: float = 200.0
    """Quotes a second of each venue."""
    quotes: Path | None = None
    feeds: tuple[tuple[str, str], ...] = ()
    """(venue, URL) each."""
    symbols: tuple[str, ...] = (SYMBOL,)
    ticks: int | None = None
    """Of each feed."""


def aggregator(wishes: Wishes) -> Ready:
    """The one of the two kinds that is asked for."""
    return Paper(wishes) if wishes.quotes or wishes.feeds else Venues(wishes)


class Aggregator(Ready):
    """What both kinds share: the book of quotes, and the stage that keeps it."""

    name = "aggregator"

    def __init__(self, wishes: Wishes) -> None:
        super().__init__()
        self.wishes = wishes
        self.book = QuoteBook()
        self.opportunities = 0
        self.first: Opportunity | None = None

    def aggregate(self, item: VenueTick) -> None:
        """The handler of the only stage: a quote, and whatever it makes possible."""
        symbol = item.tick.symbol
        if not self.book.update(*item) or not self.is_ready(symbol):
            return
        opportunity = self.book.opportunity(symbol)
        if opportunity is not None:
            self.opportunities += 1
            self.first = self.first or opportunity
            self.take(opportunity)
            self.book.forget(symbol, (opportunity.buy_venue, opportunity.sell_venue))

    @abstractmethod
    def is_ready(self, symbol: str) -> bool:
        """Whether enough is known to trade."""

    @abstractmethod
    def take(self, opportunity: Opportunity) -> None:
        """Make something of it."""

    @abstractmethod
    def profit_text(self) -> str:
        """For the live view."""

    def lines(self) -> list[Line]:
        """As Ready says."""
        said = [("quotes", f"{self.book.updates:,}"), ("opportunities", f"{self.opportunities:,}"), ("profit", self.profit_text())]
        for symbol in self.book.symbols[:_SHOWN_SYMBOLS]:
            bid, ask = self.book.best_bid(symbol), self.book.best_ask(symbol)
            venues = "  ".join(f"{venue} {_price(tick.bid)}/{_price(tick.ask)}" for venue, tick in self.book.quotes(symbol).items())
            best = (f"{_price(one.price)} {one.venue}" if one else "-" for one in (bid, ask))
            said.append((symbol, f"best {' / '.join(best)}  of  {venues}"))
        return said

    def found(self) -> dict[str, Any]:
        """Figures of the book."""
        return {
            "quotes": self.book.updates,
            "late": self.book.late,
            "opportunities": self.opportunities,
            "first": self.first._asdict() if self.first else None,
            "best": {symbol: self._best(symbol) for symbol in self.book.symbols},
            "venues": {
                symbol: {venue: {"bid": _number(tick.bid), "ask": _number(tick.ask)} for venue, tick in self.book.quotes(symbol).items()}
                for symbol in self.book.symbols
            },
        }

    def _best(self, symbol: str) -> dict[str, Any]:
        bid, ask = self.book.best_bid(symbol), self.book.best_ask(symbol)
        return {"bid": bid._asdict() if bid else None, "ask": ask._asdict() if ask else None}


class Venues(Aggregator):
    """Three exchanges of our own."""

    def open(self) -> None:
        """As Ready says."""
        from shm_exchange.client import Gateway
        from shm_exchange.participants.board import FIRST_TRADER_ROW, PARENT_ROW, Board
        from shm_exchange.participants.market_feed import MarketFeed
        from shm_exchange.supervisor.exchange import Exchange

        self._board = Board(len(GOLDEN))
        self.stack.callback(self._board.close)
        self._parent = self._board.rows[PARENT_ROW : PARENT_ROW + 1]
        self._exchanges: dict[str, Exchange] = {}
        self._feeds: dict[str, MarketFeed] = {}
        self._makers: list[Child[dict[str, Any]]] = []
        for number, venue in enumerate(GOLDEN):
            name = f"aggregator-{os.getpid()}-{venue.lower()}"
            exchange = self._exchanges[venue] = self.stack.enter_context(Exchange.start(name, [INSTRUMENT], **_SIZES))
            self._feeds[venue] = self.stack.enter_context(MarketFeed.attach(name, [SYMBOL]))
            stand = Stand(venue, self.wishes.seed, self.wishes.rate, self._board.path, number)
            self._makers += exchange.spawn(make_market, stand, session="maker")
        gateways = {venue: self.stack.enter_context(Gateway.attach(item.name, session="arbitrageur")) for venue, item in self._exchanges.items()}
        self._trader = Arbitrageur(gateways, {SYMBOL: INSTRUMENT}, MAX_QUANTITY)
        self._done: list[Arbitrage] = []
        self._is_quoted = False
        self._middle = Decimal(0)
        quotes = self.pipeline.queue("quotes", maxsize=_QUEUE, policy="conflate", key=_venue_and_symbol)
        for venue, feed in self._feeds.items():
            self.pipeline.source(venue, _venue_ticks(venue, feed), output=quotes)
        self.pipeline.sink("aggregate", self.aggregate, input=quotes, tick_time=_tick_time)
        while not self._board.rows["ready"][FIRST_TRADER_ROW:].all():
            self._mourn()
            time.sleep(_NAP_SECONDS)

    def wait(self, seconds: float) -> bool:
        """As Ready says. Raises ProcessDied when a market maker has died."""
        self._mourn()
        return super().wait(seconds)

    def _mourn(self) -> None:
        for maker in self._makers:
            if maker.problem:
                maker.wait(0)

    def has_begun(self) -> bool:
        """As Ready says: the golden arbitrage was seen."""
        return bool(self._done)

    def quiet(self) -> None:
        """As Ready says."""
        for feed in self._feeds.values():
            feed.end()

    def is_ready(self, symbol: str) -> bool:
        """Once every venue has quoted both sides; a venue that is swept later is not waited for."""
        if not self._is_quoted:
            quotes = self.book.quotes(symbol)
            self._is_quoted = len(quotes) == len(GOLDEN) and all(math.isfinite(tick.mid_price) for tick in quotes.values())
        return self._is_quoted

    def take(self, opportunity: Opportunity) -> None:
        """Both legs, through the gateways of both venues; after the first the makers may walk."""
        done = self._trader.take(opportunity)
        if done is not None:
            self._done.append(done)
        self._parent["go"] = 1

    def profit_text(self) -> str:
        """And of how many."""
        return f"{self._profit():+,.0f} in {self._trader.taken:,} arbitrages, {self._trader.one_legged:,} one-legged"

    def figures(self) -> dict[str, Any]:
        """As Ready says: the makers withdraw, and everybody's books are compared."""
        profit = self._profit()
        self._parent["stop"] = 1
        makers = {account["venue"]: account for account in (maker.wait() for maker in self._makers)}
        trader = self._trader
        first = (self.first.buy_venue, self.first.buy_price, self.first.sell_venue, self.first.sell_price) if self.first else None
        checks = {
            "golden": first == _FIRST and bool(self._done) and self._done[0].matched == MAX_QUANTITY,
            "cash_and_positions_sum_to_zero": all(self._is_zero(venue, makers[venue]) for venue in GOLDEN),
            "arbitrages_accounted_for": trader.positions.get(SYMBOL, 0) == sum(done.carried for done in self._done),
            "no_feed_was_lapped": not any(feed.gaps for feed in self._feeds.values()),
            "book_check": all(exchange.verify().holds for exchange in self._exchanges.values()),
        }
        return {
            **self.found(),
            "profit": round(float(profit), 9),
            "arbitrageur": trader.figures(),
            "makers": makers,
            "checks": checks,
        }

    def _is_zero(self, venue: str, maker: dict[str, Any]) -> bool:
        held = self._trader.holdings[venue]
        return not held.cash + Decimal(maker["cash"]) and not held.position(SYMBOL) + Decimal(maker["position"])

    def _profit(self) -> Decimal:
        """Marked to the middle of the best of all venues."""
        quotes = [tick.mid_price for tick in self.book.quotes(SYMBOL).values() if math.isfinite(tick.mid_price)]
        middle = Decimal(repr(sum(quotes) / len(quotes))) if quotes else self._middle
        self._middle = middle
        return self._trader.profit({SYMBOL: middle})


class Paper(Aggregator):
    """Quotes of others: recorded, or from feeds. What could be earned is written down."""

    def __init__(self, wishes: Wishes) -> None:
        super().__init__(wishes)
        self._earned = 0.0
        self._feeds: list[FeedSource] = []

    def open(self) -> None:
        """As Ready says."""
        quotes = self.pipeline.queue("quotes", maxsize=_QUEUE)
        if self.wishes.quotes is not None:
            file = FileSource(self.wishes.quotes)
            self.outside.append(file)
            self.pipeline.source("quotes", file, output=quotes)
        for venue, url in self.wishes.feeds:
            feed = FeedSource(url, list(self.wishes.symbols), self.wishes.ticks, venue)
            self._feeds.append(feed)
            self.pipeline.source(venue, feed, output=quotes)
        self.outside += self._feeds
        self.pipeline.sink("aggregate", self.aggregate, input=quotes, tick_time=_tick_time if self._feeds else None)

    def is_ready(self, symbol: str) -> bool:  # noqa: ARG002 (paper trades on whatever is known)
        """At once."""
        return True

    def take(self, opportunity: Opportunity) -> None:
        """On paper."""
        self._earned += opportunity.edge * opportunity.quantity

    def profit_text(self) -> str:
        """On paper."""
        return f"{self._earned:+,.2f} on paper"

    def figures(self) -> dict[str, Any]:
        """As Ready says."""
        feeds = {venue: feed.figures()._asdict() for (venue, _), feed in zip(self.wishes.feeds, self._feeds, strict=True)}
        checks = {"quotes_came": self.book.updates > 0 and all(feed.figures().ticks for feed in self._feeds)}
        return {**self.found(), "profit": round(self._earned, 9), "feeds": feeds or None, "checks": checks}


def _venue_ticks(venue: str, feed: MarketFeed) -> Iterator[VenueTick]:
    return (VenueTick(venue, tick) for tick in feed)


def _venue_and_symbol(item: VenueTick) -> tuple[str, str]:
    return item.venue, item.tick.symbol


def _tick_time(item: VenueTick) -> int:
    return item.tick.timestamp_ns


def _price(price: float) -> str:
    return "-" if math.isnan(price) else f"{price:,.10g}"


def _number(price: float) -> float | None:
    return None if math.isnan(price) else price
