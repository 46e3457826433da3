"""Killed at every step: whoever dies after any single instruction leaves memory that the next one takes up, and nothing is lost or said twice.

A protocol runs once, instruction by instruction, and every state of the shared memory is kept. Each is what somebody leaves who was killed there: it
is put back, checked as it stands, and then the exchange goes on with compiled successors until all is done.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from shm_exchange._jit import INTERPRETED
from shm_exchange.client import departure
from shm_exchange.client.sessions import take_session
from shm_exchange.domain.enums import CommandKind, JournalMode, OrderType, SelfTradePrevention, Side, TimeInForce
from shm_exchange.layout.records import COMMAND, COMMAND_WORDS
from shm_exchange.matcher import process, recovery, step, sweep
from shm_exchange.ring import lane
from shm_exchange.shm.mapping import Mapping
from tests.sim.checks import Checker
from tests.sim.market import Gateway, some_commands
from tests.sim.setting import small_setting
from tests.sim.stage import staged
from tests.sim.stepping import Recording, interpreted, run_until
from tests.sim.world import World, playing

pytestmark = pytest.mark.skipif(INTERPRETED, reason="successors are compiled")

_FILES = ("keeper", "journal")
FEW = 40
"""So many states of each protocol are tried by default, evenly, and those in which a word of the matcher has changed; with --long every one."""


def orders(count: int, side: Side, price_ticks: int, quantity: int, kind: TimeInForce = TimeInForce.GTC) -> np.ndarray:
    """Limit orders in the first instrument that no self-trade prevention holds up."""
    commands = np.zeros(count, COMMAND)
    commands["kind"], commands["order_type"], commands["time_in_force"] = CommandKind.ENTER, OrderType.LIMIT, kind
    commands["side"], commands["price_ticks"], commands["quantity"], commands["self_trade"] = side, price_ticks, quantity, SelfTradePrevention.NONE
    return commands


class Scene:
    """A world with three sessions, that can be put back to any state of its memory."""

    def __init__(self, world: World) -> None:
        self.world = world
        world.matcher.step()
        if world.segment.journal.directory:
            world.keeper.step()
        self.gateways = world.gateways[:3]
        self.submitted = np.zeros(0, COMMAND)
        for gateway in self.gateways:
            gateway.start(world.draw)
        self.rest()
        segment = world.segment
        self._mapping = Mapping(segment._fd, 0, segment.layout.size, writable=True)
        self.memory = self._mapping.bytes(0, segment.layout.size)
        regions = segment.layout.regions
        self.words = range(regions["matcher"].offset, regions["snapshots"].offset)

    def rest(self) -> None:
        """Until everything is matched, and written where there is a keeper."""
        world = self.world
        for _ in range(200):
            world.matcher.step()
            world.checker.look()
            if world.keeper.lives:
                world.keeper.step()
            if world.matcher.is_quiet and (world.checker.shown.lane_heads["head"][1:] == world.truth.begun[1:]).all():
                return
        raise AssertionError("it does not come to rest")

    def remember(self) -> None:
        """What is private to those who go on living."""
        truth = self.world.truth
        self.world.checker._all.watch["within_stores"] = 1
        self._tail, self._begun, self._due = truth.sequence, truth.begun.copy(), truth.due.copy()
        self._seen = [array.copy() for array in self._looker()]
        self._held = [(gateway.number, gateway._producer.copy(), gateway._reader.copy(), gateway._expected) for gateway in self.gateways]

    def put_back(self, picture: np.ndarray) -> None:
        """The memory as it was then, and everybody's private state as at `remember`; the matcher is dead."""
        world, truth = self.world, self.world.truth
        self.memory[:] = picture
        truth.rewind(self._tail)
        truth.begun[:], truth.due[:] = self._begun, self._due
        world.checker = Checker(world.segment, truth)
        world.checker._begun, world.checker._all = True, world.checker._told()
        for now, then in zip(self._looker(), self._seen, strict=True):
            now[:] = then
        for gateway, (number, producer, reader, expected) in zip(self.gateways, self._held, strict=True):
            if not gateway.lives:
                assert world.segment.is_held(number) or gateway._segment.try_lock(number)
            gateway.number, gateway._expected = number, expected
            gateway._producer[:], gateway._reader[:] = producer, reader
        world.matcher.die()

    def goes_on(self) -> None:
        """What stands there is right, and stays so until all is done."""
        self.world.checker.look()
        self.world.settle()

    def _looker(self) -> list[np.ndarray]:
        told = self.world.checker._all
        return [told.expected, told.seen, told.unseen, told.report_tails, told.watch]


