"""lightmatchingengine: pure Python."""

from __future__ import annotations

from importlib import import_module

from bench.peers.engines import Engine

_SYMBOL = "MID"


class Adapter(Engine):
    """Its book keeps filled orders in its id map: to cancel one fails an assertion, or finds nothing; both count as refused here."""

    def __init__(self) -> None:
        self._engine = import_module("lightmatchingengine.lightmatchingengine").LightMatchingEngine()
        self._ids: dict[int, int] = {}
        self._trades = 0

    def new(self, order_id: int, side: int, price: int, quantity: int, ioc: int) -> None:
        """`add_order`; it has no immediate-or-cancel, so the rest is canceled afterwards."""
        order, trades = self._engine.add_order(_SYMBOL, price, quantity, side + 1)
        self._ids[order_id] = order.order_id
        self._trades += sum(trade.order_id != order.order_id for trade in trades)
        if ioc and order.leaves_qty:
            self._engine.cancel_order(order.order_id, _SYMBOL)

    def cancel(self, order_id: int) -> bool:
        """`cancel_order` by the engine's id."""
        try:
            return self._engine.cancel_order(self._ids[order_id], _SYMBOL) is not None
        except AssertionError:
            return False

    def trades(self) -> int:
        """Trades of the resting side: the incoming side has one for each price."""
        return self._trades
