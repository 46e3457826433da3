"""What a participant holds, by instrument, in shared memory, so it is there also when the participant was killed: position, cash, cost.

    folded    every EXECUTED report exactly once, by its number, before it is acknowledged: what a killed participant had not folded comes again
    pages     two of them; a batch of reports goes into the one that is not shown, then `page` turns: whoever is killed in between leaves a whole page

cash counts ticks × lots: a buy lowers it by price × quantity. cost is what the open position was bought (or, negative, sold) for, at average cost.
realised = cash + cost;  unrealised = position × mid - cost;  both together = cash + position × mid.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from shm_exchange._intrinsics import store_release
from shm_exchange._jit import inlined, kernel
from shm_exchange.client.plain import Records, plain
from shm_exchange.domain.enums import EventKind, Side
from shm_exchange.layout.headers import lines
from shm_exchange.participants.memory import SharedTable, Table, open_table

LEDGER = lines(
    ("page", "i8"),  # which of the two pages is whole: 0 or 1
)
HOLDING = np.dtype(
    [
        ("position", "i8"),  # lots; negative: sold short
        ("cash", "i8"),  # ticks × lots
        ("cost", "i8"),  # ticks × lots, signed as the position
        ("bought", "i8"),  # lots
        ("sold", "i8"),
        ("through", "i8"),  # first holding of a page: number of the newest report folded into the page
    ]
)


class Ledger(NamedTuple):
    """One participant's."""

    head: np.ndarray  # LEDGER[1]
    holdings: np.ndarray  # HOLDING[2 * instruments]: page 0, page 1


class Ledgers(SharedTable):
    """Those of all participants of a run, from their parent."""

    def __init__(self, participants: int, instruments: int) -> None:
        super().__init__("participant ledgers", _dtype(instruments), participants)


def open_ledger(path: str, instruments: int, row: int) -> Ledger:
    """One of them, by the path its maker gave. Raises FileNotFoundError when the maker is gone."""
    return ledger_of(open_table(path, _dtype(instruments)), row)


def ledger_of(rows: Table, row: int) -> Ledger:
    """The ledger in a row of the table."""
    return Ledger(plain(rows["head"][row : row + 1]), plain(rows["holdings"][row]))


def new_ledger(instruments: int) -> Ledger:
    """A private one, nothing held."""
    return ledger_of(np.zeros(1, _dtype(instruments)), 0)


def page_of(ledger: Ledger) -> Records:
    """HOLDING[instruments], as of the newest whole page; a copy."""
    instruments = len(ledger.holdings) // 2
    first = int(ledger.head["page"][0]) * instruments
    return ledger.holdings[first : first + instruments].copy()


def _dtype(instruments: int) -> np.dtype[np.void]:
    fields: list[Any] = [("head", LEDGER), ("holdings", HOLDING, (2 * instruments,))]
    return np.dtype(fields)


@inlined
def _fill(holding, side, price_ticks, quantity):
    """One fill. What lowers a position takes its share of the cost along; what turns it begins anew at the price of the fill."""
    signed = quantity if side == Side.BUY else -quantity
    before = holding.position
    holding.cash -= signed * price_ticks
    holding.position = before + signed
    if side == Side.BUY:
        holding.bought += quantity
    else:
        holding.sold += quantity
    if before == 0 or (before > 0) == (signed > 0):
        holding.cost += signed * price_ticks
    elif quantity < abs(before):
        holding.cost -= holding.cost * quantity // abs(before)
    else:
        holding.cost = (before + signed) * price_ticks


@inlined
def fold_fills(ledger, reports):
    """Fold REPORT records that were not folded yet; returns how many of them were fills."""
    head, holdings = ledger.head[0], ledger.holdings
    instruments = len(holdings) // 2
    shown = head.page * instruments
    hidden = instruments - shown
    through, fills = holdings[shown].through, 0
    for index in range(len(reports)):
        report = reports[index]
        if report.kind != EventKind.EXECUTED or report.number <= through:
            continue
        if fills == 0:
            for instrument in range(instruments):
                holdings[hidden + instrument] = holdings[shown + instrument]
        fills += 1
        through = report.number
        _fill(holdings[hidden + report.instrument], report.side, report.price_ticks, report.quantity)
    if fills > 0:
        holdings[hidden].through = through
        store_release(head, "page", 1 - head.page)
    return fills


@kernel
def fold_reports(ledger, reports):
    """`fold_fills`, from Python."""
    return fold_fills(ledger, reports)
