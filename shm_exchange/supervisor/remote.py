"""Stop and verify an exchange from any process of the same user: through its supervisor, or in place of one that died.

A supervisor is asked by signal. A matcher whose supervisor died (`shm-exchange run` leaves it running) is an orphan: whoever wants something of it
takes the supervisor byte and writes the words a supervisor writes. Every signal goes through a pidfd taken while the byte lock said that this very
process is alive, so it can never reach a stranger who got the same pid.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shm_exchange.domain.errors import ExchangeError, ExchangeNotFound, ProcessDied
from shm_exchange.runtime import pidfd
from shm_exchange.shm import KEEPER_BYTE, MATCHER_BYTE, SHM_DIR, SUPERVISOR_BYTE, Segment, attach, reap
from shm_exchange.supervisor.control import Control, Verdict, await_verdict, read_verdict
from shm_exchange.supervisor.living import holder_of
from shm_exchange.supervisor.role import SYNC_SECONDS
from shm_exchange.supervisor.serve import PLEASE_VERIFY
from shm_exchange.supervisor.unsaved import unsaved, unsaved_text

STOP_SECONDS = 75.0
"""A keeper may have to put gigabytes on a slow disk."""
_GRACE_SECONDS = 5.0
_POLL_SECONDS = 0.005
_AGAIN_SECONDS = 1.0
_SUCCESSOR_SECONDS = 10.0
"""A supervisor that lives replaces a matcher that died, and sooner than this."""


def stop_exchange(name: str, directory: str | Path = SHM_DIR, timeout: float = STOP_SECONDS) -> bool:
    """Stop whatever runs an exchange, and remove its files. False when nothing of it was there. Raises ExchangeError after `timeout` seconds."""
    try:
        with attach(name, directory, write=True, dead_ok=True, populate=False) as segment:
            stop_segment(segment, timeout)
    except ExchangeNotFound:
        return reap(name, directory)
    return True


def stop_segment(segment: Segment, timeout: float = STOP_SECONDS) -> None:
    """Stop this very exchange, and none that took its name since. Caller: attached with write=True. Raises ExchangeNotFound, ExchangeError."""
    if segment.is_current and not _ask_supervisor(segment, time.monotonic() + timeout):
        _stop_orphan(segment)


def verify_exchange(name: str, timeout: float, directory: str | Path = SHM_DIR) -> Verdict:
    """Let the matcher of an exchange check its book, whoever supervises it. Raises ExchangeNotFound, ProcessDied, ExchangeError."""
    deadline = time.monotonic() + _SUCCESSOR_SECONDS
    with attach(name, directory, write=True, populate=False) as segment:
        while (verdict := _verdict(segment, timeout)) is None:
            if not segment.supervisor_alive or time.monotonic() > deadline:
                raise ProcessDied(f"the matcher of exchange {name!r} is dead; stop it with `shm-exchange stop {name}` and start it again")
            time.sleep(_POLL_SECONDS)
    return verdict


def _verdict(segment: Segment, timeout: float) -> Verdict | None:
    """Of the matcher that lives now; None where none does, or it dies over it."""
    with _process(segment, MATCHER_BYTE) as matcher:
        if matcher is None:
            return None
        if not segment.try_lock(SUPERVISOR_BYTE):
            return _ask_for_verdict(segment, matcher, timeout)
        try:
            return Control(segment).verify(lambda seconds: pidfd.has_ended(matcher, seconds), timeout)
        finally:
            segment.release(SUPERVISOR_BYTE)


def _ask_for_verdict(segment: Segment, matcher: int, timeout: float) -> Verdict | None:
    words, before = segment.array("matcher"), int(segment.array("control")["verify"][0])
    asked = 0.0

    def answer() -> Verdict | None:
        """The answer, if it is there; else ask, and again every second."""
        nonlocal asked
        if int(words["verified"][0]) > before:
            return read_verdict(words)
        if time.monotonic() > asked + _AGAIN_SECONDS:
            asked = time.monotonic()
            with _process(segment, SUPERVISOR_BYTE) as supervisor:
                if supervisor is not None:
                    pidfd.send(supervisor, PLEASE_VERIFY)
        return None

    return await_verdict(segment.name, answer, lambda seconds: pidfd.has_ended(matcher, seconds), timeout)


def _ask_supervisor(segment: Segment, deadline: float) -> bool:
    """SIGTERM a living supervisor and wait until it gave up its byte; False when there is none. Raises ExchangeError at the deadline."""
    with _process(segment, SUPERVISOR_BYTE) as supervisor:
        if supervisor is None:
            return False
        pid = int(segment.array("control")["supervisor_pid"][0])
        if pid == os.getpid():
            raise ExchangeError(f"exchange {segment.name!r} is supervised by this very process: stop it there, with its own stop()")
        pidfd.send(supervisor, signal.SIGTERM)
        while segment.supervisor_alive:
            if time.monotonic() > deadline:
                cure = f"end it with `kill -9 {pid}`, then `shm-exchange stop {segment.name}`"
                raise ExchangeError(f"the supervisor of exchange {segment.name!r}, process {pid}, was asked to stop and did not in time; {cure}")
            pidfd.has_ended(supervisor, _POLL_SECONDS)
    return True


def _stop_orphan(segment: Segment) -> None:
    """Be the supervisor for as long as it takes to end the matcher, if it lives, and remove the files. Raises ExchangeNotFound."""
    if not segment.try_lock(SUPERVISOR_BYTE):
        return  # somebody else is at it
    Control(segment).ask_to_stop()
    for byte, patience in ((MATCHER_BYTE, _GRACE_SECONDS), (KEEPER_BYTE, SYNC_SECONDS)):
        with _process(segment, byte) as process:
            if process is not None and not pidfd.has_ended(process, patience):
                pidfd.end(process, _GRACE_SECONDS)
    if left := unsaved(segment):
        raise ExchangeError(unsaved_text(segment.name, left))
    segment.destroy()


@contextmanager
def _process(segment: Segment, byte: int) -> Iterator[int | None]:
    """A pidfd of the living process that holds the byte of a role; None when there is none."""
    found = holder_of(segment, byte)
    try:
        yield None if found is None else found.pidfd
    finally:
        if found is not None:
            os.close(found.pidfd)
