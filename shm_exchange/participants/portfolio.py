"""What a simulated trader remembers: its orders in slots, found again by `client_order_id`, and counts that must add up.

    slot   taken when an order is made, numbered from 1, and the order's client id; given back when the order is done and nothing about it pends
    open   slots of resting orders, in no order: one of them is drawn when something is to be canceled or changed

A slot holds every quantity that was ever asked for (`quantity`, amendments included), and quantity == filled + canceled + leaves at every report.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from shm_exchange._intrinsics import mix64
from shm_exchange._jit import inlined
from shm_exchange.domain.enums import Side
from shm_exchange.domain.limits import PRICE_TICKS_MAX
from shm_exchange.layout.headers import lines
from shm_exchange.participants.histogram import new_histogram

NIL = 0
MID_UNIT = 8
"""Mid prices are kept in eighths of a tick."""

OWN = lines(
    ("order_id", "i8"),  # 0 while the slot is free
    ("quantity", "i8"),  # asked for in all
    ("filled", "i8"),
    ("canceled", "i8"),
    ("leaves", "i8"),
    ("pending_id", "i8"),  # the command that will change it and is not answered yet; 0 = none
    ("pending_total", "i8"),  # of a pending replacement: the total it asks for
    ("sent_ns", "i8"),
    ("market", "i8"),  # index of its instrument among the markets it trades in
    ("side", "i8"),
    ("rests", "i8"),  # 1: GTC
    ("open_index", "i8"),  # where it stands in the list of open orders
    ("is_open", "i8"),
)
MARKET = lines(
    ("anchor", "i8"),  # where the mid began and is drawn back to, in 1 / MID_UNIT ticks
    ("mid", "i8"),
    ("instrument", "i8"),  # its number on the exchange
    ("low", "i8"),  # ticks: what may be quoted
    ("high", "i8"),
    ("buys", "i8"),  # orders of ours that are not done
    ("sells", "i8"),
    ("bid", "i8"),  # ticks: the touch as last seen; beside the mid where a side is empty
    ("ask", "i8"),
)
TALLY = lines(
    ("random", "i8"),  # this trader's generator
    ("market_random", "i8"),  # the market's: the same for all traders of a seed
    ("steps", "i8"),  # how often the mids have moved
    ("next_id", "i8"),  # the id our next command will have
    ("open_target", "i8"),  # resting orders it likes to have
    ("open_count", "i8"),
    ("free_count", "i8"),
    ("orders", "i8"),  # ENTER commands made
    ("ping_ticks", "i8"),  # where the last ping rests
    ("commands", "i8"),
    ("answered", "i8"),  # commands whose first report was seen
    ("rejects", "i8"),
    ("executions", "i8"),
    ("bought", "i8"),  # lots
    ("sold", "i8"),
    ("reports", "i8"),
    ("expected", "i8"),  # number of the next report; 0 before the first
    ("gaps", "i8"),  # reports whose number was not the expected one
    ("misfits", "i8"),  # reports whose figures do not add up with what we know
)


class Portfolio(NamedTuple):
    """All memory of one trader, private to its process."""

    tally: np.ndarray  # TALLY[1]
    markets: np.ndarray  # MARKET[instruments]
    own: np.ndarray  # OWN[slots + 1]
    open_slots: np.ndarray  # i8[slots], open_count of them
    free_slots: np.ndarray  # i8[slots], free_count of them
    latencies: np.ndarray  # i8[BUCKETS], ns from submit to the first report seen


class Traded(NamedTuple):
    """An instrument that a trader trades in, and what may be quoted there."""

    instrument: int
    mid: int
    """Ticks: around it."""
    low: int = 1
    high: int = PRICE_TICKS_MAX


def new_portfolio(traded: Sequence[Traded], seed: int, trader: int, slots: int) -> Portfolio:
    """Nothing done yet. seed: the market's; trader: tells the traders of one seed apart."""
    tally = np.zeros(1, TALLY).view(np.recarray)
    market = int(mix64(seed)) >> 1
    tally[0].market_random = market
    tally[0].random = int(mix64(market ^ (trader + 1))) >> 1
    tally[0].free_count = slots
    tally[0].open_target = slots // 2
    markets = np.zeros(len(traded), MARKET).view(np.recarray)
    for market, (instrument, mid, low, high) in zip(markets, traded, strict=True):
        market.instrument, market.low, market.high = instrument, low, high
        market.anchor = market.mid = mid * MID_UNIT
    return Portfolio(
        tally=tally,
        markets=markets,
        own=np.zeros(slots + 1, OWN).view(np.recarray),
        open_slots=np.zeros(slots, np.int64),
        free_slots=np.arange(slots, 0, -1),
        latencies=new_histogram(),
    )


def forget_orders(portfolio: Portfolio, next_id: int) -> None:
    """Nothing is open and nothing is on its way; the next command will have `next_id`. What was counted stays."""
    tally, slots = portfolio.tally, len(portfolio.free_slots)
    portfolio.own[:] = 0
    portfolio.free_slots[:] = np.arange(slots, 0, -1)
    portfolio.markets["buys"] = portfolio.markets["sells"] = 0
    tally["open_count"], tally["free_count"], tally["next_id"], tally["expected"] = 0, slots, next_id, 0
    tally["answered"] = tally["commands"]


@inlined
def draw(tally, choices):
    """A number from 0 to choices - 1, the same on every machine for the same seed."""
    tally.random += 1
    return mix64(tally.random) % choices


@inlined
def take_slot(portfolio):
    """A free slot; the caller looked that there is one."""
    tally = portfolio.tally[0]
    tally.free_count -= 1
    return portfolio.free_slots[tally.free_count]


@inlined
def open_slot(portfolio, slot):
    """Put a resting order on the list of those that may be changed."""
    tally, own = portfolio.tally[0], portfolio.own[slot]
    portfolio.open_slots[tally.open_count] = slot
    own.open_index, own.is_open = tally.open_count, 1
    tally.open_count += 1


@inlined
def close_slot(portfolio, slot):
    """Take an order off that list."""
    tally, own = portfolio.tally[0], portfolio.own[slot]
    if own.is_open == 0:
        return
    tally.open_count -= 1
    moved = portfolio.open_slots[tally.open_count]
    portfolio.open_slots[own.open_index] = moved
    portfolio.own[moved].open_index = own.open_index
    own.is_open = 0


@inlined
def free_slot(portfolio, slot):
    """Forget an order that is done and about which nothing pends."""
    tally, own = portfolio.tally[0], portfolio.own[slot]
    close_slot(portfolio, slot)
    own.order_id = 0
    if own.side == Side.BUY:
        portfolio.markets[own.market].buys -= 1
    else:
        portfolio.markets[own.market].sells -= 1
    portfolio.free_slots[tally.free_count] = slot
    tally.free_count += 1
