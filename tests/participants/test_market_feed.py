"""Ticks out of a running exchange, and a quote that is kept in its book."""

from __future__ import annotations

import math
import os
import threading
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from shm_exchange import Exchange, Gateway, Instrument, Side
from shm_exchange.client.feed import EventFeed
from shm_exchange.domain.enums import EventKind
from shm_exchange.domain.errors import ConfigError, ExchangeNotFound, UnknownSymbol
from shm_exchange.participants.market_feed import MarketFeed
from shm_exchange.participants.quoter import Quoter
from shm_exchange.participants.taking import take
from shm_exchange.pipeline.tick import Tick

if TYPE_CHECKING:
    from collections.abc import Iterator

ACME, GLOBEX = Instrument("ACME", "0.5", "0.1"), Instrument("GLOBEX", "1", "1")
SIZES: dict[str, Any] = {"max_sessions": 4, "max_orders": 4096, "event_capacity": 1024}


@pytest.fixture(scope="module")
def exchange() -> Iterator[Exchange]:
    with Exchange.start(f"mf{os.getpid()}", [ACME, GLOBEX], **SIZES) as exchange:
        yield exchange


@pytest.fixture
def maker(exchange: Exchange) -> Iterator[Gateway]:
    with Gateway.attach(exchange.name, session="maker") as gateway:
        yield gateway
        Quoter(gateway, ACME).withdraw()


@pytest.fixture
def taker(exchange: Exchange) -> Iterator[Gateway]:
    with Gateway.attach(exchange.name, session="taker") as gateway:
        yield gateway


@pytest.fixture
def feed(exchange: Exchange, maker: Gateway) -> Iterator[MarketFeed]:
    with MarketFeed.attach(exchange.name, ["ACME"]) as feed:
        yield feed


def polled(feed: MarketFeed, count: int) -> list[Tick]:
    ticks: list[Tick] = []
    while len(ticks) < count:
        ticks += feed.poll()
    assert len(ticks) == count
    return ticks


def quote(bid: float, ask: float, size: float = 2) -> Tick:
    return Tick("ACME", 0, bid, ask, size, size)


def told(tick: Tick) -> tuple[float, ...]:
    return tuple(-1 if math.isnan(number) else number for number in tick[2:])


def test_quotes_trades_and_their_times(exchange: Exchange, maker: Gateway, taker: Gateway, feed: MarketFeed) -> None:
    events = EventFeed.attach(exchange.name)
    quoter = Quoter(maker, ACME)
    assert feed.first() == []
    taken = []
    maker.limit("ACME", Side.SELL, price="101.5", quantity="2")
    taken += polled(feed, 1)
    maker.limit("ACME", Side.BUY, price="100", quantity="3")
    taken += polled(feed, 1)
    maker.limit("ACME", Side.BUY, price="99", quantity="3")  # below the best
    maker.limit("GLOBEX", Side.BUY, price="99", quantity="3")  # another symbol
    assert take(taker, "ACME", Side.SELL, "99.5", "1.2").quantity == Decimal("1.2")
    taken += polled(feed, 1)
    assert take(taker, "ACME", Side.BUY, "101.5", "2").quantity == 2
    taken += polled(feed, 1)
    assert [told(tick) for tick in taken] == [(-1, 101.5, 0, 2, 0), (100, 101.5, 3, 2, 0), (100, 101.5, 1.8, 2, 1.2), (100, -1, 1.8, 0, 3.2)]
    times = {event.time_ns for event in events.poll() if event.symbol == "ACME" and event.kind in (EventKind.ACCEPTED, EventKind.EXECUTED)}
    assert {tick.timestamp_ns for tick in taken} <= times
    assert feed.poll() == []
    quoter.withdraw()
    assert told(polled(feed, 1)[0]) == (-1, -1, 0, 0, 3.2)
    events.close()


