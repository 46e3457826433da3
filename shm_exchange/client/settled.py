"""Up to which moment a matcher has said everything: what merging the events of several matchers by their sequenced time rests on."""

from __future__ import annotations

import time

from shm_exchange._intrinsics import load_acquire
from shm_exchange._jit import kernel
from shm_exchange.client.plain import plain
from shm_exchange.shm.segment import Segment

END_OF_TIME = 1 << 62


@kernel
def settled_since(words, counters):
    """(CLOCK_MONOTONIC before which no command is stamped any more and all that are stamped are out, or 0; sequenced time of the last batch out).

    Order: a matcher shows its heartbeat at the beginning of a slice and reads the clock for every batch later; a batch that was stamped before the
    heartbeat is in the log before it. So: heartbeat first, then the log's tail, then what is published; look for events only after that. The time of
    a batch is stored behind its events (matcher.step), and no later batch has an earlier one.
    """
    batch_ns = load_acquire(words[0], "time_ns")
    heartbeat_ns = load_acquire(words[0], "heartbeat_ns")
    logged = load_acquire(words[0], "log_tail")
    return (heartbeat_ns if load_acquire(counters[0], "commands") >= logged else 0), batch_ns


class Settled:
    """One matcher's settled moment, in sequenced time."""

    def __init__(self, segment: Segment) -> None:
        self._segment = segment
        self._words, self._counters = plain(segment.array("matcher")), plain(segment.array("counters"))

    def until(self) -> int:
        """Sequenced time, ns since 1970: no event below it is still to come out. Look for events after this, and not before.

        A matcher that nobody will replace says nothing any more: then that is the end of time.
        """
        if self._segment.matcher_lost:
            return END_OF_TIME
        heartbeat_ns, batch_ns = settled_since(self._words, self._counters)
        return max(int(batch_ns), int(heartbeat_ns) + _clock_offset() if heartbeat_ns else 0)


def _clock_offset() -> int:
    """CLOCK_REALTIME - CLOCK_MONOTONIC, rather too little than too much: the matcher's own estimate is never below it."""
    return time.time_ns() - time.monotonic_ns()
