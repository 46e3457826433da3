"""What is held: every fill folded once, whole after any kill, and the sum of realised and unrealised."""

from __future__ import annotations

import random

import numpy as np
import pytest

from shm_exchange.domain.enums import EventKind, Side
from shm_exchange.layout.records import REPORT
from shm_exchange.participants.ledger import Ledgers, fold_reports, ledger_of, new_ledger, open_ledger, page_of


def fills(*given: tuple[int, Side, int, int, int]) -> np.ndarray:
    """REPORT records of (number, side, ticks, lots, instrument)."""
    reports = np.zeros(len(given), REPORT)
    reports["kind"] = EventKind.EXECUTED
    for report, (number, side, ticks, lots, instrument) in zip(reports, given, strict=True):
        report["number"], report["side"], report["price_ticks"], report["quantity"], report["instrument"] = number, side, ticks, lots, instrument
    return reports


def held(ledger: object, instrument: int = 0) -> tuple[int, ...]:
    page = page_of(ledger)  # type: ignore[arg-type]
    return tuple(int(page[name][instrument]) for name in ("position", "cash", "cost"))


def test_a_position_is_built_lowered_and_turned_at_average_cost() -> None:
    ledger = new_ledger(1)
    for report, expected in (
        ((1, Side.BUY, 100, 10, 0), (10, -1000, 1000)),
        ((2, Side.BUY, 110, 10, 0), (20, -2100, 2100)),
        ((3, Side.SELL, 120, 5, 0), (15, -1500, 1575)),  # realised 75: 5 × (120 - 105)
        ((4, Side.SELL, 100, 20, 0), (-5, 500, -500)),
        ((5, Side.BUY, 90, 5, 0), (0, 50, 0)),
    ):
        assert fold_reports(ledger, fills(report)) == 1
        assert held(ledger) == expected


def test_reports_count_once_and_only_fills_do() -> None:
    ledger = new_ledger(2)
    batch = fills((3, Side.BUY, 100, 10, 0), (4, Side.SELL, 7, 3, 1))
    assert fold_reports(ledger, batch) == 2
    assert fold_reports(ledger, batch) == 0
    canceled = fills((9, Side.BUY, 100, 10, 0))
    canceled["kind"] = EventKind.CANCELED
    assert fold_reports(ledger, canceled) == 0
    assert (held(ledger, 0), held(ledger, 1)) == ((10, -1000, 1000), (-3, 21, -21))


def test_random_fills_agree_with_plain_sums() -> None:
    draw, ledger = random.Random(3), new_ledger(3)
    given = [(number, draw.choice(list(Side)), draw.randint(90, 110), draw.randint(1, 9), draw.randrange(3)) for number in range(1, 400)]
    for start in range(0, len(given), 7):
        fold_reports(ledger, fills(*given[start : start + 7]))
    for instrument in range(3):
        signed = [(lots if side is Side.BUY else -lots, ticks) for _, side, ticks, lots, where in given if where == instrument]
        position, cash, _ = held(ledger, instrument)
        assert (position, cash) == (sum(lots for lots, _ in signed), -sum(lots * ticks for lots, ticks in signed))


def test_a_kill_before_the_page_turns_changes_nothing() -> None:
    """The page that is not shown may hold anything: half a batch is written over, and folded again as a whole."""
    ledger = new_ledger(1)
    fold_reports(ledger, fills((1, Side.BUY, 100, 10, 0)))
    hidden = 1 - int(ledger.head["page"][0])
    ledger.holdings[hidden] = (77, 77, 77, 77, 77, 2)
    assert held(ledger) == (10, -1000, 1000)
    assert fold_reports(ledger, fills((2, Side.BUY, 100, 1, 0))) == 1
    assert held(ledger) == (11, -1100, 1100)


def test_it_is_shared_by_its_path() -> None:
    ledgers = Ledgers(2, 3)
    fold_reports(open_ledger(ledgers.path, 3, 1), fills((1, Side.SELL, 5, 2, 2)))
    assert held(ledger_of(ledgers.rows, 1), 2) == (-2, 10, -10)
    assert held(ledger_of(ledgers.rows, 0), 2) == (0, 0, 0)
    path = ledgers.path
    ledgers.close()
    with pytest.raises(FileNotFoundError):
        open_ledger(path, 3, 0)
