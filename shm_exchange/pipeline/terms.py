"""What every queue is told when it is made, checked once; and the warning that items are being dropped."""

from __future__ import annotations

import logging
import math
import operator
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import NamedTuple, TypeVar

from shm_exchange.domain.errors import ConfigError
from shm_exchange.pipeline.policy import Policy, checked_policy

T = TypeVar("T")
Key = Callable[[object], object] | str
MAXSIZE_MAX = 1 << 24
_WARN_AGAIN_SECONDS = 10.0
_BATCH = 1024
_NAP_SECONDS, _NAP_SECONDS_MAX = 0.0001, 0.005

_log = logging.getLogger(__name__)


class Terms(NamedTuple):
    """What a queue promises, whichever it is."""

    name: str
    maxsize: int
    policy: Policy
    write_timeout: float

    def patience(self, timeout: float | None) -> float:
        """For how many seconds a `put` waits for room. Raises ConfigError."""
        if self.policy is Policy.TIMEOUT:
            return self.write_timeout if timeout is None else _checked_seconds("timeout", timeout)
        if timeout is not None:
            raise ConfigError(
                f"queue {self.name!r} has policy {self.policy}, where no put gives up: leave `timeout` out, or make it with policy timeout"
            )
        return math.inf

    def too_many_keys(self) -> ConfigError:
        """Policy `conflate` met one key more than it has room for."""
        return ConfigError(f"queue {self.name!r} holds {self.maxsize} different keys, its maxsize, and got another; make maxsize the number of keys")


def checked_terms(name: str, maxsize: int, policy: str, write_timeout: float, key: Key | None) -> Terms:
    """Raises ConfigError."""
    if not name:
        raise ConfigError("a queue without a name could not be told from others in a warning; give it one")
    if not isinstance(maxsize, int) or not 1 <= maxsize <= MAXSIZE_MAX:
        raise ConfigError(f"maxsize {maxsize!r} of queue {name!r} is none: it is a whole number from 1 to {MAXSIZE_MAX}")
    chosen = checked_policy(policy)
    if (key is None) == (chosen is Policy.CONFLATE):
        cure = "say by which key=" if key is None else "only conflate has a key: leave it out"
        raise ConfigError(f"queue {name!r} with policy {chosen}: {cure}")
    return Terms(name, maxsize, chosen, _checked_seconds("write_timeout", write_timeout))


def key_function(key: Key) -> Callable[[object], object]:
    """The function that tells an item's key; a name is that of an attribute."""
    return operator.attrgetter(key) if isinstance(key, str) else key


def _checked_seconds(what: str, seconds: float) -> float:
    if not 0 <= seconds < math.inf:
        raise ConfigError(f"{what} of {seconds!r} is none: it is a number of seconds, 0 or more")
    return float(seconds)


def naps() -> Iterator[float]:
    """How long a task sleeps between two tries, in seconds: from 0.1 ms, half as long again each time, to 5 ms."""
    seconds = _NAP_SECONDS
    while True:
        yield seconds
        seconds = min(seconds * 1.5, _NAP_SECONDS_MAX)


def batches(items: Iterable[T]) -> Iterator[list[T]]:
    """The items, some at once: they may never end."""
    source = iter(items)
    while batch := list(islice(source, _BATCH)):
        yield batch


class DropWarning:
    """Says in the log that drops begin, and while they go on how many there were, every 10 s."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._dropped = 0
        self._said = -math.inf

    def count(self, dropped: int) -> None:
        """`dropped` items more are gone."""
        self._dropped += dropped
        now = time.monotonic()
        if dropped and now - self._said >= _WARN_AGAIN_SECONDS:
            _log.warning(
                "queue %s (policy %s, maxsize %d) drops items: %d since the last warning",
                self._terms.name,
                self._terms.policy,
                self._terms.maxsize,
                self._dropped,
            )
            self._said, self._dropped = now, 0
