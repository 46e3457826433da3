"""The public referee's flow: one deterministic market day, made by our own code, byte for byte what its generator writes.

    1. create    N orders around a mid price that walks: price, level, quantity
    2. shuffle   their order of arrival (Fisher–Yates)
    3. live      each order in arrival order: NEW, perhaps MODIFY, perhaps CANCEL, perhaps a stale repeat of either

Every draw comes from one stream of uniforms, strictly in order. The kernels read it from a block drawn beforehand and say how much they used;
what is left of a block starts the next. The doubles are plain IEEE-754 with libm's log, cos and exp: `kernel` has no fastmath.

The workload also has a clock, by which messages are finally sorted, stably. It starts at 0 and is only ever added to, so messages are made
in time order already and the sort changes nothing: the two draws that only the clock needs are taken and not looked at.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from shm_exchange._jit import kernel
from shm_exchange.domain.errors import ConfigError
from shm_exchange.protocol.referee import MESSAGE, MessageKind, MessageSide


class Scenario(NamedTuple):
    """How the mid price moves over the day."""

    volatility: float
    target_swing: float


SCENARIOS = {
    "static": Scenario(0.0, 0.0),
    "normal": Scenario(0.15, 0.02),
    "swing-25": Scenario(0.50, 0.25),
    "swing-40": Scenario(0.50, 0.40),
    "flash-crash": Scenario(0.50, 0.60),
}

_ORDER = np.dtype([("price_ticks", "i8"), ("quantity", "u4"), ("side", "u1"), ("_reserved", "u1", 3)])

TICK = 0.005
FIRST_MID = 167.52
_LEVELS = 800
_IOC = 0.15
_MODIFY = 0.20
_MODIFY_MOVES_PRICE = 0.80
_CANCEL = 0.95
_STALE = 0.02

_DRAWS_CREATE = 4  # exactly, an order: two for the normal, one for the level, one for the quantity
_DRAWS_LIVE = 10  # at most, an order
_MESSAGES_LIVE = 5  # at most, an order
_BLOCK = 1 << 16  # orders at a time
_COUNT_MAX = 1 << 28  # ids and positions stay far below 2^40; memory is gone long before

Progress = Callable[[float], None]
"""Told the share that is done, 0.0 … 1.0, some 50 times a million orders."""


class _Uniforms:
    """The stream of uniforms, drawn ahead in blocks."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.RandomState(seed)
        self._ahead = np.empty(0)

    def peek(self, count: int) -> np.ndarray:
        """The next `count` uniforms at least; they stay next until `drop`."""
        missing = count - len(self._ahead)
        if missing > 0:
            self._ahead = np.concatenate((self._ahead, self._random.random_sample(missing)))
        return self._ahead

    def drop(self, count: int) -> None:
        self._ahead = self._ahead[count:]


def generate(scenario: str, seed: int, count: int, progress: Progress | None = None) -> np.ndarray:
    """All messages (MESSAGE) of the lives of `count` new orders; the same arguments give the same bytes everywhere."""
    if scenario not in SCENARIOS:
        raise ConfigError(f"no scenario {scenario!r}: the referee has {', '.join(SCENARIOS)}; choose one of them")
    if not 0 <= seed < 1 << 32:
        raise ConfigError(f"seed {seed} does not fit: the generator takes 32 bits; give a seed from 0 to {(1 << 32) - 1}")
    if not 1 <= count <= _COUNT_MAX:
        raise ConfigError(f"{count} new orders cannot be made: a flow has 1 to {_COUNT_MAX}; give a count in that range")
    uniforms = _Uniforms(seed)
    tell = progress or _tell_nobody
    orders = _create_orders(SCENARIOS[scenario], count, uniforms, lambda share: tell(0.3 * share))
    arrivals = _shuffle_arrivals(count, uniforms, lambda share: tell(0.3 + 0.2 * share))
    return _live_orders(orders, arrivals, uniforms, lambda share: tell(0.5 + 0.5 * share))


def _tell_nobody(_share: float) -> None:
    pass


