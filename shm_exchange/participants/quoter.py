"""A quote that is kept in a book: one bid and one ask of a session, moved to wherever a tick says they are.

Moved, not canceled and entered anew, so that the book shows the one or the other and never nothing. On the way up the ask goes first, on the way
down the bid, so that the two never meet.
"""

from __future__ import annotations

import math

from shm_exchange.client import Gateway
from shm_exchange.client.report import Report
from shm_exchange.domain.enums import EventKind, Side
from shm_exchange.domain.errors import ExchangeError
from shm_exchange.domain.instrument import Instrument
from shm_exchange.participants.clear import check_matcher
from shm_exchange.participants.holdings import Holdings
from shm_exchange.participants.taking import price_for, quantity_for
from shm_exchange.pipeline.tick import Tick

_LOOK_SECONDS = 0.1


class Quoter:
    """One symbol. `holdings` has what others traded against the quote. For one thread; nobody else polls this gateway."""

    def __init__(self, gateway: Gateway, instrument: Instrument) -> None:
        self.holdings = Holdings()
        self._gateway, self._instrument = gateway, instrument
        self._open: dict[Side, int] = {}
        self._ask = math.inf

    def show(self, tick: Tick) -> None:
        """Have the quote of this tick in the book, and nothing else of ours, when this returns. Raises ExchangeError for a quote that is refused."""
        quoted = {Side.BUY: (tick.bid, tick.bid_size), Side.SELL: (tick.ask, tick.ask_size)}
        first, second = (Side.SELL, Side.BUY) if tick.ask >= self._ask else (Side.BUY, Side.SELL)
        for side in (first, second):
            self._move(side, *quoted[side])
        self._ask = tick.ask

    def withdraw(self) -> None:
        """Have nothing in the book, and every fill in `holdings`."""
        self._await(self._gateway.mass_cancel())
        self._open.clear()
        self._ask = math.inf

    def settle(self) -> int:
        """Take the reports that are there; returns how many."""
        reports = self._gateway.poll()
        for report in reports:
            self._look(report)
        return len(reports)

    def _move(self, side: Side, price: float, size: float) -> None:
        """To a price, with a size; what a fill took meanwhile is shown again."""
        there = price_for(self._instrument, Side.SELL if side is Side.BUY else Side.BUY, price)
        quantity = quantity_for(self._instrument, size)
        symbol = self._instrument.symbol
        if (order_id := self._open.get(side)) is not None:
            answer = self._await(self._gateway.replace(order_id, price=there, quantity=quantity, reinsert=True, symbol=symbol))
            if answer.kind is not EventKind.REJECTED:  # it may have traded and be gone
                return
        self._open.pop(side, None)
        order_id = self._gateway.limit(symbol, side, price=there, quantity=quantity)
        answer = self._await(order_id)
        if answer.kind is EventKind.REJECTED:
            raise ExchangeError(f"the {side.name} quote {quantity} @ {there} of {symbol} was refused: {answer.reason!r}")
        self._open[side] = order_id

    def _await(self, command_id: int) -> Report:
        """All reports up to the answer to a command."""
        while True:
            answer = None
            for report in self._gateway.poll():
                self._look(report)
                if report.command_id == command_id and report.kind is not EventKind.CANCELED:
                    answer = report
            if answer is not None:
                return answer
            if not self._gateway.wait(_LOOK_SECONDS):
                check_matcher(self._gateway)

    def _look(self, report: Report) -> None:
        if report.kind is EventKind.EXECUTED:
            assert report.side is not None and report.quantity is not None and report.price is not None
            self.holdings.fill(report.symbol, report.side, report.quantity, report.price)
