"""The stages from a tick to a trade: the golden list, each rule at its edges, and orders against a gateway that is played by hand."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shm_exchange.domain.enums import EventKind, Side
from shm_exchange.domain.errors import ConfigError, ExchangeError
from shm_exchange.domain.instrument import Instrument
from shm_exchange.participants.holdings import Holdings, added
from shm_exchange.participants.signals import Enrich, Enriched, Execution, Risk, Signal, Sizing, kelly_fraction, signal_of, win_probability
from shm_exchange.participants.taking import price_for, quantity_for, take
from shm_exchange.pipeline.feed_source import ticks_at
from shm_exchange.pipeline.tick import Tick
from tests.participants.played import Played

if TYPE_CHECKING:
    from collections.abc import Iterable

GOLDEN = (42000, 42050, 42100, 42080, 42150, 42200, 42180)
BTC = Instrument("BTC", "0.5", "0.001")
INSTRUMENTS = {"BTC": BTC}


def enriched(prices: Iterable[float]) -> list[Enriched]:
    enrich = Enrich()
    return [found for tick in ticks_at("BTC", prices, half_spread=0.5) if (found := enrich(tick))]


def test_the_golden_list_has_four_buys_and_one_trade() -> None:
    signals = [found for one in enriched(GOLDEN) if (found := signal_of(one))]
    assert [(signal.side, signal.tick.mid_price) for signal in signals] == [(Side.BUY, price) for price in (42050, 42100, 42150, 42200)]
    risk = Risk(Decimal(100))
    gateway = Played([("fill", "0.394", "42150.5")])
    sizing, execution = Sizing(INSTRUMENTS, risk, Decimal(100_000)), Execution(gateway, risk)
    trades = [execution(order) for signal in signals if (passed := risk(signal)) and (order := sizing(passed))]
    assert len(trades) == execution.executed == 1
    signal = trades[0].order.signal
    assert signal.tick.mid_price == GOLDEN[4]
    assert round(signal.confidence, 3) == round(signal.change_percent, 3) == 0.166
    assert risk.skipped == 3
    assert trades[0].order.price == Decimal("42150.5"), "what is asked"
    assert trades[0].order.quantity == Decimal("0.394"), "100,000 × 0.1663 / 42,150.5"
    execution.mark(Tick("BTC", 0, 42200, 42201))
    assert execution.profit == Decimal("0.394") * (Decimal("42200.5") - Decimal("42150.5"))


def test_the_average_is_of_the_last_five_and_the_change_to_the_one_before() -> None:
    found = enriched([10, 20, 30, 40, 50, 60, 30])
    assert [one.average for one in found] == [15, 20, 25, 30, 40, 42]
    assert [one.change_percent for one in found][:2] == [100, 50]
    assert found[-1].change_percent == -50


def test_symbols_do_not_mix_and_empty_sides_are_passed_over() -> None:
    enrich = Enrich()
    assert enrich(Tick("A", 0, 10, 10)) is None
    assert enrich(Tick("B", 0, 99, 99)) is None
    assert enrich(Tick("A", 0, math.nan, 10)) is None
    found = enrich(Tick("A", 0, 11, 11))
    assert found is not None
    assert (found.average, round(found.change_percent, 9)) == (10.5, 10)
    assert Enrich()(Tick("A", 0, 0, 0)) is None
    negative = Enrich()
    negative(Tick("A", 0, -10, -10))
    rising = negative(Tick("A", 0, -9, -9))
    assert rising is not None
    assert rising.change_percent == pytest.approx(10)


@given(st.lists(st.integers(1, 10**6), min_size=2, max_size=30))
def test_enriched_by_an_oracle(prices: list[int]) -> None:
    for index, one in enumerate(enriched(prices), 1):
        window = prices[max(0, index - 4) : index + 1]
        assert one.average == pytest.approx(float(Fraction(sum(window), len(window))))
        assert one.change_percent == pytest.approx(float(Fraction(100 * (prices[index] - prices[index - 1]), prices[index - 1])))


@pytest.mark.parametrize(
    ("mid", "average", "change", "side"),
    [
        (100, 99, 0.11, Side.BUY),
        (100, 99, 0.1, None),
        (100, 100, 0.5, None),
        (100, 101, 0.5, None),
        (100, 101, -0.11, Side.SELL),
        (100, 101, -0.1, None),
        (100, 99, -0.5, None),
    ],
)
def test_a_signal_needs_both(mid: float, average: float, change: float, side: Side | None) -> None:
    signal = signal_of(Enriched(Tick("BTC", 0, mid, mid), average, change))
    assert (signal and signal.side) == side
    if signal:
        assert signal.confidence == abs(change)


def test_confidence_ends_at_one() -> None:
    signal = signal_of(Enriched(Tick("BTC", 0, 100, 100), 50, 7.0))
    assert signal is not None
    assert signal.confidence == 1


def signal(side: Side = Side.BUY, confidence: float = 0.5, price: float = 100) -> Signal:
    return Signal("BTC", side, confidence, confidence, Tick("BTC", 0, price, price))


def test_what_is_too_unsure_is_skipped() -> None:
    risk = Risk(Decimal(1))
    assert risk(signal(confidence=0.15)) is None
    assert risk(signal(confidence=0.1500001)) is not None
    assert (risk.skipped, risk.rejected) == (1, 0)
    with pytest.raises(ConfigError, match="max_position"):
        Risk(Decimal(0))


def test_what_would_be_too_large_is_rejected() -> None:
    risk = Risk(Decimal(10))
    assert risk.reserve("BTC", Side.BUY, Decimal(6))
    assert not risk.reserve("BTC", Side.BUY, Decimal(5)), "6 are on their way"
    risk.settle("BTC", Side.BUY, Decimal(6), Decimal(4))
    assert risk.exposure("BTC", Side.BUY) == 4 == -risk.exposure("BTC", Side.SELL)
    assert risk.reserve("BTC", Side.BUY, Decimal(6))
    risk.settle("BTC", Side.BUY, Decimal(6), Decimal(6))
    assert risk(signal()) is None, "10 are held"
    assert risk(signal(Side.SELL)) is not None
    assert risk.reserve("BTC", Side.SELL, Decimal(20)), "from 10 long to 10 short"
    assert not risk.reserve("BTC", Side.SELL, Decimal(1))
    assert risk.rejected == 3


def test_kelly() -> None:
    assert kelly_fraction(0.6, 1, cap=1) == pytest.approx(0.2)
    assert kelly_fraction(0.5, 2, cap=1) == pytest.approx(0.25)
    assert kelly_fraction(0.5, 1) == 0
    assert kelly_fraction(0.2, 1) == 0, "a bad bet is not taken the other way"
    assert kelly_fraction(1, 1) == 0.25, "capped"
    assert [win_probability(confidence) for confidence in (-1, 0, 0.5, 1, 7)] == [0.5, 0.5, 0.75, 1, 1]
    for wrong in ((1.1, 1, 1), (0.5, 0, 1), (0.5, 1, 2), (math.nan, 1, 1)):
        with pytest.raises(ConfigError):
            kelly_fraction(*wrong)


def test_sizes_are_whole_lots_that_risk_admits() -> None:
    risk = Risk(Decimal(3))
    sizing = Sizing({"BTC": Instrument("BTC", "0.5", "1")}, risk, Decimal(1000), cap=1)
    order = sizing(signal(confidence=0.25, price=100.25))
    assert order is not None
    assert (order.quantity, order.price) == (Decimal(2), Decimal("100.5"))
    assert sizing(signal(confidence=0.25)) is None
    assert (risk.rejected, sizing.too_small) == (1, 0)
    assert sizing(signal(confidence=0.01)) is None
    assert sizing.too_small == 1


def test_an_order_that_trades_in_parts_or_not_at_all() -> None:
    risk = Risk(Decimal(100))
    gateway = Played([("fill", "1", "100"), ("fill", "0.5", "99.5"), ("cancel",)], [("cancel",)], [("reject",)])
    sizing, execution = Sizing(INSTRUMENTS, risk, Decimal(1000)), Execution(gateway, risk)
    trades = [execution(order) for _ in range(3) if (order := sizing(signal(price=100)))]
    assert [trade.taken.quantity for trade in trades] == [Decimal("1.5"), 0, 0]
    assert trades[0].taken.price == Decimal("149.75") / Decimal("1.5")
    assert [trade.taken.reason for trade in trades] == ["IOC_REST", "IOC_REST", "MALFORMED"]
    assert (execution.executed, execution.unfilled) == (1, 2)
    assert execution.holdings.position("BTC") == risk.exposure("BTC", Side.BUY) == Decimal("1.5")
    assert execution.holdings.cash == Decimal("-149.75")


def test_a_dead_matcher_ends_the_waiting() -> None:
    gateway = Played([])
    gateway.matcher_lost = True
    with pytest.raises(ExchangeError, match="ended while session"):
        take(gateway, "BTC", Side.BUY, Decimal(100), 1)


def test_reports_of_other_orders_are_passed_over() -> None:
    gateway = Played([("fill", "1", "100")])
    gateway.hear(7, EventKind.EXECUTED, 5, 100, 0)
    assert take(gateway, "BTC", Side.BUY, Decimal(100), 1).quantity == 1


@given(st.floats(0.25, 1e9), st.floats(0.001, 1e6))
def test_floats_become_exact_without_harm(price: float, quantity: float) -> None:
    buy, sell = price_for(BTC, Side.BUY, price), price_for(BTC, Side.SELL, price)
    exact = Decimal(repr(price))
    assert sell <= exact <= buy
    assert buy - exact < BTC.tick > exact - sell
    assert BTC.price(BTC.ticks(buy)) == buy
    assert 0 <= Decimal(repr(quantity)) - quantity_for(BTC, quantity) < BTC.lot


_fills = st.lists(st.tuples(st.sampled_from(["A", "B"]), st.sampled_from(list(Side)), st.integers(1, 9), st.integers(1, 99)), max_size=40)


@given(_fills)
def test_holdings_add_up(fills: list[tuple[str, Side, int, int]]) -> None:
    """Profit by two ways: from cash and worth, and as realised plus unrealised; and the other side of all trades has the opposite of everything."""
    one, other = Holdings(), Holdings()
    for symbol, side, quantity, price in fills:
        one.fill(symbol, side, Decimal(quantity), Decimal(price))
        other.fill(symbol, Side(3 - side), Decimal(quantity), Decimal(price))
    marks = {"A": Decimal(50), "B": Decimal(7)}
    assert abs(one.profit(marks) - one.realised - one.unrealised(marks)) < Decimal("1e-18"), "average costs are divisions"
    cash, positions = added([one, other])
    assert cash == 0
    assert not any(positions.values())


def test_holdings_by_hand() -> None:
    held: Any = Holdings()
    held.fill("A", Side.BUY, Decimal(2), Decimal(10))
    held.fill("A", Side.BUY, Decimal(2), Decimal(14))
    assert held.unrealised({"A": Decimal(13)}) == 4
    held.fill("A", Side.SELL, Decimal(1), Decimal(15))
    assert held.realised == 3
    held.fill("A", Side.SELL, Decimal(5), Decimal(11))  # closes 3 at 12, opens 2 short at 11
    assert (held.realised, held.position("A")) == (0, -2)
    assert held.unrealised({"A": Decimal(10)}) == 2
    held.fill("A", Side.BUY, Decimal(2), Decimal(9))
    assert (held.realised, held.position("A"), held.cash) == (4, 0, 4)
    assert held.figures() == {"cash": "4", "realised": "4", "positions": {}, "fills": 5, "volume": "12"}
