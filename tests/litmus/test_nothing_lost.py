"""kill -9 of everybody at any instant, under load: nothing that was accepted is lost, nothing comes twice, and the state is what the log leads to."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from random import Random

import numpy as np
import pytest

from shm_exchange import Exchange, Gateway
from shm_exchange.domain.limits import POSITION_BITS
from shm_exchange.journal.reading import Journal as LogFiles
from shm_exchange.journal.replaying import Replay
from shm_exchange.shm import Segment, attach, exchanges
from tests.litmus import programs
from tests.litmus.children import Child
from tests.litmus.exchanges import small_config
from tests.litmus.flow import Journal, answered, check_accepted
from tests.litmus.waiting import PATIENCE, await_that

Spawn = Callable[..., Child]
TRADERS = ("alice", "bob")
PAUSE_SECONDS = 0.004
SIZES = {
    "max_orders": 1 << 14,
    "max_sessions": 4,
    "session_orders": 1 << 12,
    "session_pages": 64,
    "lane_capacity": 128,
    "report_capacity": 1 << 10,
    "event_capacity": 1 << 15,
    "log_capacity": 1 << 12,
}


class Hunt:
    """An exchange with a journal, traders who write every report down, and a reader of all events."""

    def __init__(self, spawn: Spawn, folder: Path, mode: str, kills: int, seed: int) -> None:
        self.draw, self._spawn, self._folder = Random(seed), spawn, folder
        self.name = small_config().name
        self.files = folder / "journal"
        self.exchange = self._start(mode)
        self.segment: Segment = attach(self.name, populate=False)
        for session in TRADERS:
            Journal(self.path(session), (1 + kills) << 15)
        self.traders = {session: self.trader(session) for session in TRADERS}
        self.reader = spawn(programs.follow_events, self.name)
        assert self.reader.hear() == "ready"
        self._replay: Replay | None = None

    def _start(self, mode: str) -> Exchange:
        return Exchange.start(self.name, small_config().instruments, journal=mode, journal_directory=self.files, **SIZES)

    def path(self, session: str) -> Path:
        """Where a session's reports are written down, whoever trades for it."""
        return self._folder / session

    def trader(self, session: str) -> Child:
        """A process that trades until it is killed, going on where its predecessor was killed."""
        child = self._spawn(programs.trade_until_killed, self.name, session, self.path(session), self.draw.random() < 0.3, PAUSE_SECONDS)
        assert child.hear() == "ready"
        return child

    @property
    def commands(self) -> int:
        """Log number up to which everything is out."""
        return int(self.segment.array("counters")[0].commands)

    def strike(self) -> None:
        """Return in the middle of a burst, some random commands after now: without a nap in which it could be over."""
        target, deadline = self.commands + 1 + self.draw.randrange(300), time.monotonic() + PATIENCE
        while self.commands < target:
            if time.monotonic() > deadline:
                pytest.fail(f"no commands get through: {self.diagnosis()}")

    def await_commands(self, more: int) -> None:
        """Until so many more are out."""
        first = self.commands
        await_that(lambda: self.commands >= first + more, "commands get through", self.diagnosis)

    def diagnosis(self) -> object:
        """For a test that fails."""
        return {**self.exchange.status(), "traders": [child.said() for child in self.traders.values()]}

    def kill(self, role: str) -> None:
        """SIGKILL the matcher or the keeper, some random commands after now, whatever it does at that moment."""
        self.strike()
        self.kill_now(role)

    def kill_now(self, role: str) -> None:
        """SIGKILL, at once."""
        os.kill(int(self.segment.array(role)[0].pid), signal.SIGKILL)

    def check_state(self) -> None:
        """The matcher's book holds, and its hash is that of a replay of the files."""
        verdict = self.exchange.verify(PATIENCE)
        assert verdict.holds
        keeper = self.segment.array("keeper")
        await_that(lambda: keeper[0].archived >= verdict.sequence, "the keeper writes", self.diagnosis)
        files = LogFiles(self.files, end=verdict.sequence)
        if self._replay is None:
            self._replay = Replay(files, at_most=0)
        self._replay.journal = files
        self._replay.advance(verdict.sequence)
        assert self._replay.state_hash() == verdict.state_hash

    def end(self) -> None:
        """Everybody stops; then every report number is there once, and one answer to every command of every lane."""
        for child in self.traders.values():
            child.kill()
        for session in TRADERS:
            with Gateway.attach(self.exchange.name, session=session, timeout=PATIENCE) as gateway:
                check_reports(gateway, Journal(self.path(session)))
        self.check_state()
        events = int(self.segment.array("matcher")[0].event_tail) - 1
        await_that(lambda: self.segment.array("matcher")[0].event_tail == events + 1, "the market is quiet")
        self.reader.tell("stop")
        assert self.reader.hear() <= events
        self.exchange.stop()
        check_files(self.files)


