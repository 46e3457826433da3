"""order-matching: pure Python on lists, made for simulations in steps of time."""

from __future__ import annotations

from datetime import datetime, timedelta
from importlib import import_module

from bench.peers.engines import Engine

_START = datetime(2024, 1, 1)  # noqa: DTZ001  it compares with naive times
_STEP = timedelta(microseconds=1)


class Adapter(Engine):
    """One step of its time for each order, so that it matches order by order. Its log to standard error is switched off."""

    def __init__(self) -> None:
        import_module("loguru").logger.disable("order_matching")
        side = import_module("order_matching.enums").Side
        self._sides = (side.BUY, side.SELL)
        self._order = import_module("order_matching.order").LimitOrder
        self._orders = import_module("order_matching.orders").Orders
        self._engine = import_module("order_matching.matching_engine").MatchingEngine(seed=1)
        self._now = _START
        self._trades = 0

    def new(self, order_id: int, side: int, price: int, quantity: int, ioc: int) -> None:
        """`place` and `match`; it has no immediate-or-cancel, so the rest is canceled afterwards."""
        self._now += _STEP
        order = self._order(
            side=self._sides[side], price=float(price), size=float(quantity), timestamp=self._now, order_id=str(order_id), trader_id="bench"
        )
        self._engine.place(self._orders([order]))
        self._trades += len(self._engine.match(timestamp=self._now).trades)
        if ioc and order.size:
            self.cancel(order_id)

    def cancel(self, order_id: int) -> bool:
        """`cancel_order`, which raises for an order that is gone."""
        try:
            self._engine.cancel_order(str(order_id))
        except ValueError:
            return False
        return True

    def trades(self) -> int:
        """Executed trades of all matches."""
        return self._trades
