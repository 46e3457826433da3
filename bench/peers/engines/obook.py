"""obook: a C engine behind ctypes."""

from __future__ import annotations

from importlib import import_module

from bench.peers.engines import Engine

_BUYER, _SELLER = 1, 2


class Adapter(Engine):
    """Users by side, so that no order meets its own user's. Events are drained after each call, as a user must, or they pile up."""

    def __init__(self) -> None:
        self._obook = import_module("obook")
        self._book = self._obook.Book()
        self._ids: dict[int, tuple[int, int]] = {}
        self._trades = 0

    def new(self, order_id: int, side: int, price: int, quantity: int, ioc: int) -> None:
        """`submit` with its time in force."""
        user = _SELLER if side else _BUYER
        done = self._book.submit(user, side, price, quantity, tif=self._obook.IOC if ioc else self._obook.GTC)
        self._ids[order_id] = done.order_id, user
        self._drain()

    def cancel(self, order_id: int) -> bool:
        """`cancel` by the engine's id."""
        done = self._book.cancel(*self._ids[order_id])
        self._drain()
        return bool(done.reason == self._obook.Reason.NONE)

    def replace(self, order_id: int, side: int, price: int, quantity: int) -> None:
        """`replace`, which gives a new id."""
        known, user = self._ids[order_id]
        done = self._book.replace(known, user, side, price, quantity)
        if done.order_id:
            self._ids[order_id] = done.order_id, user
        self._drain()

    def _drain(self) -> None:
        trade = self._obook.EventKind.TRADE
        self._trades += sum(event.kind is trade for event in self._book.events())

    def trades(self) -> int:
        """TRADE events."""
        return self._trades
