"""fastlob: pure Python, decimal prices, locks on both sides."""

from __future__ import annotations

import logging
from importlib import import_module

from bench.peers.engines import Engine


class Adapter(Engine):
    """A thread of its own looks for expired orders ten times a second."""

    def __init__(self) -> None:
        self._module = import_module("fastlob")
        logging.getLogger("[peer]").setLevel(logging.CRITICAL)  # it warns of every refused cancel, and the flow has some
        self._book = self._module.Orderbook("peer", start=True)
        self._sides = (self._module.OrderSide.BID, self._module.OrderSide.ASK)
        self._ids: dict[int, str] = {}

    def new(self, order_id: int, side: int, price: int, quantity: int, ioc: int) -> None:
        """`process`; it has no immediate-or-cancel, so the rest is canceled afterwards."""
        done = self._book.process(self._module.OrderParams(self._sides[side], price, quantity))
        self._ids[order_id] = done.orderid()
        if ioc and done.kind().in_limit():
            self._book.cancel(done.orderid())

    def cancel(self, order_id: int) -> bool:
        """`cancel` by the engine's id."""
        return bool(self._book.cancel(self._ids[order_id]).success())

    def trades(self) -> None:
        """It counts the orders that were filled, not those that were only begun."""

    def close(self) -> None:
        """End its thread."""
        self._book.stop()
