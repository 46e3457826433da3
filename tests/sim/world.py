"""One exchange and everybody around it, in one thread: a seed says who steps, stalls, dies and comes back, and what a disk keeps of a power loss.

Each step is one piece of somebody's work, or one piece of bad luck; after each of them everything that can be seen is checked against the truth.
At the end the luck turns good, everybody finishes, and nothing may be missing.
"""

from __future__ import annotations

import errno
import os
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from shm_exchange.domain.config import FIRST_TERM, JournalConfig, Term
from shm_exchange.domain.enums import JournalMode
from shm_exchange.domain.errors import JournalDamaged, JournalError
from shm_exchange.layout.headers import MATCHER_RUNNING
from shm_exchange.shm import SUPERVISOR_BYTE, Segment, attach, create
from tests.sim.checks import Checker
from tests.sim.disk import KEPT, Disk, Killed
from tests.sim.keeping import Keeper
from tests.sim.market import Reader, Supervisor
from tests.sim.resuming import resumable
from tests.sim.setting import PRODUCT, Cast, Setting, drawn_setting
from tests.sim.stage import Stage
from tests.sim.truth import Truth

STEPS = 200
_SETTLE_ROUNDS = 400
_PIECES = 12
"""A batch and its sweep have fewer."""
_PLACES = (1, 1, 1, 2, 2, 2, 3, 3, 4, 5, 6, 8, 10, 13, 16, 20, 25)
"""How many system calls, or pieces, somebody who is doomed has left: a pass of a keeper has few, its start has many."""
_ERRORS = (0, 0, 0, errno.EIO, errno.ENOSPC)


