"""Quotes of several venues, what is best, and what an arbitrageur makes of it."""

from __future__ import annotations

import math
from decimal import Decimal
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shm_exchange.domain.enums import Side
from shm_exchange.domain.errors import ConfigError
from shm_exchange.domain.instrument import Instrument
from shm_exchange.participants.arbitrage import Arbitrageur
from shm_exchange.participants.quote_book import Opportunity, QuoteBook, VenueTick
from shm_exchange.participants.recorded_quotes import read_quotes
from shm_exchange.participants.venues import GOLDEN, golden_tick, venue_ticks
from shm_exchange.pipeline.tick import Tick
from tests.participants.played import Played

if TYPE_CHECKING:
    from pathlib import Path

BTC = Instrument("BTC", "1", "1")


def book_of(quotes: dict[str, tuple[float, float]]) -> QuoteBook:
    book = QuoteBook()
    for venue, (bid, ask) in quotes.items():
        book.update(venue, Tick("BTC", 1, bid, ask, 5, 3))
    return book


def test_the_golden_quotes() -> None:
    book = book_of({"Binance": (42000, 42001), "Coinbase": (42005, 42008), "Kraken": (41998, 42002)})
    assert {venue: (tick.bid, tick.ask) for venue, tick in book.quotes("BTC").items()} == GOLDEN
    opportunity = book.opportunity("BTC")
    assert opportunity == Opportunity("BTC", "Binance", 42001, "Coinbase", 42005, 3)
    assert opportunity.edge == 4
    assert book.best_bid("BTC") == ("Coinbase", 42005, 5)
    assert book.best_ask("BTC") == ("Binance", 42001, 3)


def test_only_the_latest_quote_counts() -> None:
    book = book_of(GOLDEN)
    assert book.update("Coinbase", Tick("BTC", 2, 42000, 42003))
    assert book.opportunity("BTC") is None
    assert book.update("Coinbase", Tick("BTC", 2, 42001, 42003)), "the same moment, but later"
    assert not book.update("Coinbase", Tick("BTC", 1, 42009, 42010)), "older"
    assert book.quotes("BTC")["Coinbase"].bid == 42001
    assert (book.updates, book.late) == (5, 1)
    assert book.opportunity("ETH") is None
    assert book.best_bid("ETH") is book.best_ask("ETH") is None
    assert book.symbols == ["BTC"]


def test_an_edge_may_be_demanded_and_one_venue_is_no_pair() -> None:
    assert book_of(GOLDEN).opportunity("BTC", 4) is None
    assert book_of(GOLDEN).opportunity("BTC", 3.9) is not None
    assert book_of({"Only": (10, 9)}).opportunity("BTC") is None, "crossed in itself"
    assert book_of({"A": (10, 12), "B": (12, 13)}).opportunity("BTC") is None, "equal prices earn nothing"


def test_an_empty_side_is_no_quote_and_a_used_one_is_forgotten() -> None:
    book = book_of({"A": (math.nan, 10), "B": (20, math.nan), "C": (math.nan, math.nan)})
    assert book.opportunity("BTC") == Opportunity("BTC", "A", 10, "B", 20, 3)
    book.forget("BTC", ("A", "nowhere"))
    assert book.opportunity("BTC") is None
    assert book.best_ask("BTC") is None
    for quotes in ({"A": (math.nan, math.nan), "B": (20.0, math.nan), "C": (math.nan, 10.0)}, {"A": (math.nan, 10.0), "B": (20.0, 30.0)}):
        found = book_of(quotes).opportunity("BTC")
        assert found is not None
        assert found.edge == 10


_quote = st.tuples(st.integers(1, 20), st.integers(1, 20))


@given(st.dictionaries(st.sampled_from("ABCD"), _quote, min_size=1))
def test_opportunities_by_an_oracle(quotes: dict[str, tuple[int, int]]) -> None:
    edges = [quotes[seller][0] - quotes[buyer][1] for buyer, seller in product(quotes, quotes) if buyer != seller]
    found = book_of({venue: (float(bid), float(ask)) for venue, (bid, ask) in quotes.items()}).opportunity("BTC")
    if max(edges, default=0) <= 0:
        assert found is None
    else:
        assert found is not None
        assert found.edge == max(edges)
        assert (found.buy_price, found.sell_price) == (quotes[found.buy_venue][1], quotes[found.sell_venue][0])


GIVEN = Opportunity("BTC", "A", 100, "B", 104, 5)


def arbitrageur(a: Played, b: Played) -> Arbitrageur:
    return Arbitrageur({"A": a, "B": b}, {"BTC": BTC}, Decimal(4), unwind_ticks=10)


def test_both_legs_trade() -> None:
    a, b = Played([("fill", "4", "100")], instrument=BTC), Played([("fill", "1", "105"), ("fill", "3", "104")], instrument=BTC)
    trader = arbitrageur(a, b)
    done: Any = trader.take(GIVEN)
    assert (done.wanted, done.matched, done.carried, done.unwound) == (4, 4, 0, 0)
    assert a.sent == [("BTC", Side.BUY, 100, 4)]
    assert b.sent == [("BTC", Side.SELL, 104, 4)]
    assert trader.cash == trader.profit({}) == 17
    assert trader.positions == {"BTC": 0}
    assert (trader.taken, trader.missed, trader.one_legged) == (1, 0, 0)


