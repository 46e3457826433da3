"""The built-in flows that `spawn` knows by name. Light: help texts are made from it. What each does stands in `flow` and `book_flows`."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from shm_exchange.domain.errors import ConfigError
from shm_exchange.domain.names import nearest

MID_TICKS = 10_000
"""Where a market begins that has no price yet."""
RESTING_AT_MOST = 750
"""Orders that a flow likes to have open, where its quota allows them."""


class FlowKind(IntEnum):
    """Which kernel makes the commands."""

    RANDOM = 1
    MAKER = 2
    TAKER = 3
    NOISE = 4
    PING = 5
    ZERO = 6


class Flow(NamedTuple):
    """A built-in flow."""

    kind: FlowKind
    says: str


FLOWS = {
    "random": Flow(FlowKind.RANDOM, "every kind of order, cancel, change and mistake around a walking mid"),
    "maker": Flow(FlowKind.MAKER, "post-only quotes on both sides of a walking mid, replaced all the time"),
    "taker": Flow(FlowKind.TAKER, "immediate-or-cancel and market orders against the best prices"),
    "noise": Flow(FlowKind.NOISE, "limit orders at or near the touch, and cancels of them"),
    "ping": Flow(FlowKind.PING, "one lot that rests and one that meets it: a round trip of its own"),
    "zero": Flow(FlowKind.ZERO, "zero intelligence: limits at any distance, market orders, cancels"),
}


def checked_flow(name: str) -> Flow:
    """The flow of that name. Raises ConfigError."""
    if name not in FLOWS:
        raise ConfigError(f"there is no flow {name!r}{nearest(name, FLOWS)}; known are {', '.join(FLOWS)}, or give a function as module:function")
    return FLOWS[name]
