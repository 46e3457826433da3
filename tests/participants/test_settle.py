"""Reports folded into a portfolio: true ones add up, and every lie is noticed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from shm_exchange.domain.enums import EventKind
from shm_exchange.participants.settle import check_open, settle
from tests.participants.market import Market


def test_nothing_is_lost_on_the_way() -> None:
    market = Market(seed=1)
    market.run(3000)
    reports = np.concatenate(market.reports)
    total = {
        name: sum(int(portfolio.tally[0][name]) for portfolio in market.portfolios.values())
        for name in ("executions", "bought", "sold", "misfits", "gaps")
    }
    assert total["misfits"] == total["gaps"] == 0
    assert total["executions"] == (reports["kind"] == EventKind.EXECUTED).sum()
    assert total["bought"] == total["sold"] > 0
    assert all(check_open(portfolio) == 0 for portfolio in market.portfolios.values())
    in_slots = sum(int((portfolio.own["order_id"] != 0).sum()) for portfolio in market.portfolios.values())
    assert in_slots == market.engine.open_orders


def _less_quantity(report: np.void) -> None:
    report["quantity"] -= 1


def _more_leaves(report: np.void) -> None:
    report["leaves_quantity"] += 1


def _other_order(report: np.void) -> None:
    report["order_id"] += 1


def _unknown_slot(report: np.void) -> None:
    report["client_order_id"] = 1 << 40


def _no_slot(report: np.void) -> None:
    report["client_order_id"] = 0


@pytest.mark.parametrize("lie", [_less_quantity, _more_leaves, _other_order, _unknown_slot, _no_slot])
@pytest.mark.parametrize("kind", [EventKind.ACCEPTED, EventKind.EXECUTED, EventKind.CANCELED, EventKind.REDUCED, EventKind.REPLACED])
def test_a_report_that_lies_is_a_misfit(kind: EventKind, lie: Callable[[np.void], None]) -> None:
    if kind is EventKind.REPLACED and lie is _less_quantity:
        pytest.skip("what counts of a REPLACED is its leaves")
    market = Market(seed=2)
    market.tamper = (kind, lie)
    market.run(150)
    assert market.lies == 1
    assert sum(int(portfolio.tally[0].misfits) for portfolio in market.portfolios.values()) > 0


def test_a_missing_report_is_a_gap() -> None:
    market = Market(seed=2, traders=1)
    market.run(100)
    reports = market.reports[-1][-2:].copy().view(np.recarray)
    tally = market.portfolios[1].tally[0]
    reports["number"] = tally.expected + np.arange(2) * 2
    settle(market.portfolios[1], reports, 0)
    assert tally.gaps == 1
