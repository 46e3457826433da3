"""Orders that take what is there at once: sent, followed through their reports to the end, and told as what was filled.

Floats of a feed become exact prices and quantities here: a buyer's price is rounded up to the tick, a seller's down, a quantity down to the lot.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import NamedTuple, Protocol

from shm_exchange.client.report import Report
from shm_exchange.domain.enums import EventKind, Side, TimeInForce
from shm_exchange.domain.errors import ExchangeError
from shm_exchange.domain.instrument import Instrument, Number
from shm_exchange.participants.holdings import NOTHING

PATIENCE_SECONDS = 30.0
_LOOK_SECONDS = 0.1
_ENDS = (EventKind.CANCELED, EventKind.REJECTED)


class Trading(Protocol):
    """What is needed of a Gateway."""

    name: str
    session: str

    @property
    def matcher_lost(self) -> bool:
        """No matcher, and none will come."""

    def limit(self, symbol: str, side: Side, price: Number | None = None, quantity: Number = 0, *, time_in_force: TimeInForce = ...) -> int:
        """Submit; the order id."""

    def poll(self) -> list[Report]:
        """Reports that are there."""

    def wait(self, timeout: float | None = None) -> bool:
        """Until there are some."""


class Fill(NamedTuple):
    """A part of an order that traded."""

    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal


class Taken(NamedTuple):
    """An order that has ended."""

    order_id: int
    fills: tuple[Fill, ...]
    reason: str = ""
    """Why the rest did not trade; empty when all did."""

    @property
    def quantity(self) -> Decimal:
        """Filled."""
        return sum((fill.quantity for fill in self.fills), NOTHING)

    @property
    def value(self) -> Decimal:
        """Quantity by price, of all fills."""
        return sum((fill.quantity * fill.price for fill in self.fills), NOTHING)

    @property
    def price(self) -> Decimal | None:
        """The average one; None when nothing traded."""
        return self.value / self.quantity if self.fills else None


class Pending:
    """An order on its way, fed with the reports of its session."""

    def __init__(self, order_id: int) -> None:
        self.order_id = order_id
        self._fills: list[Fill] = []
        self._reason = ""
        self.is_over = False

    def look(self, report: Report) -> None:
        """Take a report; those of other orders are passed over."""
        if report.order_id != self.order_id or self.is_over:
            return
        if report.kind is EventKind.EXECUTED:
            assert report.side is not None and report.quantity is not None and report.price is not None
            self._fills.append(Fill(report.symbol, report.side, report.quantity, report.price))
            self.is_over = report.leaves_lots == 0
        elif report.kind in _ENDS:
            self._reason = report.reason.name if report.reason else ""
            self.is_over = True

    def taken(self) -> Taken:
        """What became of it. Caller: it is over."""
        assert self.is_over
        return Taken(self.order_id, tuple(self._fills), self._reason)


def take(gateway: Trading, symbol: str, side: Side, price: Number, quantity: Number) -> Taken:
    """Trade up to `quantity` at `price` or better, at once. Raises ExchangeError when the matcher dies or does not answer."""
    pending = send(gateway, symbol, side, price, quantity)
    return await_end(gateway, [pending])[0]


def send(gateway: Trading, symbol: str, side: Side, price: Number, quantity: Number) -> Pending:
    """The first half of `take`: on its way."""
    return Pending(gateway.limit(symbol, side, price, quantity, time_in_force=TimeInForce.IOC))


def await_end(gateway: Trading, pending: Iterable[Pending], patience: float = PATIENCE_SECONDS) -> list[Taken]:
    """The second half: poll until all these orders of one gateway are over. Raises ExchangeError."""
    orders = list(pending)
    deadline = time.monotonic() + patience
    while not all(order.is_over for order in orders):
        for report in gateway.poll():
            for order in orders:
                order.look(report)
        if all(order.is_over for order in orders) or gateway.wait(_LOOK_SECONDS):
            continue
        if gateway.matcher_lost:
            raise ExchangeError(f"the matcher of exchange {gateway.name!r} ended while session {gateway.session!r} was trading")
        if time.monotonic() > deadline:
            raise ExchangeError(f"exchange {gateway.name!r} does not answer session {gateway.session!r} for {patience:g} s; look at it with status")
    return [order.taken() for order in orders]


def price_for(instrument: Instrument, side: Side, price: float) -> Decimal:
    """A price on the tick that is no worse to trade at for others than `price`."""
    rounding = ROUND_CEILING if side is Side.BUY else ROUND_FLOOR
    return instrument.price(int((Decimal(repr(price)) / instrument.tick).to_integral_value(rounding)))


def quantity_for(instrument: Instrument, quantity: float | Decimal) -> Decimal:
    """A quantity on the lot, at most `quantity`."""
    exact = quantity if isinstance(quantity, Decimal) else Decimal(repr(quantity))
    return instrument.quantity(int((exact / instrument.lot).to_integral_value(ROUND_FLOOR)))
