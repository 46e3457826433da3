"""One file for each engine: what its user would write for a new order, a cancel and a replacement. Runs where nothing but the engine is installed."""

from __future__ import annotations

import abc


class Engine(abc.ABC):
    """One empty book. Sides are 0 (buy) and 1 (sell), prices whole ticks; a call that the engine refuses changes nothing and raises nothing."""

    @abc.abstractmethod
    def new(self, order_id: int, side: int, price: int, quantity: int, ioc: int) -> None:
        """A limit order; with `ioc` what does not trade at once is gone."""

    @abc.abstractmethod
    def cancel(self, order_id: int) -> bool:
        """Take an open order away; whether there was one."""

    def replace(self, order_id: int, side: int, price: int, quantity: int) -> None:
        """Give an open order a new price and open quantity, at the end of the queue. Engines without it cancel and enter anew, which is the same."""
        if self.cancel(order_id):
            self.new(order_id, side, price, quantity, 0)

    @abc.abstractmethod
    def trades(self) -> int | None:
        """How many times two orders have met so far; None where the engine does not tell."""

    def close(self) -> None:  # noqa: B027  most engines have nothing to end
        """End what runs beside the book."""