class World:
    """The exchange of one seed. `run` raises AssertionError where something is wrong."""

    def __init__(self, seed: int, stage: Stage, folder: Path, cast: Cast = PRODUCT, setting: Setting | None = None) -> None:
        self.draw = draw = random.Random(seed)
        self._stage, self._folder, self._cast = stage, folder, cast
        setting = setting or drawn_setting(draw)
        self.config, self._mode = setting.config, setting.mode
        directory = "" if self._mode is JournalMode.OFF else str(folder / "journal")
        self._journal = JournalConfig(self._mode, directory, segment_records=64, checkpoint_commands=setting.checkpoint_commands)
        self.truth = Truth(self.config)
        self._disk = Disk(folder / "journal")
        self.trace: list[str] = []
        """What happened, step by step."""
        self.ended = ""
        """Why nobody can go on, in words that a user would read; nothing while somebody can."""
        self._asleep: dict[object, int] = {}
        self._open(FIRST_TERM)

    def run(self, steps: int = STEPS) -> None:
        """So many steps, then the end."""
        actions = self._actions()
        names, weights = tuple(actions), tuple(weight for weight, _ in actions.values())
        for _ in range(steps):
            name = self.draw.choices(names, weights)[0]
            self.trace.append(name)
            actions[name][1]()
            if self.ended:
                return
            self.checker.look()
        self.settle()

    def close(self) -> None:
        """Let everything go."""
        self._stage.fate.calm()
        self.keeper.die()
        self.supervisor.close()
        for segment in self._segments:
            segment.close()
        self._stage.disk = None
        shutil.rmtree(self._folder / "memory")

    def _actions(self) -> dict[str, tuple[float, Callable[[], None]]]:
        """What can happen, how often."""
        has_files = self._mode is not JournalMode.OFF
        return {
            "matcher": (40, self._match),
            "gateway": (26, self._trade),
            "keeper": (16 * has_files, self._keep),
            "reader": (5, lambda: self.reader.step(self.draw)),
            "supervisor": (4, self.supervise),
            "matcher dies": (1.2, self._kill_matcher),
            "keeper dies": (1.2 * has_files, self._kill_keeper),
            "gateway dies": (1.2, self._kill_gateway),
            "supervisor dies": (0.3, self._kill_supervisor),
            "somebody is stopped": (1.0, self._stop_somebody),
            "disk fills or empties": (0.6 * has_files, self._turn_disk),
            "power is lost": (0.4 * has_files, self._lose_power),
        }

    # -- a term

    def _open(self, term: Term) -> None:
        """Fresh memory."""
        memory = self._folder / "memory"
        memory.mkdir()
        self._stage.disk = None
        with ExitStack() as undo:
            created = undo.enter_context(create(self.config, memory, self._journal, term))
            others = [undo.enter_context(attach("sim", memory, write=True, populate=False)) for _ in range(6)]
            undo.pop_all()
        self._segments: list[Segment] = [created, *others]
        self._stage.disk = self._disk
        self.supervisor, self.segment = Supervisor(created, self.truth), created
        self.matcher, self.keeper = self._cast.matcher(others[0]), Keeper(others[1])
        names = ("anne", "bert", "cleo", "dora")
        self.gateways = [self._cast.gateway(segment, self.truth, name) for segment, name in zip(others[2:], names, strict=True)]
        self.reader = Reader(created, self.truth)
        self.checker = Checker(created, self.truth)
        self._asleep.clear()

    def _lose_power(self) -> None:
        """All memory is gone, and of the files what the disk has kept; then the exchange is resumed by what they hold."""
        words = self.segment.array("keeper")[0]
        known = max(int(words.durable), self.checker.floor if self._mode is not JournalMode.ASYNC else 0)
        kept = self.draw.choices(KEPT, (2, 2, 4, 1))[0]
        self.close()
        if not self._disk.folder.is_dir():
            self._disk.folder.mkdir(mode=0o700)
        self._disk.lose_power(self.draw, kept)
        try:
            journal = resumable(self._disk.folder, self.trace, has_holes=kept == "any sectors")
        except (JournalError, JournalDamaged) as error:
            self._refused(str(error), known, kept)
            return
        self.trace[-1] += f": {kept} is kept, up to {journal.end} of {self.truth.sequence}, known {known}"
        assert known <= journal.end <= self.truth.sequence, f"the journal ends at {journal.end}, and {known} were known to be safe"
        kept_log = b"".join(records.tobytes() for records in journal.records(journal.first, journal.end))
        assert kept_log == self.truth.history[journal.first : journal.end].tobytes(), "the journal holds what was not in the log"
        self.truth.rewind(journal.end)
        self._open(Term(journal.terms[-1].term + 1, journal.end))

    def _refused(self, why: str, known: int, kept: str) -> None:
        """Where nothing was promised there may be nothing; and a disk that keeps any sectors it likes may leave no header."""
        if "there is no journal" in why:
            assert not known, f"{known} were known to be safe: {why}"
            for path in self._disk.folder.iterdir():
                path.unlink()
            self.truth.rewind(0)
            self._open(FIRST_TERM)
            return
        assert kept == "any sectors", f"refused although {kept} was kept: {why}"
        self.ended = why

    # -- work

    def _may_run(self, somebody: object) -> bool:
        return self._asleep.pop(somebody, 0) <= len(self.trace) or self._asleep.setdefault(somebody, len(self.trace) + 5) < 0

    def _match(self) -> None:
        if not self._may_run(self.matcher):
            return
        self.matcher.step()
        if self.matcher.given_up:
            assert self.segment.array("matcher")[0].overwritten, self.matcher.given_up
            self.ended = self.matcher.given_up

    def _keep(self) -> None:
        if not (self._is_open and self._may_run(self.keeper)):
            return
        if not self._disk.is_full:
            self.keeper.step()
        elif self.keeper.lives or self.draw.random() < 0.2:
            self.keeper.step_on_bad_disk()

    def _trade(self) -> None:
        gateway = self.draw.choice(self.gateways)
        if self._is_open and self._may_run(gateway):
            gateway.step(self.draw)

    @property
    def _is_open(self) -> bool:
        """Whether there has been a matcher in this memory that was ready: until then its starter starts nobody else, and gateways wait."""
        return bool(self.checker.shown.words["state"][0] == MATCHER_RUNNING)

    def supervise(self) -> None:
        """One look at all sessions, if there is a supervisor, or its successor finds the byte free."""
        if not self._is_open:
            return
        if self.segment.holds(SUPERVISOR_BYTE) or self.segment.try_lock(SUPERVISOR_BYTE):
            self.supervisor.step()

    # -- bad luck

    def _kill_matcher(self) -> None:
        """Between two pieces, or while it takes up what another one left."""
        self.matcher.die()
        if self.draw.random() < 0.5:
            self._doom(8, 0, self.matcher.step)
            if self._stage.fate.left == 0:
                self.matcher.die()
            self._stage.fate.calm()

    def _kill_keeper(self) -> None:
        """Between two passes, or within one, or by its disk."""
        if not self._is_open:
            return
        self._doom(25, self.draw.choice(_ERRORS), self.keeper.step_on_bad_disk)
        self._stage.fate.calm()
        self.keeper.die()

    def _doom(self, places: int, error: int, step: Callable[[], None]) -> None:
        fate = self._stage.fate
        fate.left, fate.error = self.draw.choice([place for place in _PLACES if place <= places]), error
        try:
            step()
        except Killed:
            fate.error = 0

    def _kill_gateway(self) -> None:
        living = [gateway for gateway in self.gateways if gateway.lives]
        if living:
            self.draw.choice(living).die()

    def _kill_supervisor(self) -> None:
        self.segment.release(SUPERVISOR_BYTE)

    def _stop_somebody(self) -> None:
        """SIGSTOP, and SIGCONT later."""
        self._asleep[self.draw.choice((self.matcher, self.keeper, *self.gateways))] = len(self.trace) + self.draw.randint(5, 60)

    def _turn_disk(self) -> None:
        self._disk.is_full = not self._disk.is_full

    # -- the end

    def settle(self) -> None:
        """Everybody finishes."""
        self._disk.is_full = False
        self._asleep.clear()
        for _ in range(_SETTLE_ROUNDS):
            self._round()
            if self.ended or self._is_settled():
                break
        else:
            words = self.segment.array("matcher")[0]
            raise AssertionError(f"it does not come to rest: log {words.log_tail}, done {self.segment.array('counters')[0].commands}")
        if self.ended:
            return
        code, digest, number = self.matcher.verified()
        assert code == 0, f"the matcher's book is broken: check {code}"
        assert number == self.truth.sequence
        assert digest == self.truth.marks.hashes[number], "the matcher's state is not what its log leads to"

    def _round(self) -> None:
        self.trace.append("round")
        for _ in range(_PIECES):
            self._match()
            if self.ended:
                return
        self.checker.look()
        if self._mode is not JournalMode.OFF and self._is_open:
            self.keeper.step()
        self.supervise()
        for gateway in self.gateways:
            if gateway.lives:
                gateway.read(64)
        self.checker.look()

    def _is_settled(self) -> bool:
        """Every command that was submitted is done, and every output of it out."""
        truth = self.truth
        taken = bool((self.checker.shown.lane_heads["head"][1:] == truth.begun[1:]).all())
        logged_on = self.checker.shown.tails["logged_on"] != 0
        if not (taken and self.matcher.is_quiet and not truth.due[logged_on].any()):
            return False
        tails = self.segment.array("report_tails")
        for session in range(1, self.config.max_sessions + 1):
            assert int(tails[session].tail) == truth.next_report(truth.sequence, session), f"reports of session {session} are missing"
        assert int(self.segment.array("matcher")[0].event_tail) == truth.marks.events[truth.sequence], "events are missing"
        return True


@contextmanager
def playing(seed: int, stage: Stage, cast: Cast = PRODUCT, setting: Setting | None = None) -> Iterator[World]:
    """A world, and an empty place afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="shm_sim-", dir="/dev/shm"))
    try:
        world = World(seed, stage, folder, cast, setting)
        try:
            yield world
        finally:
            with ExitStack() as undo:
                undo.callback(shutil.rmtree, folder, ignore_errors=True)
                if (folder / "memory").is_dir():
                    world.close()
    finally:
        if os.path.isdir(folder):  # noqa: PTH112 (its making may have failed)
            shutil.rmtree(folder, ignore_errors=True)
