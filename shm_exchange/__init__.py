"""shm_exchange: an exchange that lives in shared memory. Gateways submit through lock-free lanes, one matcher owns the book, readers take snapshots.

    from shm_exchange import Exchange, Gateway, MarketView, EventFeed, BookReplica, Instrument, Side, TimeInForce, OrderType

Names are imported on first use, so that what needs no kernels (the command line's help, a supervisor) starts without numba.
"""

from __future__ import annotations

import logging
import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if sys.platform != "linux":
    raise ImportError("shm_exchange needs Linux (futexes, OFD locks, /dev/shm): use a Linux machine, WSL2 on Windows, or Docker elsewhere")

logging.getLogger(__name__).addHandler(logging.NullHandler())  # what is done with our lines is the program's business

if _folder := os.environ.get("SHM_EXCHANGE_PERF_MAP"):  # somebody profiles us: see runtime.perf_map
    from pathlib import Path

    from shm_exchange.runtime import perf_map

    perf_map.start(Path(_folder))

if TYPE_CHECKING:
    from shm_exchange.client import BookReplica as BookReplica
    from shm_exchange.client import EventFeed as EventFeed
    from shm_exchange.client import Gateway as Gateway
    from shm_exchange.client import MarketView as MarketView
    from shm_exchange.domain.enums import OrderType as OrderType
    from shm_exchange.domain.enums import SelfTradePrevention as SelfTradePrevention
    from shm_exchange.domain.enums import Side as Side
    from shm_exchange.domain.enums import TimeInForce as TimeInForce
    from shm_exchange.domain.errors import ExchangeError as ExchangeError
    from shm_exchange.domain.instrument import Instrument as Instrument
    from shm_exchange.supervisor import Exchange as Exchange

_HOMES = {
    "Exchange": "supervisor",
    "Gateway": "client",
    "MarketView": "client",
    "EventFeed": "client",
    "BookReplica": "client",
    "Instrument": "domain.instrument",
    "Side": "domain.enums",
    "OrderType": "domain.enums",
    "TimeInForce": "domain.enums",
    "SelfTradePrevention": "domain.enums",
    "ExchangeError": "domain.errors",
}

__all__ = [  # noqa: PLE0604, RUF100 — the table above is the list
    "BookReplica",
    "EventFeed",
    "Exchange",
    "ExchangeError",
    "Gateway",
    "Instrument",
    "MarketView",
    "OrderType",
    "SelfTradePrevention",
    "Side",
    "TimeInForce",
]


def __getattr__(name: str) -> Any:
    """Import a public name from its room."""
    if name not in _HOMES:
        raise AttributeError(f"module 'shm_exchange' has no attribute {name!r}")
    value = getattr(import_module(f"shm_exchange.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
