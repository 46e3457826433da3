"""The supervisor: makes the memory, starts the matcher in it, watches, and removes everything in the end.

Used in the process of `shm-exchange run`, and in a child process of its own by `Exchange.start`. It holds the supervisor byte; nobody asks it on an
order's way, and nothing waits for it.

Until journals exist a dead matcher is not restarted: its book was private memory. It is said in words, and what is left is an exchange that can only
be stopped.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from shm_exchange.domain.config import ExchangeConfig
from shm_exchange.domain.errors import ProcessDied
from shm_exchange.runtime import pidfd
from shm_exchange.runtime.affinity import checked_cores
from shm_exchange.shm import SHM_DIR, create
from shm_exchange.supervisor.control import Control, Verdict
from shm_exchange.supervisor.matcher import MatcherChild
from shm_exchange.supervisor.status import living_owners

READY_SECONDS = 120.0
"""For loading kernels from the cache. Compiling them is `ensure_warm`'s business, beforehand."""
VERIFY_SECONDS = 60.0
_GRACE_SECONDS = 2.0
_log = logging.getLogger(__name__)
_PROCESSES_AT_LEAST = 2
"""A matcher alone would be no exchange: the policy begins with one gateway in mind."""


class Supervisor:
    """An exchange that this process runs. Raises what `shm.create` raises, ConfigError, and ProcessDied when the matcher cannot start.

    `core` pins the matcher. `end_with_parent`: the matcher ends when this process dies; else it goes on, and `shm-exchange stop` ends it.
    `abort_on`: descriptors that, readable, break off a start.
    """

    def __init__(
        self,
        config: ExchangeConfig,
        *,
        directory: str | Path = SHM_DIR,
        core: int | None = None,
        end_with_parent: bool = True,
        abort_on: Iterable[int] = (),
    ) -> None:
        if core is not None:
            checked_cores(core)
        self.name = config.name
        self._charges: dict[int, int] = {}
        self._stopped = False
        with ExitStack() as undo:
            self.segment = create(config, directory)
            undo.callback(self.segment.destroy)
            self.control = Control(self.segment)
            self.control.set_processes(_PROCESSES_AT_LEAST)
            self.matcher = MatcherChild(config.name, directory, core, end_with_parent=end_with_parent)
            undo.callback(self.matcher.close)
            undo.callback(self.matcher.kill)
            self.matcher.await_ready(READY_SECONDS, abort_on)
            _log.info("exchange %r runs: %d bytes of shared memory, matcher process %d", self.name, self.segment.layout.size, self.matcher.pid)
            undo.pop_all()

    @property
    def matcher_death(self) -> str:
        """What became of a matcher that ended unasked, and what to do; nothing while it lives."""
        if self._stopped or not self.matcher.has_ended():
            return ""
        return died(
            f"the matcher of exchange {self.name!r}", self.matcher.death(), "without a journal its book cannot be rebuilt: stop and start again"
        )

    def verify(self, timeout: float = VERIFY_SECONDS) -> Verdict:
        """Let the matcher check and hash its book between two commands. Raises ProcessDied, ExchangeError."""
        verdict = self.control.verify(self.matcher.has_ended, timeout)
        if verdict is None:
            raise ProcessDied(self.matcher_death)
        return verdict

    def take_charge(self, pids: Iterable[int]) -> None:
        """Processes that belong to the exchange: they count for the spin policy, and end with it at the latest. Caller: their parent waits for us."""
        self._charges |= pidfd.open_pidfds(set(pids) - self._charges.keys())
        self.update_spinning()

    def update_spinning(self) -> None:
        """Count processes anew, also those that attached by themselves: with more of them than cores the matcher stops spinning."""
        for handle in pidfd.readable(self._charges.values(), 0):
            self._forget(handle)
        others = living_owners(self.segment) | self._charges.keys()
        self.control.set_processes(max(_PROCESSES_AT_LEAST, 1 + len(others)))

    def stop(self) -> str:
        """End the matcher and everything in our charge, and remove the memory. Returns what was wrong with the matcher's end. Again is harmless."""
        if self._stopped:
            return ""
        trouble = self.matcher_death
        self._end_charges()
        if not trouble:
            self.control.ask_to_stop()
            wrong = self.matcher.await_end()
            trouble = wrong and f"the matcher of exchange {self.name!r} ended badly: {wrong}"
        self._stopped = True
        self.matcher.close()
        self.segment.destroy()
        _log.info("exchange %r has ended and its memory is removed%s", self.name, f": {trouble}" if trouble else "")
        return trouble

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _end_charges(self) -> None:
        """All are asked at once, so that they end at the same time."""
        handles = list(self._charges.values())
        for handle in handles:
            pidfd.send(handle, 15)
        for handle in handles:
            pidfd.end(handle, _GRACE_SECONDS)
            self._forget(handle)

    def _forget(self, handle: int) -> None:
        self._charges = {pid: other for pid, other in self._charges.items() if other != handle}
        os.close(handle)


def died(who: str, how: str, then: str) -> str:
    """One sentence about a death, and below it whatever the dead said."""
    first, _, rest = how.partition("\n")
    verb = "was killed" if first.startswith("killed") else "ended"
    how = first.removeprefix("killed") if first.startswith("killed") else f" with {first}"
    return f"{who} {verb}{how}; {then}" + (f"\n{rest}" if rest else "")
