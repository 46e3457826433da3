"""What the tests spawn: importable, as every spawned function must be."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from shm_exchange.domain.enums import Side

if TYPE_CHECKING:
    from shm_exchange.client import EventFeed, Gateway, MarketView

SYMBOL = "ACME"
NOT_A_FUNCTION = 3


def trade(gateway: Gateway, price: str, *, quantity: int = 1) -> dict[str, Any]:
    """Quote once and say who we are."""
    gateway.limit(SYMBOL, Side.BUY, price=price, quantity=quantity)
    gateway.wait(10)
    kinds = [report.kind.name for report in gateway.poll()]
    return {"session": gateway.session, "account": gateway.account, "kinds": kinds, "cores": sorted(os.sched_getaffinity(0)), "pid": os.getpid()}


def watch(words: str) -> str:
    """A process without a gateway."""
    return words.upper()


def fail(gateway: Gateway, words: str) -> NoReturn:
    """Raise in the child."""
    raise ValueError(words)


def crash() -> None:
    """Die in native code."""
    os.kill(os.getpid(), signal.SIGSEGV)


def leave(code: object) -> NoReturn:
    """Leave as programs do."""
    sys.exit(code)  # type: ignore[arg-type]


def unpicklable() -> object:
    """A result that does not travel."""
    return lambda: None


def large() -> bytes:
    """A result larger than any pipe."""
    return b"x" * 1_000_000


def rest(fifo: str = "", unwound: str = "") -> None:
    """Say through a FIFO that we run; go on until told to end, and touch a file `unwound` then."""
    try:
        if fifo:
            Path(fifo).write_text("running")
        while True:
            signal.pause()
    finally:
        if unwound:
            Path(unwound).touch()


def stubborn(fifo: str) -> None:
    """Like `rest`, but SIGTERM does not end it."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    rest(fifo)


def hold(_gateway: Gateway, fifo: str) -> None:
    """Keep a session until told to end."""
    rest(fifo)


def use_everything(gateway: Gateway) -> None:
    """Call whatever has a kernel behind it."""
    import numpy as np

    from shm_exchange.client import BookReplica, EventFeed, MarketView
    from shm_exchange.layout.records import COMMAND

    order_id = gateway.limit(SYMBOL, Side.BUY, price="1.00", quantity=5, client_order_id=1)
    gateway.limit(SYMBOL, Side.SELL, price_ticks=200, quantity="3")
    gateway.market(SYMBOL, Side.SELL, quantity=1, worst_price="0.50")
    gateway.reduce(order_id, 1)
    gateway.replace(order_id, price="1.01", quantity=4)
    gateway.cancel(client_order_id=1)
    gateway.mass_cancel()
    gateway.submit_many(np.zeros(3, COMMAND))
    while gateway.wait(0.05):
        gateway.poll()
        gateway.poll_array()
    gateway.ack()
    exchange = gateway.name
    with MarketView.attach(exchange, SYMBOL) as view, EventFeed.attach(exchange, from_start=True) as feed, BookReplica.attach(exchange) as replica:
        view.depth()
        feed.poll()
        replica.orders("1.00", SYMBOL)
        replica.volume("1.00", SYMBOL)
        replica.levels(Side.SELL, SYMBOL)
        replica.book_hash(SYMBOL)
        asyncio.run(wait_in_a_loop(gateway, feed, view))


async def wait_in_a_loop(*handles: Gateway | EventFeed | MarketView) -> None:
    """Begin to wait for each, and give up."""
    for handle in handles:
        with suppress(TimeoutError):
            await asyncio.wait_for(handle.wait_async(), 0.01)
