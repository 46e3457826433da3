"""How far a participant is from the exchange: a delay that all its messages have, and a jitter that each draws for itself.

Each direction is a line of its own that keeps its order: what was sent later never arrives earlier. Orders travel out; market data and reports
travel in.
"""

from __future__ import annotations

import math
import re
from collections import deque
from collections.abc import Callable
from random import Random
from typing import Generic, NamedTuple, TypeVar

from shm_exchange.domain.errors import ConfigError
from shm_exchange.domain.names import nearest

T = TypeVar("T")
_UNITS = {"ns": 1, "us": 1_000, "µs": 1_000, "ms": 1_000_000, "s": 1_000_000_000}
_DURATION = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(ns|us|µs|ms|s)\s*")
_DRAWS: dict[str, Callable[[Random, float, float], float]] = {
    "constant": lambda _random, mean, _spread: mean,
    "uniform": lambda random, greatest, _spread: random.random() * greatest,
    "exponential": lambda random, mean, _spread: random.expovariate(1 / mean) if mean else 0.0,
    "lognormal": lambda random, median, spread: median * math.exp(random.gauss(0.0, spread)),
}
_SPREAD = 0.5
_EXAMPLE = 'write "uniform 100us", "exponential 50us", "lognormal 50us 0.5" or "constant 10us"'


class Latency(NamedTuple):
    """Of one participant, each way."""

    delay_ns: int = 0
    jitter: str = "constant"
    """constant; uniform, from 0 to `jitter_ns`; exponential, with that mean; lognormal, with that median and `spread` (of the logarithm)."""
    jitter_ns: int = 0
    spread: float = _SPREAD

    @property
    def is_none(self) -> bool:
        """Whether nothing is delayed."""
        return not self.delay_ns and not self.jitter_ns

    def draw(self, random: Random) -> int:
        """How long the next message takes, ns."""
        return self.delay_ns + (int(_DRAWS[self.jitter](random, self.jitter_ns, self.spread)) if self.jitter_ns else 0)


NO_LATENCY = Latency()


def duration_ns(given: object) -> int:
    """A duration such as "250us", "1.5 ms" or 0. Raises ConfigError."""
    if isinstance(given, str) and (match := _DURATION.fullmatch(given)):
        return round(float(match[1]) * _UNITS[match[2]])
    if given == 0 and not isinstance(given, bool):
        return 0
    raise ConfigError(f'{given!r} is no duration; write a number with its unit, such as "250us", "1.5ms" or "2s"')


def latency_of(delay: object = 0, jitter: object = 0) -> Latency:
    """From texts: a duration, and a name with a duration (or a duration alone: exponential). Raises ConfigError."""
    delay_ns = duration_ns(delay)
    if not isinstance(jitter, str):
        return Latency(delay_ns, "constant", duration_ns(jitter))
    words = jitter.split()
    if words and words[0][0].isdigit():
        words = ["exponential", "".join(words)]
    if not words or words[0] not in _DRAWS:
        raise ConfigError(f"jitter {jitter!r} is not known{nearest(words[0] if words else '', _DRAWS)}; {_EXAMPLE}")
    if not 2 <= len(words) <= (3 if words[0] == "lognormal" else 2):
        raise ConfigError(f"jitter {jitter!r} is not understood; {_EXAMPLE}")
    spread = _number(words[2], jitter) if len(words) == 3 else _SPREAD
    return Latency(delay_ns, words[0], duration_ns(words[1]), spread)


def _number(word: str, jitter: str) -> float:
    try:
        number = float(word)
    except ValueError:
        raise ConfigError(f"jitter {jitter!r} is not understood; {_EXAMPLE}") from None
    if not 0 <= number <= 5:
        raise ConfigError(f"the spread of a lognormal jitter is from 0 to 5, not {number:g}")
    return number


class Line(Generic[T]):
    """One direction: messages on their way."""

    def __init__(self, latency: Latency, random: Random) -> None:
        self._latency, self._random = latency, random
        self._moving: deque[tuple[int, T]] = deque()
        self._newest_ns = 0

    def send(self, now_ns: int, message: T) -> None:
        """It leaves now, and arrives behind everything sent before."""
        self._newest_ns = max(self._newest_ns, now_ns + self._latency.draw(self._random))
        self._moving.append((self._newest_ns, message))

    def next_ns(self) -> int | None:
        """When the next message arrives."""
        return self._moving[0][0] if self._moving else None

    def take(self, now_ns: int) -> tuple[int, T] | None:
        """(when it arrived, the message), of the next one that is there by now."""
        return self._moving.popleft() if self._moving and self._moving[0][0] <= now_ns else None

    def put_back(self, arrival_ns: int, message: T) -> None:
        """There was no room for it yet."""
        self._moving.appendleft((arrival_ns, message))

    def __len__(self) -> int:
        return len(self._moving)
