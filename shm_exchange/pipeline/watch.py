"""The thread that watches the members of a pool or a pipeline: it sleeps until one ends, or for a tenth of a second, and looks at all."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress

from shm_exchange.pipeline.team import Team
from shm_exchange.runtime import pidfd

_LOOK_SECONDS = 0.1
_log = logging.getLogger("shm_exchange.pipeline")


class Watch:
    """Looks at teams, then calls `then`, until closed. `wait_for` waits for what such a look may change."""

    def __init__(self, name: str, then: Callable[[], None]) -> None:
        self._teams: Sequence[Team] = ()
        self._then = then
        self._woken, self._waker = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._is_closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name=f"{name} watch", daemon=True)

    def start(self, teams: Sequence[Team]) -> None:
        """Begin to look at these."""
        self._teams = teams
        self._thread.start()

    def wake(self) -> None:
        """Look now."""
        with suppress(BlockingIOError, OSError):  # it is full of wakes already, or closed
            os.write(self._waker, b"!")

    def wait_for(self, predicate: Callable[[], bool], timeout: float | None) -> bool:
        """Whether it became true within so many seconds; None: wait for it."""
        with self._changed:
            return self._changed.wait_for(predicate, timeout)

    def close(self) -> None:
        """End the thread. Again is harmless."""
        if self._is_closed:
            return
        self._is_closed = True
        self.wake()
        if self._thread.ident is not None:
            self._thread.join()
        waker, self._waker = self._waker, -1
        os.close(waker)
        os.close(self._woken)

    def _run(self) -> None:
        while not self._is_closed:
            members = [fd for team in self._teams for fd in team.filenos()]
            if self._woken in pidfd.readable([self._woken, *members], _LOOK_SECONDS):
                with suppress(BlockingIOError):
                    os.read(self._woken, 4096)
            try:
                for team in self._teams:
                    team.look()
                self._then()
            except Exception:  # noqa: BLE001 (without the watch nobody would be replaced)
                _log.exception("a look at the members failed; the next is in %g s", _LOOK_SECONDS)
            with self._changed:
                self._changed.notify_all()
