"""pyorderbook: pure Python, decimal prices."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from bench.peers.engines import Engine

_SYMBOL = "MID"


class Adapter(Engine):
    """It knows orders as objects."""

    def __init__(self) -> None:
        module = import_module("pyorderbook")
        self._make = (module.bid, module.ask)
        self._book = module.Book()
        self._orders: dict[int, Any] = {}
        self._trades = 0

    def new(self, order_id: int, side: int, price: int, quantity: int, ioc: int) -> None:
        """`match`; it has no immediate-or-cancel, so the rest is canceled afterwards."""
        order = self._make[side](_SYMBOL, price, quantity)
        self._orders[order_id] = order
        self._trades += len(self._book.match(order).trades)
        if ioc and order.quantity:
            self._book.cancel(order)

    def cancel(self, order_id: int) -> bool:
        """`cancel` of an order that is still open; of another one it logs an error and raises."""
        order = self._orders[order_id]
        if self._book.get_order(order.id) is None:
            return False
        self._book.cancel(order)
        return True

    def trades(self) -> int:
        """Trades of all blotters."""
        return self._trades
