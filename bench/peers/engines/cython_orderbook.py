"""cython-orderbook: Python compiled with Cython."""

from __future__ import annotations

from importlib import import_module

from bench.peers.engines import Engine


class Adapter(Engine):
    """It knows orders by ids that it gives them as text."""

    def __init__(self) -> None:
        module = import_module("cython_orderbook")
        self._order = module.Order
        self._sides = (module.OrderSide.BID, module.OrderSide.ASK)
        self._book = module.OrderBook()
        self._ids: dict[int, str] = {}

    def new(self, order_id: int, side: int, price: int, quantity: int, ioc: int) -> None:
        """`add_limit_order`; it has no immediate-or-cancel, so the rest is canceled afterwards."""
        order = self._order(side=self._sides[side], price=price, original_quantity=quantity)
        self._ids[order_id] = order.order_id
        self._book.add_limit_order(order)
        if ioc and order.remaining_quantity:
            self._book.cancel_order(order.order_id)

    def cancel(self, order_id: int) -> bool:
        """`cancel_order` by the engine's id."""
        return bool(self._book.cancel_order(self._ids[order_id]))

    def trades(self) -> int:
        """Length of its trade log."""
        return len(self._book.trade_log)
