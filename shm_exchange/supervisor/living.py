"""The living process that holds the byte of a role, by a handle that can never mean a stranger who got the same pid."""

from __future__ import annotations

import os
import time
from typing import NamedTuple

from shm_exchange.domain.errors import ExchangeError
from shm_exchange.runtime import pidfd
from shm_exchange.shm import KEEPER_BYTE, MATCHER_BYTE, SUPERVISOR_BYTE, Segment

_WORDS = {MATCHER_BYTE: ("matcher", "pid"), KEEPER_BYTE: ("keeper", "pid"), SUPERVISOR_BYTE: ("control", "supervisor_pid")}
_ROLES = {MATCHER_BYTE: "matcher", KEEPER_BYTE: "keeper", SUPERVISOR_BYTE: "supervisor"}
_PATIENCE_SECONDS = 5.0
_POLL_SECONDS = 0.005


class Living(NamedTuple):
    """A process and a pidfd of it, which the caller closes."""

    pid: int
    pidfd: int


def holder_of(segment: Segment, byte: int) -> Living | None:
    """Whoever holds the byte of a role now; None when nobody does. Raises ExchangeError for one that cannot be seen from here.

    Whoever has just taken its byte writes its pid next, so the two are looked at until they agree.
    """
    array, field = _WORDS[byte]
    words, deadline = segment.array(array), time.monotonic() + _PATIENCE_SECONDS
    while segment.is_held(byte):
        pid = int(words[field][0])
        if time.monotonic() > deadline:
            raise ExchangeError(
                f"the {_ROLES[byte]} of exchange {segment.name!r} lives, but not where we can see it (process {pid}): go to its container"
            )
        handles = pidfd.open_pidfds([pid] if pid else [])
        if pid in handles and segment.is_held(byte) and int(words[field][0]) == pid:
            return Living(pid, handles[pid])
        for handle in handles.values():
            os.close(handle)
        time.sleep(_POLL_SECONDS)
    return None
