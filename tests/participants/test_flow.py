"""The simulated flow: the same for the same seed, and something like a market."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from shm_exchange.domain.enums import CancelReason, CommandKind, EventKind, OrderType, RejectReason, Side, TimeInForce
from tests.participants.market import BATCH, Market

ORDERS = 2000


@pytest.fixture(scope="module")
def market() -> Market:
    market = Market(seed=7)
    market.run(ORDERS)
    return market


@pytest.fixture(scope="module")
def commands(market: Market) -> np.ndarray:
    return np.concatenate(market.commands)


@pytest.fixture(scope="module")
def reports(market: Market) -> np.ndarray:
    return np.concatenate(market.reports)


def test_the_same_seed_makes_the_same_market(market: Market) -> None:
    again = Market(seed=7)
    again.run(ORDERS)
    assert again.engine.state_hash() == market.engine.state_hash()
    assert all(np.array_equal(one, other) for one, other in zip(again.commands, market.commands, strict=True))


def test_another_seed_makes_another_market(market: Market) -> None:
    other = Market(seed=8)
    other.run(ORDERS)
    assert other.engine.state_hash() != market.engine.state_hash()
    assert not np.array_equal(other.commands[0], market.commands[0])


def test_traders_of_a_seed_differ_but_see_one_market(market: Market) -> None:
    first, second = (market.commands[trader] for trader in (0, 1))
    assert not np.array_equal(first["price_ticks"], second["price_ticks"])
    mids = [portfolio.markets["mid"].tolist() for portfolio in market.portfolios.values()]
    assert all(mid == mids[0] for mid in mids)
    assert mids[0] != market.portfolios[1].markets["anchor"].tolist()


def test_every_trader_enters_exactly_as_many_orders_as_asked(market: Market, commands: np.ndarray) -> None:
    assert (commands["kind"] == CommandKind.ENTER).sum() == ORDERS * len(market.portfolios)
    assert all(portfolio.tally[0].orders == ORDERS for portfolio in market.portfolios.values())


def test_all_kinds_of_commands_come(commands: np.ndarray) -> None:
    assert set(commands["kind"].tolist()) == {CommandKind.ENTER, CommandKind.CANCEL, CommandKind.REPLACE, CommandKind.REDUCE}
    orders = commands[commands["kind"] == CommandKind.ENTER]
    share = Counter(orders["time_in_force"].tolist())
    assert 0.12 < share[TimeInForce.IOC] / len(orders) < 0.24
    assert share[TimeInForce.FOK]
    assert (orders["order_type"] == OrderType.MARKET).any()
    assert set(orders["instrument"].tolist()) >= {0, 1, 2}


def test_all_kinds_of_reports_and_the_deliberate_rejects_come(reports: np.ndarray) -> None:
    kinds = Counter(reports["kind"].tolist())
    assert {EventKind.ACCEPTED, EventKind.EXECUTED, EventKind.CANCELED, EventKind.REDUCED, EventKind.REPLACED, EventKind.REJECTED} == set(kinds)
    reasons = set(reports["reason"][reports["kind"] == EventKind.REJECTED].tolist())
    assert reasons >= {
        RejectReason.MALFORMED,
        RejectReason.UNKNOWN_INSTRUMENT,
        RejectReason.PRICE_OUTSIDE_BAND,
        RejectReason.UNKNOWN_ORDER,
        RejectReason.POST_ONLY_WOULD_TRADE,
    }
    assert not reasons & {RejectReason.NOT_YOUR_ORDER, RejectReason.DUPLICATE_CLIENT_ORDER_ID, RejectReason.SESSION_ORDERS_FULL}
    canceled = reports["reason"][reports["kind"] == EventKind.CANCELED]
    assert set(canceled.tolist()) >= {CancelReason.USER, CancelReason.IOC_REST, CancelReason.SELF_TRADE}


def test_it_looks_like_a_market(market: Market, commands: np.ndarray, reports: np.ndarray) -> None:
    trades = (reports["kind"] == EventKind.EXECUTED).sum() / 2
    assert 0.1 < trades / len(commands) < 0.5
    assert (reports["kind"] == EventKind.REJECTED).sum() / len(commands) < 0.05
    for instrument in range(3):
        bids, asks = (market.engine.levels(instrument, side) for side in Side)
        assert len(bids) > 5
        assert len(asks) > 5
        assert 0 < asks[0][0] - bids[0][0] < 20
    assert market.engine.check() == 0


def test_open_orders_never_exceed_the_slots() -> None:
    market = Market(seed=3, slots=20)
    while market.round(2000):
        for portfolio in market.portfolios.values():
            tally = portfolio.tally[0]
            used = int((portfolio.own["order_id"] != 0).sum())
            assert used == 20 - tally.free_count
            assert tally.open_count <= used


def test_what_is_unanswered_never_exceeds_the_window(market: Market) -> None:
    assert max(map(len, market.commands)) == BATCH
    assert all(portfolio.tally[0].answered == portfolio.tally[0].commands for portfolio in market.portfolios.values())
