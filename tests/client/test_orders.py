"""Every verb of a gateway against a real matcher, by both ids, and what its reports say."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from shm_exchange import Gateway, SelfTradePrevention, Side, TimeInForce
from shm_exchange.client import Report
from shm_exchange.domain.enums import CancelReason, CommandKind, EventKind, OrderType, Place, RejectReason, Role
from shm_exchange.layout.records import COMMAND
from tests.litmus.exchanges import take

if TYPE_CHECKING:
    from collections.abc import Callable

    Attach = Callable[..., Gateway]

BUY, SELL = Side


def _facts(report: Report) -> tuple[str, Any, Any, Any]:
    """Kind, price, quantity, still open."""
    return report.kind.name, report.price, report.quantity, report.leaves_quantity


def test_a_limit_order_is_accepted_and_says_all_about_itself(attach: Attach) -> None:
    gateway = attach("alice", account="fund")
    order_id = gateway.limit("ACME", BUY, "99.50", 100)
    [report] = take(gateway, 1)
    assert order_id == report.order_id == report.command_id == gateway.number << 40 | 2
    assert _facts(report) == ("ACCEPTED", Decimal("99.50"), 100, 100)
    assert (report.symbol, report.side, report.role, report.reason, report.match_id) == ("ACME", BUY, None, None, None)
    assert (report.number, report.client_order_id, report.price_ticks, report.leaves_lots) == (2, 0, 9950, 100)
    assert repr(report) == f"<Report 2 ACCEPTED ACME BUY order {order_id}: 100 @ 99.50, leaves 100>"


@pytest.mark.parametrize("price", ["99.5", Decimal("99.500"), "9950e-2"])
@pytest.mark.parametrize("quantity", ["7", 7, Decimal(7)])
def test_prices_and_quantities_in_every_exact_form(attach: Attach, price: Any, quantity: Any) -> None:
    gateway = attach()
    gateway.limit("ACME", BUY, price, quantity)
    gateway.limit("ACME", BUY, price=100, quantity=quantity)
    gateway.limit("ACME", BUY, price_ticks=9950, quantity=quantity)
    gateway.limit("ACME", BUY, price_ticks=np.int64(9950), quantity=quantity)  # type: ignore[arg-type]
    assert [(report.price_ticks, report.quantity_lots) for report in take(gateway, 4)] == [(9950, 7), (10000, 7), (9950, 7), (9950, 7)]


def test_fractional_lots_fine_ticks_and_negative_prices(attach: Attach) -> None:
    gateway = attach()
    gateway.limit("FINE", BUY, "-0.005", "2.5")
    gateway.limit("FINE", SELL, "0.005", 3)
    facts = [("ACCEPTED", Decimal("-0.005"), Decimal("2.5"), Decimal("2.5")), ("ACCEPTED", Decimal("0.005"), 3, 3)]
    assert [_facts(report) for report in take(gateway, 2)] == facts


def test_a_trade_is_reported_to_both_sides_under_one_match_id(attach: Attach) -> None:
    resting, incoming = attach(), attach()
    first = resting.limit("ACME", SELL, "50.00", 10, client_order_id=7)
    take(resting, 1)
    second = incoming.limit("ACME", BUY, "50.10", 4, client_order_id=8)
    accepted, bought = take(incoming, 2)
    [sold] = take(resting, 1)
    assert _facts(accepted) == ("ACCEPTED", Decimal("50.10"), 4, 4)
    assert _facts(bought) == ("EXECUTED", Decimal("50.00"), 4, 0)
    assert _facts(sold) == ("EXECUTED", Decimal("50.00"), 4, 6)
    assert bought.match_id == sold.match_id is not None
    assert (bought.role, sold.role, bought.side, sold.side) == (Role.INCOMING, Role.RESTING, BUY, SELL)
    assert (bought.order_id, bought.client_order_id, sold.order_id, sold.client_order_id) == (second, 8, first, 7)
    assert bought.command_id is None


def test_market_orders(attach: Attach) -> None:
    maker, taker = attach(), attach()
    for price in ("60.00", "60.01", "60.02"):
        maker.limit("ACME", SELL, price, 5)
    take(maker, 3)
    taker.market("ACME", BUY, 7, worst_price="60.00")
    assert [_facts(report) for report in take(taker, 3)] == [
        ("ACCEPTED", Decimal("60.00"), 7, 7),
        ("EXECUTED", Decimal("60.00"), 5, 2),
        ("CANCELED", Decimal("60.00"), 2, 0),
    ]
    taker.market("ACME", BUY, 12)
    reports = take(taker, 4)
    assert [_facts(report)[0] for report in reports] == ["ACCEPTED", "EXECUTED", "EXECUTED", "CANCELED"]
    assert (reports[-1].reason, reports[-1].quantity_lots) == (CancelReason.MARKET_REST, 2)
    taker.market("ACME", SELL, 3, time_in_force=TimeInForce.FOK)
    assert take(taker, 1)[0].reason is RejectReason.FILL_OR_KILL_CANNOT_FILL


def test_times_in_force_and_post_only(attach: Attach) -> None:
    maker, taker = attach(), attach()
    maker.limit("ACME", SELL, "70.00", 5)
    take(maker, 1)
    taker.limit("ACME", BUY, "70.00", 6, time_in_force=TimeInForce.FOK)
    taker.limit("ACME", BUY, "70.00", 6, post_only=True)
    taker.limit("ACME", BUY, "70.00", 6, post_only=True, slide=True)
    taker.limit("ACME", BUY, "70.00", 6, time_in_force=TimeInForce.IOC)
    killed, refused, slid, accepted, traded, rest = take(taker, 6)
    assert killed.reason is RejectReason.FILL_OR_KILL_CANNOT_FILL
    assert refused.reason is RejectReason.POST_ONLY_WOULD_TRADE
    assert _facts(slid) == ("ACCEPTED", Decimal("69.99"), 6, 6)
    assert (accepted.kind, traded.kind, rest.reason) == (EventKind.ACCEPTED, EventKind.EXECUTED, CancelReason.IOC_REST)


@pytest.mark.parametrize("by_client_id", [False, True])
@pytest.mark.parametrize("client_order_id", [1, 2**63 - 1, 2**63, 2**64 - 1])
def test_cancel_reduce_and_replace_by_both_ids(attach: Attach, client_order_id: int, by_client_id: bool) -> None:
    """Client ids are any u64; one is free again when its order is done."""
    gateway = attach()
    for symbol, tick in (("ACME", "0.01"), ("FINE", "0.005")):
        order_id = gateway.limit(symbol, BUY, price_ticks=100, quantity=10, client_order_id=client_order_id)
        which: dict[str, Any] = {"client_order_id": client_order_id, "symbol": symbol} if by_client_id else {"order_id": order_id}
        commands = [
            gateway.reduce(quantity=4, **which),
            gateway.replace(price_ticks=100, quantity=5, **which),
            gateway.replace(price=101 * Decimal(tick), quantity=8, **which),
            gateway.replace(price=101 * Decimal(tick), quantity=2, reinsert=True, **which),
        ]
        which.pop("symbol", None)
        commands.append(gateway.cancel(**which))
        reports = take(gateway, 6)[1:]
        assert [report.command_id for report in reports] == commands
        assert {(report.order_id, report.client_order_id, report.symbol) for report in reports} == {(order_id, client_order_id, symbol)}
        facts: list[tuple[Any, ...]] = [(report.kind, report.reason, report.price_ticks, *_facts(report)[2:]) for report in reports]
        assert facts == [
            (EventKind.REDUCED, CancelReason.USER, 100, 4, 6),
            (EventKind.REPLACED, Place.KEPT, 100, 5, 5),
            (EventKind.REPLACED, Place.LOST, 101, 8, 8),
            (EventKind.REPLACED, Place.LOST, 101, 2, 2),
            (EventKind.CANCELED, CancelReason.USER, 101, 2, 0),
        ]


def test_what_cannot_be_done_is_rejected_with_the_reason(attach: Attach) -> None:
    gateway, other = attach(), attach()
    foreign = other.limit("ACME", BUY, "1.00", 5, client_order_id=9)
    take(other, 1)
    gateway.limit("ACME", BUY, "1.00", 5, client_order_id=9)
    wrong = [
        (gateway.cancel(foreign), RejectReason.NOT_YOUR_ORDER),
        (gateway.cancel(gateway.number << 40 | 99), RejectReason.UNKNOWN_ORDER),
        (gateway.cancel(-5), RejectReason.UNKNOWN_ORDER),
        (gateway.cancel(client_order_id=10), RejectReason.UNKNOWN_ORDER),
        (gateway.cancel(), RejectReason.MALFORMED),
        (gateway.limit("ACME", BUY, "1.00", 5, client_order_id=9), RejectReason.DUPLICATE_CLIENT_ORDER_ID),
        (gateway.limit("ACME", BUY, "1.00"), RejectReason.MALFORMED),
        (gateway.limit("ACME", BUY, "1.00", -5), RejectReason.MALFORMED),
        (gateway.limit("ACME", BUY, "-1.00", 5), RejectReason.PRICE_OUTSIDE_BAND),
        (gateway.limit("ACME", BUY, price_ticks=2**62, quantity=5), RejectReason.MALFORMED),
        (gateway.limit("FINE", BUY, "1000.005", 5), RejectReason.PRICE_OUTSIDE_BAND),
        (gateway.limit("ACME", BUY, price_ticks=2**51, quantity=2**39), RejectReason.NOTIONAL_TOO_LARGE),
        (gateway.market("ACME", BUY, 5, time_in_force=TimeInForce.GTC), RejectReason.MALFORMED),
        (gateway.limit("ACME", BUY, "1.00", 5, slide=True), RejectReason.MALFORMED),
        (gateway.limit("ACME", 0, "1.00", 5), RejectReason.MALFORMED),  # type: ignore[arg-type]
    ]
    reports = take(gateway, 1 + len(wrong))[1:]
    assert [(report.command_id, report.reason) for report in reports] == wrong
    assert {report.kind for report in reports} == {EventKind.REJECTED}


def test_mass_cancel_by_symbol_side_session_and_account(attach: Attach) -> None:
    gateway, partner, stranger = attach(account="both"), attach(account="both"), attach()
    for one in (gateway, partner, stranger):
        for symbol in ("ACME", "FINE"):
            one.limit(symbol, BUY, "1.00", 1)
            one.limit(symbol, SELL, "900.00", 1)
        take(one, 4)
    expected: list[tuple[dict[str, Any], list[tuple[str, Side]]]] = [
        ({"symbol": "FINE", "side": SELL}, [("FINE", SELL)]),
        ({"symbol": "FINE"}, [("FINE", BUY)]),
        ({"side": BUY}, [("ACME", BUY)]),
        ({}, [("ACME", SELL)]),
        ({}, []),
    ]
    for which, canceled in expected:
        command = gateway.mass_cancel(**which)
        *orders, done = take(gateway, len(canceled) + 1)
        assert [(report.symbol, report.side) for report in orders] == canceled
        assert all((report.kind, report.reason, report.command_id) == (EventKind.CANCELED, CancelReason.MASS, command) for report in orders)
        assert (done.kind, done.command_id, done.quantity_lots) == (EventKind.MASS_CANCELED, command, len(canceled))
    gateway.mass_cancel(account=True)
    assert take(gateway, 1)[0].quantity_lots == 4
    assert [report.reason for report in take(partner, 4)] == [CancelReason.MASS] * 4
    assert not stranger.wait(0)


def test_self_trade_prevention_of_the_gateway_and_of_one_order(attach: Attach) -> None:
    gateway = attach(self_trade=SelfTradePrevention.CANCEL_INCOMING)
    resting = gateway.limit("ACME", SELL, "5.00", 3)
    gateway.limit("ACME", BUY, "5.00", 1)
    gateway.limit("ACME", BUY, "5.00", 1, self_trade=SelfTradePrevention.NONE)
    reports = take(gateway, 6)[1:]
    assert [report.kind.name for report in reports] == ["ACCEPTED", "CANCELED", "ACCEPTED", "EXECUTED", "EXECUTED"]
    assert reports[1].reason is CancelReason.SELF_TRADE
    moved = gateway.limit("ACME", BUY, "4.00", 1)
    gateway.replace(moved, price="5.00", quantity=1, self_trade=SelfTradePrevention.CANCEL_RESTING)
    reports = take(gateway, 3)
    assert [(report.kind.name, report.order_id) for report in reports] == [("ACCEPTED", moved), ("REPLACED", moved), ("CANCELED", resting)]


def test_many_commands_in_one_call(attach: Attach) -> None:
    gateway = attach()
    commands = np.zeros(100, COMMAND)
    commands["kind"], commands["order_type"] = CommandKind.ENTER, OrderType.LIMIT
    commands["time_in_force"], commands["self_trade"] = TimeInForce.GTC, SelfTradePrevention.NONE
    commands["side"], commands["price_ticks"], commands["quantity"] = BUY, 1 + np.arange(100), 1 + np.arange(100)
    commands["client_order_id"] = 2**64 - 1 - np.arange(100, dtype=np.uint64)
    numbers: list[int] = []
    for part in (commands[:60], commands[60:61], commands[61:61], commands[61:][::-1]):
        batch = gateway.submit_many(part)
        assert batch.submitted == len(part)
        reports = take(gateway, len(part))
        assert [report.order_id for report in reports] == list(range(batch.first_id, batch.first_id + batch.submitted))
        assert [report.client_order_id for report in reports] == part["client_order_id"].tolist()
        assert {report.kind for report in reports} <= {EventKind.ACCEPTED}
        numbers += [report.number for report in reports]
    assert numbers == list(range(2, 102))
    assert gateway.submitted == 101  # with the logon
