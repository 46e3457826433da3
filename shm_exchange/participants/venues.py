"""The market maker of a venue of `shm-exchange pipeline aggregator`, which runs in a process of its own, and the quotes it shows.

All venues follow one value, each with an error of its own that comes and goes: so now and then one bids more than another asks.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from random import Random
from typing import Any, NamedTuple

from shm_exchange.client import Gateway
from shm_exchange.domain.instrument import Instrument
from shm_exchange.participants.board import FIRST_TRADER_ROW, PARENT_ROW, open_board
from shm_exchange.participants.quoter import Quoter
from shm_exchange.pipeline.tick import Tick

SYMBOL = "BTC"
INSTRUMENT = Instrument(SYMBOL, "1", "1")
GOLDEN = {"Binance": (42000.0, 42001.0), "Coinbase": (42005.0, 42008.0), "Kraken": (41998.0, 42002.0)}
"""Bid and ask of each venue at the beginning: Binance asks less than Coinbase bids."""
GOLDEN_SIZE = 5.0
_ERROR_KEPT = 0.9
_ERROR_STEP = 1.5
_SPREAD = 2.0
_NAP_SECONDS = 0.001


class Stand(NamedTuple):
    """Where a venue's maker stands."""

    venue: str
    seed: int
    rate: float
    """Quotes a second."""
    board: str
    """Path of the board on which the parent says go and stop."""
    number: int
    """From 0."""


def golden_tick(venue: str, timestamp_ns: int = 0) -> Tick:
    """The first quote of a venue."""
    return Tick(SYMBOL, timestamp_ns, *GOLDEN[venue], GOLDEN_SIZE, GOLDEN_SIZE)


def venue_ticks(venue: str, seed: int) -> Iterator[Tick]:
    """Endless quotes of a venue; their times count from 0. The same seed gives all venues the same value, and each the same errors."""
    value_draw, own_draw = Random(seed), Random(f"{seed} {venue}")  # noqa: S311 (a market, no secret)
    value, error, number = 42_000.0, 0.0, 0
    while True:
        value = max(1000.0, value + value_draw.choice((-1, 0, 1)))
        error = error * _ERROR_KEPT + own_draw.gauss(0, _ERROR_STEP)
        bid = float(round(value + error))
        yield Tick(SYMBOL, number, bid, bid + _SPREAD, float(own_draw.randint(1, 9)), float(own_draw.randint(1, 9)))
        number += 1


def make_market(gateway: Gateway, stand: Stand) -> dict[str, Any]:
    """Show the golden quote; from the parent's go on walk at the rate, until its stop. Returns what was traded, as text where it is a decimal.

    Raises ExchangeError when the matcher dies.
    """
    rows = open_board(stand.board)
    row, parent = rows[FIRST_TRADER_ROW + stand.number : FIRST_TRADER_ROW + stand.number + 1], rows[PARENT_ROW : PARENT_ROW + 1]
    quoter = Quoter(gateway, INSTRUMENT)
    quoter.show(golden_tick(stand.venue))
    row["ready"] = 1
    while not (parent["go"][0] or parent["stop"][0]):
        quoter.settle()
        time.sleep(_NAP_SECONDS)
    shown, due = 1, time.monotonic()
    for tick in venue_ticks(stand.venue, stand.seed):
        while not parent["stop"][0] and (left := due - time.monotonic()) > 0:
            time.sleep(min(left, _NAP_SECONDS))
        if parent["stop"][0]:
            break
        quoter.show(tick)
        shown += 1
        row["orders"] = shown
        due += 1 / stand.rate
    quoter.withdraw()
    holdings = quoter.holdings
    return {"venue": stand.venue, "quotes": shown, "cash": str(holdings.cash), "position": str(holdings.position(SYMBOL)), "fills": holdings.fills}
