"""Bytes that no gateway of ours would write, for the lane of a process that has it mapped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from shm_exchange.domain.enums import CommandKind
from shm_exchange.domain.limits import NOTIONAL_MAX, PRICE_TICKS_MAX, QUANTITY_MAX
from shm_exchange.layout.records import COMMAND

Commands = np.ndarray[Any, np.dtype[np.void]]
Garbage = Callable[[np.random.Generator, int], Commands]

FORBIDDEN = 1
"""The instrument that garbage never names, so that nothing in it may change."""

_EDGES = [0, 1, 2, 3, 255, 256, 2**31, 2**40, 2**62, 2**63 - 1]
_WORDS = sorted({*_EDGES, *(-edge for edge in _EDGES), -(2**63), QUANTITY_MAX, QUANTITY_MAX + 1, PRICE_TICKS_MAX, PRICE_TICKS_MAX + 1, NOTIONAL_MAX})


def random_bytes(draw: np.random.Generator, count: int) -> Commands:
    """Every byte drawn."""
    return _allowed(np.frombuffer(draw.bytes(count * COMMAND.itemsize), COMMAND).copy())


def all_ones(_: np.random.Generator, count: int) -> Commands:
    """0xFF everywhere."""
    return np.frombuffer(b"\xff" * (count * COMMAND.itemsize), COMMAND).copy()


def zeros(_: np.random.Generator, count: int) -> Commands:
    """Zeroed memory is never a command."""
    return np.zeros(count, COMMAND)


def edge_cases(draw: np.random.Generator, count: int) -> Commands:
    """Mostly sensible commands with a word here and there from the edges of its range, so that each check meets what is just beyond it."""
    commands = np.zeros(count, COMMAND)

    def mostly(sensible: list[int], edges: list[int], likely: float = 0.9) -> np.ndarray:
        dtype = np.int64
        return np.where(draw.random(count) < likely, draw.choice(np.array(sensible, dtype), count), draw.choice(np.array(edges, dtype), count))

    commands["kind"] = mostly([1, 1, 1, 2, 3, 4, 5], [0, 8, 9, 255])
    for name, sensible in (("side", [1, 2]), ("order_type", [1]), ("time_in_force", [1, 1, 2, 3]), ("self_trade", [1, 2, 3, 4, 5])):
        commands[name] = mostly(sensible, list(range(8)))
    commands["modifiers"] = mostly([0], [1, 2, 3, 4, 8, 16, 32, 64, 128, 255], 0.7)
    commands["instrument"] = mostly([0], [2, 255, 65_535])
    commands["price_ticks"] = mostly(list(range(90, 111)), _WORDS, 0.8)
    commands["quantity"] = mostly([1, 2, 3], _WORDS, 0.8)
    commands["client_order_id"] = mostly([0, 0, 1, 2, 3], [2**62, 2**63 - 1])
    commands["order_id"] = np.where(commands["kind"] == CommandKind.ENTER, mostly([0], _WORDS, 0.95), mostly([0], _WORDS, 0.5))
    commands["terms"] = mostly([0], _WORDS)
    return commands


def logons(draw: np.random.Generator, count: int) -> Commands:
    """Names that are none: unprintable, empty, with holes; and now and then a good one of ours."""
    commands = _allowed(random_bytes(draw, count))
    commands["kind"], commands["terms"], commands["modifiers"] = CommandKind.LOGON, 0, 0
    return commands


def _allowed(commands: Commands) -> Commands:
    commands["instrument"][commands["instrument"] == FORBIDDEN] = 0
    return commands


ALL: dict[str, Garbage] = {"random": random_bytes, "ones": all_ones, "zeros": zeros, "edges": edge_cases, "logons": logons}
