"""orderly-chaos: a C++ engine behind ctypes."""

from __future__ import annotations

from importlib import import_module

from bench.peers.engines import Engine


class Adapter(Engine):
    """Trades come through its callback."""

    def __init__(self) -> None:
        module = import_module("orderly_chaos")
        self._sides = (module.Side.BUY, module.Side.SELL)
        self._unknown = module.UnknownOrderIdError
        self._trades = 0
        self._book = module.LimitOrderBook(on_trade=self._count)

    def _count(self, _trade: object) -> None:
        self._trades += 1

    def new(self, order_id: int, side: int, price: int, quantity: int, ioc: int) -> None:
        """`limit`; it has no immediate-or-cancel with a price, so the rest is canceled afterwards."""
        filled = self._book.limit(self._sides[side], order_id, quantity, price)
        if ioc and filled < quantity:
            self._book.cancel(order_id)

    def cancel(self, order_id: int) -> bool:
        """`cancel`, which raises for an order that is gone."""
        try:
            self._book.cancel(order_id)
        except self._unknown:
            return False
        return True

    def trades(self) -> int:
        """Calls of the trade handler."""
        return self._trades
