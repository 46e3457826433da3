"""Compares a replayed LOBSTER day with its files: the published book after every row, and whom every aggressive order met.

The rule: after each row the levels that were held before that row let others scroll in (`Day.held`) must be the file's, price and quantity. What
scrolled in was taken from the file, and is compared from the next row on.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from shm_exchange.client.view import MarketView
from shm_exchange.domain.enums import Role, Side
from shm_exchange.domain.errors import SnapshotBusy
from shm_exchange.domain.instrument import Instrument
from shm_exchange.layout.headers import PRICE_LEVEL
from shm_exchange.participants.replay import Outcome
from shm_exchange.protocol.flow import Numbers, Records
from shm_exchange.protocol.lobster_day import Day

_ROWS_AT_ONCE = 4096


class Difference(NamedTuple):
    """Where the books part. Prices in ticks, quantities in lots; (0, 0) = there is no such level."""

    row: int  # from 0
    side: Side
    level: int  # from 0
    expected: tuple[int, int]
    got: tuple[int, int]


class Comparison:
    """Reads the published book after every row, and compares it with the file's, some thousand rows at once."""

    def __init__(self, view: MarketView, day: Day, levels: int) -> None:
        """levels: compare at most so many a side."""
        assert day.levels is not None
        self.levels = levels
        self.rows = self.rows_equal = self.compared = 0
        self.compared_least = levels
        self.first: Difference | None = None
        self._view, self._wanted = view, day.levels[:, :, :levels]
        self._held = np.minimum(day.held, levels)
        self._got = np.zeros((_ROWS_AT_ONCE, 2, levels), PRICE_LEVEL)

    def after_row(self, row: int) -> None:
        """Keep the book as it is published now: everything up to this row has been matched."""
        got = self._got[row - self.rows]
        bids, asks = self._read()
        for levels, found in zip(got, (bids, asks), strict=True):
            count = min(len(found), self.levels)
            levels[:count] = found[:count]
            levels[count:] = 0
        if row - self.rows + 1 == _ROWS_AT_ONCE:
            self.finish(row + 1)

    def finish(self, rows: int) -> None:
        """Compare what was kept, up to this many rows in all."""
        chunk = slice(self.rows, rows)
        wanted, got, held = self._wanted[chunk], self._got[: rows - self.rows], self._held[chunk]
        meant = np.arange(self.levels) < held[:, :, np.newaxis]
        wrong = meant & (wanted != got)
        bad_rows = wrong.any(axis=(1, 2))
        if self.first is None and bad_rows.any():
            self.first = self._difference(int(np.flatnonzero(bad_rows)[0]), wrong, wanted, got)
        self.rows_equal += int((~bad_rows).sum())
        self.compared += int(meant.sum())
        self.compared_least = min(self.compared_least, int(held.min(initial=self.levels)))
        self.rows = rows

    def _read(self) -> tuple[Records, Records]:
        while True:
            try:
                return self._view.depth_array()
            except SnapshotBusy:
                continue

    def _difference(self, index: int, wrong: Numbers, wanted: Records, got: Records) -> Difference:
        side, level = np.argwhere(wrong[index])[0].tolist()
        expected, found = wanted[index, side, level].tolist(), got[index, side, level].tolist()
        return Difference(self.rows + index, tuple(Side)[side], level, expected, found)

    def figures(self, day: Day, instrument: Instrument) -> dict[str, Any]:
        """What was found, for people and for JSON: rows counted as the file's lines, prices and quantities as decimals."""
        sides = 2 * max(1, self.rows)
        first = None
        if (found := self.first) is not None:
            first = {
                "row": found.row + 1,
                "time_ns": int(day.time_ns[found.row]),
                "side": found.side.name.lower(),
                "level": found.level + 1,
                "expected": _decimals(found.expected, instrument),
                "got": _decimals(found.got, instrument),
            }
        return {
            "rows": self.rows,
            "rows_equal": self.rows_equal,
            "levels": self.levels,
            "levels_compared_least": self.compared_least,
            "levels_compared_mean": round(self.compared / sides, 3),
            "scrolled_in": day.learned,
            "first_difference": first,
        }


def _decimals(level: tuple[int, int], instrument: Instrument) -> list[str] | None:
    """Price and quantity as decimals; None where there is no level."""
    price, quantity = level
    return [f"{instrument.price(price):f}", f"{instrument.quantity(quantity):f}"] if quantity else None


def check_executions(day: Day, outcome: Outcome) -> dict[str, Any]:
    """Whether each aggressive order met the one resting order that the file names, for the whole quantity at that price."""
    wanted, fills = day.executions, outcome.fills
    incoming, resting = (fills[fills["role"] == role] for role in (Role.INCOMING, Role.RESTING))
    incoming = incoming[np.argsort(incoming["order_id"], kind="stable")]
    resting = resting[np.argsort(resting["cause_id"], kind="stable")]
    ids = outcome.command_ids[wanted["command"]]
    first = np.searchsorted(incoming["order_id"], ids)
    matches = np.searchsorted(incoming["order_id"], ids, side="right") - first
    met = incoming[np.minimum(first, max(0, len(incoming) - 1))] if len(incoming) else np.zeros(len(ids), incoming.dtype)
    named = _resting_ids(resting, met["cause_id"])
    good = (matches == 1) & (named == wanted["id"]) & (met["quantity"] == wanted["quantity"]) & (met["price_ticks"] == wanted["price"])
    bad = np.flatnonzero(~good)
    return {
        "executions": len(wanted),
        "met_the_named_order": int(good.sum()),
        "first_otherwise_row": int(wanted["row"][bad[0]]) + 1 if len(bad) else None,
        "traded_on_entry": int(outcome.trades - matches.sum()),
    }


def _resting_ids(resting: Records, match_ids: Numbers) -> Numbers:
    """Client order ids of the resting orders of some matches; 0 where none of ours rested."""
    if not len(resting):
        return np.zeros(len(match_ids), np.uint64)
    found = np.minimum(np.searchsorted(resting["cause_id"], match_ids), len(resting) - 1)
    return np.where(resting["cause_id"][found] == match_ids, resting["client_order_id"][found], 0)
