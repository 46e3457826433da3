"""The supervisor: makes the memory, or takes it over; lets a crew match and keep in it, and removes everything in the end.

Used in the process of `shm-exchange run`, and in a child process of its own by `Exchange.start`. It holds the supervisor byte; nobody asks it on an
order's way, and nothing waits for it. Beside its crew it looks after sessions whose processes died: it says DISCONNECT in their lanes.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from shutil import rmtree
from typing import Self

from shm_exchange.domain.config import FIRST_TERM, ExchangeConfig, JournalConfig, Term
from shm_exchange.domain.errors import ExchangeRunning, ProcessDied
from shm_exchange.domain.names import parsed_shard
from shm_exchange.runtime import pidfd
from shm_exchange.runtime.affinity import checked_cores
from shm_exchange.shm import SHM_DIR, SUPERVISOR_BYTE, Segment, attach, create
from shm_exchange.supervisor.control import Control, Verdict
from shm_exchange.supervisor.crew import Crew
from shm_exchange.supervisor.departures import Departures
from shm_exchange.supervisor.role import FoundProcess
from shm_exchange.supervisor.status import living_owners
from shm_exchange.supervisor.unsaved import unsaved, unsaved_text

VERIFY_SECONDS = 60.0
_GRACE_SECONDS = 2.0
_log = logging.getLogger(__name__)


class Supervisor:
    """An exchange that this process runs. Raises what `shm.create` raises, ConfigError, and ProcessDied when the matcher or the keeper cannot start.

    `cores` pin the matcher and the keeper. `end_with_parent`: they end when this process dies; else they go on, and `shm-exchange stop` ends them.
    `abort_on`: descriptors that, readable, break off a start. `journal`, `term`: where the log is kept and goes on; `forgets`: the journal's
    folder is removed with the memory.
    """

    def __init__(
        self,
        config: ExchangeConfig,
        *,
        directory: str | Path = SHM_DIR,
        cores: tuple[int | None, int | None] = (None, None),
        end_with_parent: bool = True,
        abort_on: Iterable[int] = (),
        journal: JournalConfig | None = None,
        term: Term = FIRST_TERM,
        forgets: bool = False,
    ) -> None:
        _check_cores(cores)
        with ExitStack() as undo:
            self._take(create(config, directory, journal, term), cores, end_with_parent=end_with_parent)
            self._forgets = forgets
            undo.callback(self.segment.destroy)
            undo.callback(self.crew.discard)
            self.crew.start(abort_on)
            undo.pop_all()
        _log.info("exchange %r runs: %d bytes of shared memory, matcher process %d", self.name, self.segment.layout.size, self.matcher.pid)

    @classmethod
    def adopt(
        cls,
        name: str,
        *,
        directory: str | Path = SHM_DIR,
        cores: tuple[int | None, int | None] = (None, None),
        abort_on: Iterable[int] = (),
    ) -> Self:
        """Take over an exchange whose supervisor died; whoever of its crew died too is replaced. Raises ExchangeRunning, ExchangeNotFound."""
        _check_cores(cores)
        segment = attach(name, directory, write=True, dead_ok=True)
        if not segment.try_lock(SUPERVISOR_BYTE):
            segment.close()
            raise ExchangeRunning(f"exchange {name!r} has a living supervisor, which nobody need replace")
        self = cls.__new__(cls)
        with ExitStack() as undo:
            undo.callback(segment.close)
            self._take(segment, cores, end_with_parent=False)
            undo.callback(self.crew.discard)
            self.control.go_on()
            self.crew.adopt()
            self.crew.start(abort_on)
            undo.pop_all()
        _log.info("exchange %r is taken over: matcher process %d", name, self.matcher.pid)
        return self

    def _take(self, segment: Segment, cores: tuple[int | None, int | None], *, end_with_parent: bool) -> None:
        self.name, self.segment = segment.name, segment
        self._charges: dict[int, int] = {}
        self._stopped = self._forgets = False
        self.control = Control(segment)
        shard = parsed_shard(self.name)
        self._matchers = shard.shards if shard else 1
        self.control.set_processes(self._matchers + 1)
        self.crew = Crew(segment, segment.directory, cores, end_with_parent=end_with_parent)
        self.departures = Departures(segment)

    @property
    def matcher(self) -> FoundProcess:
        """The process that matches now, or was the last to."""
        assert self.crew.matcher is not None
        return self.crew.matcher

    @property
    def matcher_death(self) -> str:
        """Why the exchange was given up, and what to do; nothing while it goes on."""
        return self.crew.lost

    def pidfds(self) -> list[int]:
        """Readable when somebody has ended whom we look after."""
        return [*(self.crew.pidfds() if not self.crew.lost else []), *self.departures.pidfds()]

    def attend(self) -> None:
        """Replace whoever of the crew has ended, and take leave of sessions whose processes died. Call it now and then, too."""
        self.crew.attend()
        if not self.crew.lost:
            self.departures.attend()

    def verify(self, timeout: float = VERIFY_SECONDS) -> Verdict:
        """Let the matcher check and hash its book between two commands. Raises ProcessDied, ExchangeError."""
        verdict = self.control.verify(self._is_lost, timeout)
        if verdict is None:
            raise ProcessDied(self.matcher_death)
        return verdict

    def _is_lost(self, seconds: float) -> bool:
        """Wait so long, or for a death, and see to it; whether the exchange was given up."""
        if pidfd.readable(self.crew.pidfds(), seconds):
            self.crew.attend()
        return bool(self.matcher_death)

    def take_charge(self, pids: Iterable[int]) -> None:
        """Processes that belong to the exchange: they count for the spin policy, and end with it at the latest. Caller: their parent waits for us."""
        self._charges |= pidfd.open_pidfds(set(pids) - self._charges.keys())
        self.update_spinning()

    def update_spinning(self) -> None:
        """Count processes anew, also those that attached by themselves: with more of them than cores the matcher stops spinning.

        A matcher alone would be no exchange: one gateway is always in mind. Matchers of other shards need cores, too.
        """
        for handle in pidfd.readable(self._charges.values(), 0):
            self._forget(handle)
        others = living_owners(self.segment) | self._charges.keys()
        self.control.set_processes(self._matchers + max(1, len(others)))

    def stop(self) -> str:
        """End the crew and everything in our charge, and remove the memory. Returns what was wrong with an end. Again is harmless."""
        if self._stopped:
            return ""
        self.crew.attend()
        self._end_charges()
        self.control.ask_to_stop()
        ended = self.crew.stop(forgets=self._forgets)
        trouble = self.matcher_death or ended
        self._stopped = True
        self.departures.close()
        if self._forgets:
            self.segment.destroy()
            rmtree(self.segment.journal.directory, ignore_errors=True)
        elif left := unsaved(self.segment):
            self.segment.close()
            trouble += ("\n    " if trouble else "") + unsaved_text(self.name, left)
        else:
            self.segment.destroy()
        _log.info("exchange %r has ended%s", self.name, f": {trouble}" if trouble else "")
        return trouble

    def abandon(self) -> None:
        """Leave it as it was found, for another to adopt: whoever of its crew we started ends, and everything else goes on. After `stop` nothing."""
        if not self._stopped:
            self._stopped = True
            self.crew.discard()
            self.departures.close()
            self.segment.close()

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


def _check_cores(cores: tuple[int | None, int | None]) -> None:
    """Raises ConfigError for a core that cannot be used."""
    if wanted := [core for core in cores if core is not None]:
        checked_cores(wanted)
