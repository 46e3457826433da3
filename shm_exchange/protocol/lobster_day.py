"""A planned LOBSTER day in an instrument's own ticks and lots, ready to be replayed and compared."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from shm_exchange.domain.enums import CommandKind, OrderType, SelfTradePrevention
from shm_exchange.domain.errors import ConfigError, ExchangeError, PriceError, QuantityError
from shm_exchange.domain.instrument import Instrument
from shm_exchange.layout.headers import PRICE_LEVEL
from shm_exchange.protocol.flow import Flow, Numbers, Records, new_commands
from shm_exchange.protocol.lobster import UNITS_A_DOLLAR, VISIBLE
from shm_exchange.protocol.lobster_flow import Plan

_UNIT = Decimal(1) / UNITS_A_DOLLAR
_CENT = UNITS_A_DOLLAR // 100


class Day(NamedTuple):
    """The flow, and what the exchange must do with it."""

    flow: Flow
    executions: Records  # EXECUTION[m] in ticks and lots: what each aggressive order must meet
    held: Numbers  # as in Plan
    levels: Records | None  # PRICE_LEVEL[rows, 2, N] in ticks and lots, as the book file has them; None without one
    time_ns: Numbers  # i8[rows]: after midnight
    learned: int
    notes: dict[str, list[int]]


def instrument_for(symbol: str, messages: Records, book: Records | None) -> Instrument:
    """An instrument that fits the files: whole cents where every visible price is one, else ten-thousandths; lots of one share."""
    prices = messages["price"][np.isin(messages["kind"], VISIBLE)]
    in_cents = not (prices % _CENT).any() and (book is None or not (book["price"] % _CENT).any())
    return Instrument(symbol, "0.01" if in_cents else "0.0001", "1")


def day_of(messages: Records, book: Records | None, plan: Plan, index: int, session: str, instruments: tuple[Instrument, ...]) -> Day:
    """The plan as COMMAND records for instrument number `index`. Raises PriceError, QuantityError where the files do not fit its ticks and lots."""
    instrument, planned = instruments[index], plan.commands
    commands = new_commands(len(planned))
    enters = planned["kind"] == CommandKind.ENTER
    for name in ("kind", "side", "time_in_force"):
        commands[name] = planned[name]
    commands["client_order_id"] = planned["id"]
    commands["price_ticks"] = _ticks(planned["price"], instrument)
    commands["quantity"] = _lots(planned["quantity"], instrument)
    commands["order_type"][enters] = OrderType.LIMIT
    commands["self_trade"][enters] = SelfTradePrevention.NONE
    commands["instrument"] = index
    times = messages["time_ns"]
    flow = Flow(
        commands,
        planned["session"].astype(np.int64),
        planned["row"].copy(),
        times[np.maximum(planned["row"], 0)],
        (session, takers_session(session)),
        instruments,
    )
    executions = plan.executions.copy()
    executions["price"], executions["quantity"] = _ticks(executions["price"], instrument), _lots(executions["quantity"], instrument)
    levels = None
    if book is not None:
        levels = np.zeros(book.shape, PRICE_LEVEL)
        levels["price_ticks"], levels["quantity"] = _ticks(book["price"], instrument), _lots(book["quantity"], instrument)
    return Day(flow, executions, plan.held, levels, times, plan.learned, plan.notes)


def takers_session(session: str) -> str:
    """Who sends the orders that LOBSTER does not show."""
    return f"{session}-in"


def _ticks(prices: Numbers, instrument: Instrument) -> Numbers:
    return _whole(
        prices, Fraction(_UNIT) / Fraction(instrument.tick), PriceError, f"{{}} ten-thousandths are not a multiple of the tick {instrument.tick}"
    )


def _lots(quantities: Numbers, instrument: Instrument) -> Numbers:
    return _whole(quantities, 1 / Fraction(instrument.lot), QuantityError, f"{{}} shares are not a multiple of the lot {instrument.lot}")


def _whole(values: Numbers, factor: Fraction, error: type[ExchangeError], text: str) -> Numbers:
    """The values in another unit, exactly."""
    if values.size and int(np.abs(values).max()) * factor.numerator >= 1 << 63:
        raise ConfigError(f"values up to {int(np.abs(values).max())} do not fit this instrument; replay them on one with a coarser tick and lot")
    scaled = values * factor.numerator
    rest = scaled % factor.denominator
    if rest.any():
        raise error(f"{text.format(int(values[rest != 0][0]))}; replay it on an instrument that is fine enough, or on a private exchange")
    return scaled // factor.denominator