@pytest.mark.parametrize(
    ("bought", "sold", "back_at", "side", "worst", "price", "cash"),
    [("4", "1", "A", Side.SELL, 90, "98", 104 - 400 + 3 * 98), ("0", "2", "B", Side.BUY, 114, "105", 208 - 2 * 105)],
)
def test_a_leg_too_many_is_traded_back(bought: str, sold: str, back_at: str, side: Side, worst: int, price: str, cash: int) -> None:
    excess = str(abs(int(bought) - int(sold)))
    scripts: dict[str, list[list[tuple[str, ...]]]] = {
        "A": [[*([("fill", bought, "100")] if bought != "0" else []), *([("cancel",)] if bought != "4" else [])]],
        "B": [[("fill", sold, "104"), ("cancel",)]],
    }
    scripts[back_at].append([("fill", excess, price)])
    players = {venue: Played(*script, instrument=BTC) for venue, script in scripts.items()}
    trader = arbitrageur(players["A"], players["B"])
    done: Any = trader.take(GIVEN)
    assert (done.unwound, done.carried) == (int(excess), 0)
    assert players[back_at].sent[1] == ("BTC", side, worst, int(excess))
    assert trader.cash == cash
    assert trader.positions == {"BTC": 0}
    assert trader.one_legged == 1


def test_what_cannot_be_traded_back_is_carried() -> None:
    trader = arbitrageur(Played([("fill", "4", "100")], [("fill", "1", "99"), ("cancel",)], instrument=BTC), Played([("cancel",)], instrument=BTC))
    done: Any = trader.take(GIVEN)
    assert (done.matched, done.unwound, done.carried) == (0, 1, 3)
    assert trader.positions == {"BTC": 3}
    assert trader.profit({"BTC": Decimal(101)}) == -400 + 99 + 303
    assert trader.figures()["positions"] == {"BTC": "3"}


def test_trading_back_asks_for_no_price_that_there_is_not() -> None:
    a = Played([("fill", "4", "5")], [("fill", "4", "4")], instrument=BTC)
    done: Any = arbitrageur(a, Played([("cancel",)], instrument=BTC)).take(GIVEN)
    assert (done.unwound, done.carried) == (4, 0)
    assert a.sent[1] == ("BTC", Side.SELL, 1, 4)


def test_nothing_there_any_more_and_nothing_to_take() -> None:
    trader = arbitrageur(Played([("cancel",)], instrument=BTC), Played([("cancel",)], instrument=BTC))
    done: Any = trader.take(GIVEN)
    assert (done.matched, trader.missed, trader.taken, trader.one_legged) == (0, 1, 0, 0)
    assert trader.take(GIVEN._replace(quantity=0.5)) is None
    with pytest.raises(ConfigError):
        Arbitrageur({}, {}, Decimal(0))


def test_venues_walk_by_their_seed_and_cross_now_and_then() -> None:
    def walk(venue: str, seed: int) -> list[Tick]:
        return [tick for tick, _ in zip(venue_ticks(venue, seed), range(300), strict=False)]

    assert walk("A", 1) == walk("A", 1) != walk("B", 1)
    crossed = 0
    for a, b in zip(walk("A", 1), walk("B", 1), strict=True):
        book = book_of({"A": (a.bid, a.ask), "B": (b.bid, b.ask)})
        crossed += book.opportunity("BTC") is not None
        assert a.bid < a.ask
        assert abs(a.mid_price - b.mid_price) < 30
    assert 10 < crossed < 290
    assert golden_tick("Kraken").bid == 41998


HEAD = "timestamp,venue,symbol,bid,ask,bid_size,ask_size\n"


def test_recorded_quotes(tmp_path: Path) -> None:
    path = tmp_path / "quotes.csv"
    path.write_text(HEAD + "2023-11-14T22:13:20Z,Binance,BTC,42000,42001,5,6\n\n1700000000001,Kraken,BTC,41998.5,42002,1,2\n")
    assert list(read_quotes(path)) == [
        VenueTick("Binance", Tick("BTC", 1_700_000_000_000_000_000, 42000, 42001, 5, 6)),
        VenueTick("Kraken", Tick("BTC", 1_700_000_000_001_000_000, 41998.5, 42002, 1, 2)),
    ]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "first line"),
        ("a,b\n", "first line"),
        (HEAD + "1,Binance,BTC,1,2,3\n", "line 2: 6 values"),
        (HEAD + "1,Binance,BTC,1,x,3,4\n", "line 2: ask must be"),
        (HEAD + "1,Binance,BTC,1,2,3,-4\n", "line 2: ask_size must not"),
        (HEAD + "1,,BTC,1,2,3,4\n", "line 2: venue"),
        (HEAD + "soon,V,BTC,1,2,3,4\n", "line 2: timestamp"),
        (HEAD + '1,"V,BTC,1,2,3,4\n', "no CSV"),
    ],
)
def test_recorded_quotes_that_are_wrong(tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "quotes.csv"
    path.write_text(content)
    with pytest.raises(ConfigError, match=words):
        list(read_quotes(path))
    with pytest.raises(ConfigError, match="cannot read"):
        list(read_quotes(tmp_path / "missing"))