def _create_orders(scenario: Scenario, count: int, uniforms: _Uniforms, tell: Progress) -> np.ndarray:
    orders = np.zeros(count, _ORDER)
    orders["side"][count // 2 :] = MessageSide.SELL
    profile = level_profile()
    step = _step(scenario, count)
    mid = FIRST_MID
    for first in range(0, count, _BLOCK):
        block = orders[first : first + _BLOCK]
        mid = create(block, uniforms.peek(_DRAWS_CREATE * len(block)), profile, mid, step)
        uniforms.drop(_DRAWS_CREATE * len(block))
        tell((first + len(block)) / count)
    return orders


def _step(scenario: Scenario, count: int) -> float:
    """Standard deviation of one step of the log price: the swing is reached over `count` steps."""
    if scenario.volatility == 0.0:
        return 0.0
    return scenario.volatility * math.sqrt(math.pow(scenario.target_swing / scenario.volatility, 2.0) / count)


def level_profile() -> np.ndarray:
    """Cumulated weight of each distance from the mid: a power law with a hump at level 8."""
    total = 0.0
    cumulated = np.empty(_LEVELS)
    for level in range(_LEVELS):
        z = float(level - 8)
        total += 1.0 / math.pow(level + 1, 2.23) + 5.0 * math.exp(-0.5 * z * z)
        cumulated[level] = total
    return cumulated


def _shuffle_arrivals(count: int, uniforms: _Uniforms, tell: Progress) -> np.ndarray:
    arrivals = np.arange(count)
    for last in range(count - 1, 0, -_BLOCK):
        swaps = min(_BLOCK, last)
        shuffle(arrivals, last, swaps, uniforms.peek(swaps))
        uniforms.drop(swaps)
        tell((count - last) / count)
    return arrivals


def _live_orders(orders: np.ndarray, arrivals: np.ndarray, uniforms: _Uniforms, tell: Progress) -> np.ndarray:
    pieces = []
    for first in range(0, len(arrivals), _BLOCK):
        block = arrivals[first : first + _BLOCK]
        piece = np.zeros(_MESSAGES_LIVE * len(block), MESSAGE)
        made, used = live(orders, block, uniforms.peek(_DRAWS_LIVE * len(block)), piece)
        pieces.append(piece[:made].copy())
        uniforms.drop(used)
        tell((first + len(block)) / len(arrivals))
    messages = np.concatenate(pieces)
    messages["sequence"] = np.arange(len(messages), dtype=np.uint64)
    return messages


@kernel
def create(orders, uniforms, profile, mid, step):
    """Price and size each order, walking the mid; return where the mid has got to."""
    last = len(profile) - 1
    draw = 0
    for i in range(len(orders)):
        z = math.sqrt(-2.0 * math.log(max(uniforms[draw], 1e-300))) * math.cos(2.0 * math.pi * uniforms[draw + 1])
        mid *= math.exp(-0.5 * step * step + step * z)
        mid_ticks = int(round_half_away((round_half_away(mid / TICK) * TICK) / TICK))
        level = min(np.searchsorted(profile, uniforms[draw + 2] * profile[last]), last)
        away = level + 1
        price_ticks = mid_ticks - away if orders[i]["side"] == MessageSide.BUY else mid_ticks + away
        orders[i]["price_ticks"] = max(price_ticks, 1)
        orders[i]["quantity"] = 1 + int(uniforms[draw + 3] * 100.0)
        draw += _DRAWS_CREATE
    return mid


@kernel
def round_half_away(value):
    """`round` of libm, of a positive number; `value - floor(value)` is exact, `value + 0.5` would not be."""
    below = math.floor(value)
    return below + 1.0 if value - below >= 0.5 else below


@kernel
def shuffle(arrivals, last, swaps, uniforms):
    """Fisher–Yates from index `last` downwards, `swaps` steps of it."""
    for step in range(swaps):
        i = last - step
        j = int(uniforms[step] * (i + 1))
        arrivals[i], arrivals[j] = arrivals[j], arrivals[i]


@kernel
def live(orders, arrivals, uniforms, messages):
    """Write the messages of each order's life; return (messages written, uniforms used)."""
    made = 0
    draw = 0
    for arrival in range(len(arrivals)):
        index = arrivals[arrival]
        side = orders[index]["side"]
        price_ticks = orders[index]["price_ticks"]
        quantity = orders[index]["quantity"]

        ioc = uniforms[draw] < _IOC
        draw += 1
        write(messages, made, MessageKind.NEW, side, index + 1)
        messages[made]["ioc"] = ioc
        messages[made]["quantity"] = quantity
        messages[made]["price_ticks"] = price_ticks
        made += 1
        if ioc:
            continue

        modified = uniforms[draw] < _MODIFY
        draw += 1
        if modified:
            draw += 1  # how long until the modify: only the clock needs it
            moves = uniforms[draw] < _MODIFY_MOVES_PRICE
            draw += 1
            if moves:
                price_ticks += 1 if side == MessageSide.BUY else -1
            made = write_modify(messages, made, side, index + 1, price_ticks, quantity + 1)

        canceled = uniforms[draw] < _CANCEL
        draw += 1
        if canceled:
            draw += 1  # how long the order lives: only the clock needs it
            made = write(messages, made, MessageKind.CANCEL, side, index + 1)
            stale = uniforms[draw] < _STALE
            draw += 1
            if stale:
                draw += 1  # the gap before the repeat: only the clock needs it
                made = write(messages, made, MessageKind.CANCEL, side, index + 1)

        if modified and canceled:
            stale = uniforms[draw] < _STALE
            draw += 1
            if stale:
                draw += 1
                made = write_modify(messages, made, side, index + 1, price_ticks, quantity + 1)
    return made, draw


@kernel
def write_modify(messages, at, side, order_id, price_ticks, quantity):
    """Write a MODIFY at index `at`; return the index behind it."""
    messages[at]["quantity"] = quantity
    messages[at]["price_ticks"] = price_ticks
    return write(messages, at, MessageKind.MODIFY, side, order_id)


@kernel
def write(messages, at, kind, side, order_id):
    """Write the words that every message has at index `at`; return the index behind it."""
    messages[at]["kind"] = kind
    messages[at]["side"] = side
    messages[at]["order_id"] = order_id
    return at + 1
