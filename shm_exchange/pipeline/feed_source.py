"""Ticks for tests and demonstrations: walks at random, and lists of prices. The same seed gives the same ticks."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from itertools import count
from random import Random
from typing import NamedTuple

from shm_exchange.domain.errors import ConfigError
from shm_exchange.pipeline.feed_wire import checked_symbols
from shm_exchange.pipeline.tick import Tick

START_NS = 1_700_000_000_000_000_000
"""Where lists of ticks begin: late in 2023. On the wire a number that is much smaller would be milliseconds."""
VOLATILITY = 0.001
"""Standard deviation of the change from one tick of a symbol to the next, as a share of its price."""
_LEAST = 1.0
_HALF_SPREAD = 0.01


class Walk(NamedTuple):
    """How prices walk."""

    start: float = 100.0
    volatility: float = VOLATILITY


WALK = Walk()


def random_ticks(symbols: Iterable[str], seed: int = 1, rate: float = 100.0, *, walk: Walk = WALK, start_ns: int | None = None) -> Iterator[Tick]:
    """Endless ticks of these symbols in turn, each price a walk at random that stays above 0, `rate` ticks a second by their timestamps.

    start_ns: time of the first tick, None: now. Raises ConfigError.
    """
    names = checked_symbols(list(symbols))
    if not names:
        raise ConfigError("a walk needs at least one symbol")
    draw = Random(seed)  # noqa: S311 (a market, no secret)
    begin = time.time_ns() if start_ns is None else start_ns
    mids, volumes = dict.fromkeys(names, walk.start), dict.fromkeys(names, 0.0)
    for number in count():
        symbol = names[number % len(names)]
        mid = mids[symbol] = round(max(_LEAST, mids[symbol] * (1 + draw.gauss(0, walk.volatility))), 2)
        volumes[symbol] += draw.randint(0, 5)
        sizes = (float(draw.randint(1, 100)), float(draw.randint(1, 100)))
        yield Tick(symbol, begin + round(number * 1e9 / rate), round(mid - _HALF_SPREAD, 2), round(mid + _HALF_SPREAD, 2), *sizes, volumes[symbol])


def ticks_at(
    symbol: str, prices: Iterable[float], *, half_spread: float = 0.0, size: float = 0.0, start_ns: int = START_NS, step_ns: int = 1_000_000_000
) -> list[Tick]:
    """A tick for each mid price, `step_ns` apart, with the same size on both sides."""
    return [Tick(symbol, start_ns + number * step_ns, price - half_spread, price + half_spread, size, size) for number, price in enumerate(prices)]
