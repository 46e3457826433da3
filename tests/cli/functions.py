"""What the tests of `spawn` name as module:function."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from shm_exchange.domain.enums import Side

if TYPE_CHECKING:
    from shm_exchange.client import Gateway


def quote(gateway: Gateway, *, rate: float) -> dict[str, Any]:
    """Quote once and give back what we were told."""
    order_id = gateway.limit("ACME", Side.BUY, price="1.00", quantity=1)
    gateway.wait(10)
    kinds = [report.kind.name for report in gateway.poll()]
    gateway.cancel(order_id)
    return {"rate": rate, "kinds": kinds}


def unsayable(_gateway: Gateway) -> set[int]:
    """A result that JSON has no word for."""
    return {1, 2}


def fail(_gateway: Gateway) -> NoReturn:
    """Raise in the child."""
    raise ValueError("no such luck")
