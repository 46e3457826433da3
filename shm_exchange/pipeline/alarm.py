"""Warnings of a queue: it passes its threshold, it is back below, it begins to drop. Once for each excursion, never for each item."""

from __future__ import annotations

import logging
import time
from collections import deque

from shm_exchange.domain.errors import ConfigError
from shm_exchange.pipeline.queue import Figures

_MINUTE_SECONDS = 60.0
_log = logging.getLogger("shm_exchange.pipeline")


def checked_threshold(lag_threshold: int | None, maxsize: int) -> int:
    """The threshold, 60 % of maxsize where none is given. Raises ConfigError."""
    if lag_threshold is None:
        return maxsize * 6 // 10
    if isinstance(lag_threshold, bool) or not isinstance(lag_threshold, int) or not 1 <= lag_threshold < maxsize:
        raise ConfigError(
            f"lag_threshold must be a whole number from 1 to {maxsize - 1}, below maxsize {maxsize}, not {lag_threshold!r}: "
            "a queue that is full cannot warn any more; leave it out for 60 %"
        )
    return lag_threshold


class Alarm:
    """Of one queue, or one group of them. For one thread."""

    def __init__(self, name: str, threshold: int) -> None:
        self._name = name
        self._threshold = threshold
        self._is_above = False
        self._is_dropping = False
        self._high_water = 0
        self._drops: deque[tuple[float, int]] = deque([(time.monotonic(), 0)])

    def look(self, queue: Figures, dropped: int) -> None:
        """Compare with the last look. dropped: in all."""
        self._look_at_size(queue)
        self._look_at_drops(dropped)

    def dropped_lately(self, dropped: int) -> int:
        """How many of all those were dropped within the last minute."""
        return dropped - self._drops[0][1]

    def _look_at_size(self, queue: Figures) -> None:
        size, threshold = queue.size, self._threshold
        if queue.high_water > self._high_water:  # it may have been there and back since the last look
            self._high_water = queue.high_water
            size = max(size, queue.high_water)
        if size > threshold and not self._is_above:
            self._is_above = True
            _log.warning(
                "%s: %d of %d items wait, more than %d: its consumers are slower than its producers", self._name, size, queue.maxsize, threshold
            )
        if queue.size <= threshold and self._is_above:
            self._is_above = False
            _log.warning("%s: back to %d of %d items", self._name, queue.size, queue.maxsize)

    def _look_at_drops(self, dropped: int) -> None:
        now, drops = time.monotonic(), self._drops
        if dropped > drops[-1][1]:
            if not self._is_dropping:
                _log.warning("%s: items are being dropped, %d so far", self._name, dropped)
            self._is_dropping = True
            drops.append((now, dropped))
        while len(drops) > 1 and drops[1][0] <= now - _MINUTE_SECONDS:
            drops.popleft()
        if self._is_dropping and len(drops) == 1:
            self._is_dropping = False
            _log.warning("%s: no item was dropped for a minute", self._name)
