"""nanobook: a Rust engine behind PyO3."""

from __future__ import annotations

from importlib import import_module

from bench.peers.engines import Engine


class Adapter(Engine):
    """Results carry their trades."""

    def __init__(self) -> None:
        self._exchange = import_module("nanobook").Exchange()
        self._ids: dict[int, int] = {}
        self._trades = 0

    def new(self, order_id: int, side: int, price: int, quantity: int, ioc: int) -> None:
        """`submit_limit` with its time in force."""
        done = self._exchange.submit_limit("sell" if side else "buy", price, quantity, "ioc" if ioc else "gtc")
        self._ids[order_id] = done.order_id
        self._trades += len(done.trades)

    def cancel(self, order_id: int) -> bool:
        """`cancel` by the engine's id."""
        return bool(self._exchange.cancel(self._ids[order_id]).success)

    def replace(self, order_id: int, _side: int, price: int, quantity: int) -> None:
        """`modify`, which gives a new id."""
        done = self._exchange.modify(self._ids[order_id], price, quantity)
        if done.success:
            self._ids[order_id] = done.new_order_id
            self._trades += len(done.trades)

    def trades(self) -> int:
        """Trades of all results."""
        return self._trades
