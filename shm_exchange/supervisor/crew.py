"""The processes that keep an exchange going: a matcher, a standby that waits for the matcher's lock, a keeper where there is a journal.

Whoever dies is replaced on the same memory. A standby has its kernels loaded and sleeps in the kernel on the matcher's byte: it is the matcher a
moment after the matcher's death, before we have even heard of it. A process that dies again and again without the log having moved on would die for
ever: then the exchange is given up, and says why.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from shm_exchange.layout.headers import MATCHER_STOPPED
from shm_exchange.shm import KEEPER_BYTE, MATCHER_BYTE, Segment
from shm_exchange.supervisor.living import holder_of
from shm_exchange.supervisor.role import DRAIN_SECONDS, KEEPER, MATCHER, SYNC_SECONDS, FoundProcess, RoleProcess

READY_SECONDS = 120.0
"""For loading kernels from the cache. Compiling them is `ensure_warm`'s business, beforehand."""
VAIN_DEATHS_MAX = 8
VAIN_SECONDS = 60.0
"""Deaths of a role without any progress between them, after which there is no point in another."""
_STANDBY = "standby"
_log = logging.getLogger(__name__)


class _Deaths(NamedTuple):
    """How often a role has died where it stands, and when last."""

    progress: int
    deaths: int
    when: float


