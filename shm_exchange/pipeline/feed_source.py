"""Ticks for tests and demonstrations: walks at random, and lists of prices. The same seed gives the same ticks."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from itertools import count
from random import Random

from shm_exchange.pipeline.feed_wire import checked_symbols
from shm_exchange.pipeline.tick import Tick

START_NS = 1_700_000_000_000_000_000
"""Where lists of ticks begin: late in 2023. On the wire a number that is much smaller would be milliseconds."""
_STEP = 0.01
_HALF_SPREAD = 0.01


def random_ticks(symbols: Iterable[str], seed: int = 1, rate: float = 100.0, *, start: float = 100.0, start_ns: int | None = None) -> Iterator[Tick]:
    """Endless ticks of these symbols in turn, each price a random walk from `start` that stays above 0, `rate` ticks a second by their timestamps.

    start_ns: time of the first tick, None: now. Raises ConfigError.
    """
    names = checked_symbols(list(symbols))
    draw = Random(seed)  # noqa: S311 (a market, no secret)
    begin = time.time_ns() if start_ns is None else start_ns
    ticks, volumes = dict.fromkeys(names, round(start / _STEP)), dict.fromkeys(names, 0.0)
    for number in count():
        symbol = names[number % len(names)]
        ticks[symbol] = max(10, ticks[symbol] + draw.choice((-3, -2, -1, -1, 0, 0, 1, 1, 2, 3)))
        volumes[symbol] += draw.randint(0, 5)
        mid = ticks[symbol] * _STEP
        sizes = (float(draw.randint(1, 100)), float(draw.randint(1, 100)))
        yield Tick(
            symbol,
            begin + round(number * 1e9 / rate),
            round(mid - _HALF_SPREAD, 2),
            round(mid + _HALF_SPREAD, 2),
            *sizes,
            volumes[symbol],
        )


def ticks_at(
    symbol: str, prices: Iterable[float], *, half_spread: float = 0.0, size: float = 0.0, start_ns: int = START_NS, step_ns: int = 1_000_000_000
) -> list[Tick]:
    """A tick for each mid price, `step_ns` apart, with the same size on both sides."""
    return [Tick(symbol, start_ns + number * step_ns, price - half_spread, price + half_spread, size, size) for number, price in enumerate(prices)]