def test_a_command_that_trades_with_many_is_one_tick(maker: Gateway, taker: Gateway, feed: MarketFeed) -> None:
    for price in ("100.5", "100", "100"):  # the last makes the best two
        maker.limit("ACME", Side.SELL, price=price, quantity=1)
    quotes = feed.poll()
    while not quotes or quotes[-1].ask_size != 2:
        quotes += feed.poll()
    taken = take(taker, "ACME", Side.BUY, "100.5", 3)
    assert len(taken.fills) == 3
    assert told(polled(feed, 1)[0]) == (-1, -1, 0, 0, 3)


def test_a_lapped_feed_counts_a_gap_and_goes_on(exchange: Exchange, maker: Gateway, feed: MarketFeed) -> None:
    quoter = Quoter(maker, ACME)
    for step in range(700):
        quoter.show(quote(100 + step % 2, 102 + step % 2))
    ticks = feed.poll()
    assert feed.gaps == 1
    assert feed.missed > 0
    assert [told(tick) for tick in ticks] == [(101, 103, 2, 2, 0)]
    quoter.show(quote(90, 95))
    later: list[Tick] = []
    while not later or later[-1].ask != 95:
        later += feed.poll()
    assert feed.gaps == 1
    assert exchange.verify().holds


def test_the_quote_moves_without_meeting_itself(exchange: Exchange, maker: Gateway, taker: Gateway, feed: MarketFeed) -> None:
    quoter = Quoter(maker, ACME)
    ticks = []
    for bid, ask in ((100.0, 101.0), (110.0, 111.0), (90.0, 91.0), (90.0, 95.0), (94.0, 95.0)):
        quoter.show(quote(bid, ask))
        ticks += feed.poll()
    assert quoter.holdings.fills == 0, "never with itself"
    assert take(taker, "ACME", Side.BUY, "95", "2").quantity == 2
    quoter.show(quote(94.3, 95.2))
    assert quoter.holdings.position("ACME") == -2
    assert quoter.holdings.cash == 190
    while not ticks or ticks[-1].ask != 95.5:
        ticks += feed.poll()
    assert told(ticks[-1])[:2] == (94, 95.5), "a bid is rounded down, an ask up"
    assert take(taker, "ACME", Side.SELL, "94", "2.5").quantity == 2
    quoter.withdraw()
    assert quoter.holdings.position("ACME") == 0
    assert quoter.holdings.cash == 2
    assert exchange.status()["open_orders"] >= 0


def test_iterating_begins_with_what_is_there_and_ends_when_told(exchange: Exchange, maker: Gateway) -> None:
    quoter = Quoter(maker, ACME)
    quoter.show(quote(100, 101))
    with MarketFeed.attach(exchange.name) as feed:
        ticks: list[Tick] = []
        first = threading.Event()

        def follow() -> None:
            for tick in feed:
                ticks.append(tick)
                if tick.symbol == "ACME":
                    first.set()

        thread = threading.Thread(target=follow)
        thread.start()
        assert first.wait(60)
        feed.end()
        thread.join(60)
        assert not thread.is_alive()
    assert (ticks[0].symbol, *told(ticks[0])) == ("ACME", 100, 101, 2, 2, 0)


def test_iterating_ends_with_the_exchange() -> None:
    with Exchange.start(f"me{os.getpid()}", [GLOBEX], max_sessions=2, max_orders=256) as short, MarketFeed.attach(short.name) as feed:
        follower = threading.Thread(target=lambda: list(feed))
        follower.start()
        short.stop()
        follower.join(60)
        assert not follower.is_alive()


def test_what_there_is_not(exchange: Exchange) -> None:
    with pytest.raises(UnknownSymbol):
        MarketFeed.attach(exchange.name, ["NOBODY"])
    with pytest.raises(ConfigError, match="list"):
        MarketFeed.attach(exchange.name, "ACME")
    with pytest.raises(ExchangeNotFound):
        MarketFeed.attach("nobody-runs-this")