class Crew:
    """The processes of one exchange. `attend` whenever one of `pidfds` is readable, and now and then."""

    def __init__(self, segment: Segment, directory: str | Path, cores: tuple[int | None, int | None], *, end_with_parent: bool) -> None:
        self._segment, self._directory = segment, directory
        self._matcher_core, self._keeper_core = cores
        self._flags = ("--end-with-parent",) if end_with_parent else ()
        self._has_journal = bool(segment.journal.directory)
        self._vain: dict[str, _Deaths] = {}
        self.matcher: FoundProcess | None = None
        self.standby: RoleProcess | None = None
        self.keeper: FoundProcess | None = None
        self.lost = ""
        """Why the exchange is given up; nothing while it is not."""

    def start(self, abort_on: Iterable[int] = ()) -> None:
        """Start whoever is missing, and wait until all are ready. Raises ProcessDied, ExchangeError; then `discard`."""
        if self.matcher is None:
            self.matcher = matcher = self._start_matcher()
            matcher.await_ready(READY_SECONDS, abort_on)
        if self._has_journal and self.keeper is None:
            self.keeper = keeper = self._start_keeper()
            keeper.await_ready(READY_SECONDS, abort_on)
        self._want_standby()

    def adopt(self) -> None:
        """Take charge of those who live already, whoever started them. Raises ExchangeError."""
        if (matcher := holder_of(self._segment, MATCHER_BYTE)) is not None:
            self.matcher = FoundProcess(MATCHER, *matcher)
        if (keeper := holder_of(self._segment, KEEPER_BYTE)) is not None:
            self.keeper = FoundProcess(KEEPER, *keeper)

    def pidfds(self) -> list[int]:
        """Readable when somebody has ended."""
        return [process.pidfd for process in (self.matcher, self.standby, self.keeper) if process is not None]

    def attend(self) -> None:
        """Replace whoever has ended. The matcher first: with it the others end."""
        if not self.lost and self.matcher is not None and self.matcher.has_ended():
            self._replace_matcher(self.matcher)
        if not self.lost and self.keeper is not None and self.keeper.has_ended():
            self._replace_keeper(self.keeper)
        if not self.lost and self.standby is not None and self.standby.has_ended():
            self._note(self.standby, "another is started")
            self.standby = None
            self._want_standby()

    def stop(self, *, forgets: bool) -> str:
        """Wait for the matcher's end, which was asked for, then end the others. Returns what was wrong with an end, or nothing.

        `forgets`: the journal goes, too, so the keeper need not put it on the disk.
        """
        trouble: list[str] = []
        if self.standby is not None:  # before the matcher ends, whose lock it waits for
            _discard(self.standby)
        for process, patience in ((self.matcher, DRAIN_SECONDS), (self.keeper, SYNC_SECONDS)):
            if process is None:
                continue
            if forgets and process is self.keeper:
                _discard(process)
                continue
            wrong = process.await_end(patience)
            if wrong and not self.lost:
                trouble.append(f"the {process.role} of exchange {self._segment.name!r} ended badly: {wrong}")
            process.close()
        self.matcher = self.standby = self.keeper = None
        return "\n".join(trouble)

    def discard(self) -> None:
        """End at once whoever we started; those who were found alive live on."""
        for process in (self.standby, self.matcher, self.keeper):
            if isinstance(process, RoleProcess):
                _discard(process)
        self.matcher = self.standby = self.keeper = None

    def _start_matcher(self, *flags: str) -> RoleProcess:
        return RoleProcess(MATCHER, self._segment.name, self._directory, self._matcher_core, "--parent", str(os.getpid()), *self._flags, *flags)

    def _start_keeper(self) -> RoleProcess:
        return RoleProcess(KEEPER, self._segment.name, self._directory, self._keeper_core)

    def _want_standby(self) -> None:
        """A second matcher costs memory and a second of start: only where a death is to be hardly noticed."""
        if self._has_journal and self.standby is None and not self._died_in_vain(_STANDBY, int(self._segment.array("matcher")[0].lives)):
            self.standby = self._start_matcher("--standby")

    def _replace_matcher(self, dead: FoundProcess) -> None:
        words = self._segment.array("matcher")[0]
        if words.state == MATCHER_STOPPED:
            self._give_up(dead, "it was asked to stop, by SIGTERM or by whoever supervised before: start again")
            return
        if self.standby is None and words.overwritten and not self._has_journal:
            self._give_up(dead, "without a journal its book cannot be rebuilt: stop and start again")
            return
        if self._died_in_vain(MATCHER, int(self._segment.array("counters")[0].commands)):
            self._give_up(dead, "it could not be replaced, each one died at the same place: stop and start again")
            return
        self._note(dead)
        self.matcher, self.standby = self.standby or self._start_matcher(), None
        self._want_standby()

    def _replace_keeper(self, dead: FoundProcess) -> None:
        if self._died_in_vain(KEEPER, int(self._segment.array("keeper")[0].archived)):
            self._give_up(dead, "nothing more is written to the journal: look at its folder, then stop and start again")
            return
        self._note(dead)
        self.keeper = self._start_keeper()

    def _died_in_vain(self, role: str, progress: int) -> bool:
        """Whether it has died once too often where it stands, one death soon after the other."""
        last = self._vain.get(role, _Deaths(-1, 0, 0.0))
        again = last.progress == progress and time.monotonic() < last.when + VAIN_SECONDS
        self._vain[role] = _Deaths(progress, last.deaths + 1 if again else 1, time.monotonic())
        return self._vain[role].deaths > VAIN_DEATHS_MAX

    def _note(self, dead: FoundProcess, then: str = "another takes over") -> None:
        _log.warning("%s", died(f"the {dead.role} of exchange {self._segment.name!r}", dead.death(), then))
        dead.close()

    def _give_up(self, dead: FoundProcess, then: str) -> None:
        self.lost = died(f"the {dead.role} of exchange {self._segment.name!r}", dead.death(), then)


def _discard(process: FoundProcess) -> None:
    process.kill()
    process.close()


def died(who: str, how: str, then: str) -> str:
    """One sentence about a death, and below it whatever the dead said."""
    first, _, rest = how.partition("\n")
    verb = "was killed" if first.startswith("killed") else "ended"
    how = first.removeprefix("killed") if first.startswith("killed") else f" with {first}"
    return f"{who} {verb}{how}; {then}" + (f"\n{rest}" if rest else "")