@contextmanager
def scene(mode: JournalMode = JournalMode.OFF, **sizes: int) -> Iterator[Scene]:
    """A small exchange with three sessions that rests."""
    fixed = {"max_orders": 64, "event_capacity": 128, "log_capacity": 1024 if mode is JournalMode.OFF else 256, "sweep_budget": 16}
    setting = small_setting(mode, **(fixed | sizes))._replace(checkpoint_commands=32)
    with staged() as stage, playing(7, stage, setting=setting) as world:
        yield Scene(world)


def _stride(request: pytest.FixtureRequest, states: int, few: int = FEW) -> int:
    return 1 if request.config.getoption("--long") else max(1, states // few)


def _busy(scene: Scene) -> None:
    """A full book, reports that are unread, and in the lanes: trades, cancels, self trades, nonsense, and more reports than there is room for."""
    anne, bert, cleo = scene.gateways
    for _ in range(2):
        bert.submit(orders(10, Side.SELL, 105, 2))
        scene.rest()
    bert.submit(np.zeros(10, COMMAND))
    cleo.submit(orders(4, Side.BUY, 95, 3))
    scene.rest()
    anne.submit(orders(1, Side.BUY, 105, 38, TimeInForce.IOC))
    anne.submit(some_commands(scene.world.draw, anne.number, int(scene.world.truth.begun[anne.number]), 8))
    bert.submit(orders(9, Side.SELL, 104, 1))
    bert.submit(some_commands(scene.world.draw, bert.number, int(scene.world.truth.begun[bert.number]), 6))
    cleo.submit(some_commands(scene.world.draw, cleo.number, int(scene.world.truth.begun[cleo.number]), 8))
    scene.remember()


def _batch(scene: Scene) -> Recording:
    """One sweep and all that follows from it."""
    bundles = scene.world.matcher.process.bundles
    recording = Recording(scene.memory)
    taken = recording.run(interpreted(sweep.sweep), bundles.memory, bundles.policy, bundles.outputs, bundles.log)
    assert taken == 32
    behind = int(bundles.memory.words[0].log_tail)
    recording.run(interpreted(step.process), bundles.memory, bundles.book, bundles.outputs, bundles.log, bundles.snapshots, behind)
    assert bundles.memory.report_tails["skipped"].any() and bundles.memory.counters[0].trades
    return recording


def test_a_matcher_is_killed_after_every_store(request: pytest.FixtureRequest) -> None:
    with scene() as busy:
        _busy(busy)
        recording = _batch(busy)
        assert len(recording) > 300
        for picture in recording.pictures(_stride(request, len(recording)), busy.words):
            busy.put_back(picture)
            busy.goes_on()


def _recovery(scene: Scene) -> Recording:
    """What a matcher does to take up what the dead one left, up to its own first sweep."""
    segment = scene.world.matcher._segment
    assert segment.try_lock(0)
    with pytest.MonkeyPatch.context() as patch:
        recording = Recording(scene.memory)
        for name in ("begin_life", "recover"):
            plain = interpreted(getattr(recovery, name))
            patch.setattr(process, name, lambda *arguments, plain=plain: recording.run(plain, *arguments))
        process.open_bundles(segment)
    return recording


@pytest.mark.long
def test_a_recovery_is_killed_after_every_store(request: pytest.FixtureRequest) -> None:
    with scene() as busy:
        _busy(busy)
        batch = _batch(busy)
        tries, states = 12 if request.config.getoption("--long") else 3, list[int]()
        for picture in batch.pictures(len(batch) // tries):
            busy.put_back(picture)
            recording = _recovery(busy)
            states.append(len(recording))
            for left in recording.pictures(_stride(request, len(recording), FEW // tries), busy.words):
                busy.put_back(left)
                busy.goes_on()
        assert min(states) > 10 and max(states) > 300


def _submitting(scene: Scene) -> Recording:
    anne = scene.gateways[0]
    commands = some_commands(scene.world.draw, anne.number, int(scene.world.truth.begun[anne.number]), 6)
    commands["kind"] = np.minimum(commands["kind"], CommandKind.MASS_CANCEL)
    scene.submitted = commands
    recording = Recording(scene.memory)
    taken = recording.run(interpreted(lane.submit_many), anne._producer.ctypes.data, commands.view(COMMAND_WORDS).view(np.recarray), 0)
    assert taken == len(commands)
    return recording


def _is_in_the_lane(scene: Scene, gateway: Gateway) -> int:
    """So many commands of its last ones can be seen."""
    number, segment = gateway.number, scene.world.segment
    behind = lane.recover_position(segment.array("lane", number), segment.array("lane_heads")[number : number + 1])
    return int(behind) - int(scene.world.truth.begun[number])


def test_a_gateway_is_killed_after_every_store(request: pytest.FixtureRequest) -> None:
    with scene() as quiet:
        quiet.remember()
        recording = _submitting(quiet)
        found = []
        for picture in recording.pictures(_stride(request, len(recording))):
            quiet.put_back(picture)
            anne = quiet.gateways[0]
            found.append(_is_in_the_lane(quiet, anne))
            quiet.world.truth.note(anne.number, quiet.submitted[: found[-1]])
            anne.die()
            quiet.goes_on()
        assert found == sorted(found) and (found[0], found[-1]) == (0, 6)


def test_whoever_says_that_another_died_is_killed_after_every_store(request: pytest.FixtureRequest) -> None:
    with scene() as quiet:
        anne, segment = quiet.gateways[0], quiet.world.segment
        number = anne.number
        anne.submit(orders(3, Side.BUY, 99, 1))
        quiet.remember()
        anne.die()
        recording = Recording(quiet.memory)
        depart = interpreted(departure.depart)
        assert recording.run(depart, segment, number, 0)
        for picture in recording.pictures():
            quiet.put_back(picture)
            anne.die()
            quiet.world.supervisor._lanes.note_departures()
            quiet.goes_on()
            assert not quiet.world.truth.due[number]


def test_whoever_takes_a_session_is_killed_after_every_store(request: pytest.FixtureRequest) -> None:
    with scene() as quiet:
        anne = quiet.gateways[0]
        anne.submit(orders(3, Side.BUY, 99, 1))
        quiet.remember()
        number = anne.number
        anne.die()
        recording = Recording(quiet.memory)
        assert recording.run(interpreted(take_session), anne._segment, "anne", "someone")[0] == number
        anne._segment.release(number)
        for picture in recording.pictures():
            quiet.put_back(picture)
            anne.die()
            quiet.world.supervisor._lanes.note_departures()
            anne.start(quiet.world.draw)
            assert anne.number == number
            quiet.goes_on()


def _keep(world: World) -> None:
    """A keeper's start, passes that write into two files, and a checkpoint, for which the matcher has to say something."""
    for _ in range(6):
        world.keeper.step()
        for _ in range(10):
            world.matcher.step()


@pytest.mark.parametrize("mode", [JournalMode.ASYNC, JournalMode.GROUP], ids=["async", "group"])
def test_a_keeper_is_killed_in_front_of_every_line(request: pytest.FixtureRequest, mode: JournalMode) -> None:
    with scene(mode, sweep_budget=32) as busy:
        world, folder = busy.world, Path(busy.world.segment.journal.directory)
        for gateway in busy.gateways:
            gateway.submit(some_commands(world.draw, gateway.number, int(world.truth.begun[gateway.number]), 30))
        for _ in range(30):
            world.matcher.step()
        world.checker.look()
        busy.remember()
        aside, picture = folder.with_name("aside"), busy.memory.copy()
        shutil.copytree(folder, aside)

        def begin() -> None:
            world.keeper.die()
            shutil.rmtree(folder)
            shutil.copytree(aside, folder)
            busy.put_back(picture)

        begin()
        lines = run_until(0, partial(_keep, world), _FILES)
        assert list(folder.glob("checkpoint-*")) and len(list(folder.glob("segment-*"))) > 2
        for line in range(1, lines, _stride(request, lines, 30)):
            begin()
            assert run_until(line, partial(_keep, world), _FILES) == line
            world.keeper.die()
            busy.goes_on()
