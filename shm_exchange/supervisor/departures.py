"""Sessions whose processes died: somebody has to say DISCONNECT for them, also where no new owner ever comes.

Whether a session's process lives is its lock's business; a pidfd only wakes us soon after its death.
"""

from __future__ import annotations

import logging
import os

from shm_exchange.domain.errors import ExchangeNotFound, LaneFull
from shm_exchange.runtime import pidfd
from shm_exchange.shm import Segment

_PATIENCE_SECONDS = 0.05
_log = logging.getLogger(__name__)


class Departures:
    """Watches the holders of an exchange's sessions."""

    def __init__(self, segment: Segment) -> None:
        self._segment = segment
        self._handles: dict[int, int] = {}

    def pidfds(self) -> list[int]:
        """Readable when a holder has ended."""
        return list(self._handles.values())

    def attend(self) -> None:
        """Take leave of those who are gone, and look who has come."""
        for number in self._silent():
            self._depart(number)
        holders = self._holders()
        for pid in self._handles.keys() - holders:
            os.close(self._handles.pop(pid))
        self._handles |= pidfd.open_pidfds(holders - self._handles.keys())
        for handle in pidfd.readable(self._handles.values(), 0):  # ended, but its lock is still to go: the next look finds that
            self._forget(handle)

    def close(self) -> None:
        """Watch nobody."""
        for handle in list(self._handles.values()):
            self._forget(handle)

    def _holders(self) -> set[int]:
        owners = self._segment.array("owner")["pid"]
        return {int(pid) for number, pid in enumerate(owners, 1) if pid and self._segment.is_held(number)}

    def _silent(self) -> list[int]:
        """Sessions that are logged on and whose lock is free."""
        logged_on = self._segment.array("report_tails")["logged_on"]
        return [number for number in range(1, len(logged_on)) if logged_on[number] and not self._segment.is_held(number)]

    def _depart(self, number: int) -> None:
        from shm_exchange.client.departure import depart  # with numba, which a supervisor does without as long as nobody dies

        try:
            with self._segment.attach_mutex():
                if depart(self._segment, number, _PATIENCE_SECONDS):
                    _log.info("session %d died, and is disconnected", number)
        except (LaneFull, ExchangeNotFound) as error:
            _log.info("session %d: %s", number, error)

    def _forget(self, handle: int) -> None:
        self._handles = {pid: other for pid, other in self._handles.items() if other != handle}
        os.close(handle)