def check_reports(successor: Gateway, journal: Journal) -> None:
    """Take what is still to come; then nothing is missing."""
    last = successor.mass_cancel()
    position = last & ((1 << POSITION_BITS) - 1)
    journal.keep_logon(successor)
    answers: list[int] = []
    while position not in answers:
        assert successor.wait(PATIENCE)
        journal.keep(successor.poll_array())
        answers = answered(journal.kept())
    reports = journal.kept()
    assert len(reports) == journal.count
    check_accepted(reports)
    before = [answer for answer in answers if answer != position]  # the mass cancel itself has an answer for each order
    assert sorted(before) == list(range(1, position))


def check_files(folder: Path) -> None:
    """The log holds every lane's commands in their order, each once, and ends well."""
    files = LogFiles(folder)
    assert files.cut == ""
    ids = np.concatenate([records["command_id"] for records in files.records(0, files.end)])
    for lane in np.unique(ids >> POSITION_BITS):
        if lane:
            positions = ids[ids >> POSITION_BITS == lane] & ((1 << POSITION_BITS) - 1)
            assert (positions == np.arange(1, len(positions) + 1)).all(), lane


class ForegroundHunt(Hunt):
    """The same under `shm-exchange run`, whose supervisor nobody replaces but the next one."""

    def _start(self, mode: str) -> Exchange:
        flags = [word for size, number in SIZES.items() for word in (f"--{size.replace('_', '-')}", str(number))]
        instruments = [word for one in ("ACME:0.01:1", "FINE:0.005:0.1:-10:1000") for word in ("--instrument", one)]
        self.supervisor = self._run("--journal", mode, "--dir", str(self.files), *flags, *instruments)
        await_that(lambda: self._is_up(self.supervisor.pid), "the exchange runs")
        return Exchange.attach(self.name)

    def _run(self, *arguments: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-m", "shm_exchange", "run", self.name, *arguments], stderr=subprocess.DEVNULL)

    def _is_up(self, pid: int) -> bool:
        """Whether that process supervises, and a matcher has announced itself."""
        if not any(info.name == self.name and info.matcher_alive for info in exchanges()):
            return False
        with attach(self.name, dead_ok=True, populate=False) as segment:
            is_ready = bool(segment.array("matcher")[0].state) and bool(segment.array("keeper")[0].state)
            return is_ready and segment.array("control")[0].supervisor_pid == pid

    def kill_supervisor(self) -> None:
        """SIGKILL, a while without any, and another that takes over."""
        self.strike()
        self.supervisor.kill()
        self.supervisor.wait()
        if self.draw.random() < 0.5:
            self.kill_now(self.draw.choice(("matcher", "keeper")))
        self.supervisor = self._run("--adopt")
        await_that(lambda: self._is_up(self.supervisor.pid), "another supervisor takes over", self.diagnosis)

    def close(self) -> None:
        """Stop it, and wait until it has ended."""
        self.exchange.stop()
        self.supervisor.wait()


@pytest.fixture
def hunt(spawn: Spawn, tmp_path: Path) -> Iterator[Callable[[str, int, int], Hunt]]:
    with ExitStack() as stack:

        def start(mode: str, kills: int, seed: int) -> Hunt:
            hunt = Hunt(spawn, tmp_path, mode, kills, seed)
            stack.callback(hunt.exchange.stop)
            stack.callback(hunt.segment.close)
            return hunt

        yield start


@pytest.mark.parametrize(
    ("mode", "kills", "seed"),
    [
        ("async", 2, 1),
        pytest.param("group", 2, 2, marks=pytest.mark.long),
        pytest.param("async", 1000, 3, marks=[pytest.mark.long, pytest.mark.timeout(3600)]),
    ],
)
def test_a_matcher_killed_again_and_again(hunt: Callable[[str, int, int], Hunt], mode: str, kills: int, seed: int) -> None:
    hunted = hunt(mode, kills, seed)
    for _ in range(kills):
        hunted.kill("matcher")
        hunted.await_commands(1)
        hunted.check_state()
    hunted.end()


@pytest.mark.parametrize(
    ("mode", "kills", "seed"),
    [
        ("async", 1, 4),
        pytest.param("sync", 1, 5, marks=pytest.mark.long),
        pytest.param("async", 200, 6, marks=[pytest.mark.long, pytest.mark.timeout(3600)]),
    ],
)
def test_a_keeper_killed_again_and_again(hunt: Callable[[str, int, int], Hunt], mode: str, kills: int, seed: int) -> None:
    hunted = hunt(mode, kills, seed)
    for _ in range(kills):
        hunted.kill("keeper")
        hunted.await_commands(2000 if mode == "async" else 1)
        hunted.check_state()
    hunted.end()


@pytest.mark.parametrize(("kills", "seed"), [(2, 7), pytest.param(1000, 8, marks=[pytest.mark.long, pytest.mark.timeout(3600)])])
def test_gateways_killed_again_and_again(hunt: Callable[[str, int, int], Hunt], kills: int, seed: int) -> None:
    hunted = hunt("async", kills, seed)
    for _ in range(kills):
        session = hunted.draw.choice(TRADERS)
        hunted.strike()
        hunted.traders[session].kill()
        hunted.traders[session] = hunted.trader(session)
    hunted.end()


@pytest.mark.parametrize(("rounds", "seed"), [(1, 9), pytest.param(200, 10, marks=[pytest.mark.long, pytest.mark.timeout(3600)])])
def test_several_killed_or_stopped_at_once(hunt: Callable[[str, int, int], Hunt], rounds: int, seed: int) -> None:
    hunted = hunt("async", rounds, seed)
    for _ in range(rounds):
        session, stopped = hunted.draw.sample(TRADERS, 2)
        os.kill(hunted.traders[stopped].pid, signal.SIGSTOP)
        hunted.kill("matcher")
        hunted.kill_now("keeper")
        hunted.traders[session].kill()
        hunted.traders[session] = hunted.trader(session)
        os.kill(hunted.traders[stopped].pid, signal.SIGCONT)
        hunted.await_commands(1)
        hunted.check_state()
    hunted.end()


@pytest.mark.parametrize(("kills", "seed"), [(1, 11), pytest.param(200, 12, marks=[pytest.mark.long, pytest.mark.timeout(3600)])])
def test_a_supervisor_killed_again_and_again(spawn: Spawn, tmp_path: Path, kills: int, seed: int) -> None:
    hunted = ForegroundHunt(spawn, tmp_path, "async", 8 * kills, seed)
    try:
        for _ in range(kills):
            hunted.kill_supervisor()
            hunted.await_commands(1)
            hunted.check_state()
        hunted.end()
    finally:
        hunted.segment.close()
        hunted.close()
