"""Sessions whose processes died: somebody has to say DISCONNECT for them, also where no new owner ever comes.

Whether a session's process lives is its lock's business; a pidfd only wakes us soon after its death.
"""

from __future__ import annotations

import logging
import os

import numpy as np

from shm_exchange.domain.errors import ExchangeError
from shm_exchange.runtime import pidfd
from shm_exchange.shm import ATTACH_BYTE, Segment

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
        """Sessions that are logged on, or have something in their lanes, and whose lock is free."""
        lanes, heads = self._segment.array("lane")["number"], self._segment.array("lane_heads")["head"][1:]
        waiting = (lanes[np.arange(len(lanes)), heads & (lanes.shape[1] - 1)] == heads) & (heads > 0)
        logged_on = self._segment.array("report_tails")["logged_on"][1:] != 0
        return [int(number) for number in np.flatnonzero(waiting | logged_on) + 1 if not self._segment.is_held(int(number))]

    def _depart(self, number: int) -> None:
        from shm_exchange.client.departure import depart  # with numba, which a supervisor does without as long as nobody dies

        try:
            if not self._segment.try_lock(ATTACH_BYTE):
                return  # somebody attaches, and may be stopped while it does: the next look is soon
            try:
                if depart(self._segment, number, _PATIENCE_SECONDS):
                    _log.info("session %d died, and is disconnected", number)
            finally:
                self._segment.release(ATTACH_BYTE)
        except (ExchangeError, OSError) as error:
            _log.info("session %d: %s", number, error)

    def _forget(self, handle: int) -> None:
        self._handles = {pid: other for pid, other in self._handles.items() if other != handle}
        os.close(handle)
