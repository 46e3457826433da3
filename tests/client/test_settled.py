"""A lane passes on only when nothing of its last session can still appear in it, at whatever moment that session has died."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from shm_exchange.client import sessions
from shm_exchange.client.sessions import take_session
from shm_exchange.domain.enums import CommandKind
from shm_exchange.domain.errors import NoFreeSession
from shm_exchange.layout.records import COMMAND
from shm_exchange.shm import Segment, attach
from tests.matcher.rig import RawGateway, Rig, orders, rigged

LANE = 1


def _last_holder(rig: Rig) -> RawGateway:
    """The session whose lane may pass on, logged on and named."""
    [gateway] = rig.gateways(1)
    gateway.own["owner"][0].session = b"last"
    return gateway


def _other(rig: Rig) -> Segment:
    return attach(rig.segment.name, rig.segment._root.directory, write=True)


def _die(gateway: RawGateway) -> None:
    gateway.segment.release(LANE)


def _of_kind(kind: CommandKind) -> np.ndarray:
    """A command that has no other words."""
    command = np.zeros(1, COMMAND)
    command["kind"] = kind
    return command


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody hopes for a matcher that does not step."""
    monkeypatch.setattr(sessions, "_SETTLE_SECONDS", 0.01)


def test_a_lane_whose_last_session_logged_off_and_left_nothing() -> None:
    with rigged(max_sessions=1) as rig, _other(rig) as segment:
        gateway = _last_holder(rig)
        gateway.submit(_of_kind(CommandKind.LOGOFF))
        rig.step()
        _die(gateway)
        assert take_session(segment, "next", "next")[0] == LANE
        assert gateway.waiting == 0


def test_a_lane_whose_last_session_died_and_left_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """DISCONNECT is said for it, and the next session waits until the matcher has taken that."""
    with rigged(max_sessions=1) as rig, _other(rig) as segment:
        _die(_last_holder(rig))
        monkeypatch.setattr("time.sleep", lambda _: rig.step())
        assert take_session(segment, "next", "next")[0] == LANE
        assert rig.log["kind"].tolist() == [CommandKind.LOGON, CommandKind.DISCONNECT]


@pytest.mark.usefixtures("impatient")
def test_a_lane_with_a_command_that_nobody_has_taken() -> None:
    with rigged(max_sessions=1) as rig, _other(rig) as segment:
        gateway = _last_holder(rig)
        gateway.submit(orders(1))
        _die(gateway)
        with pytest.raises(NoFreeSession):
            take_session(segment, "next", "next")
        rig.step()
        with pytest.raises(NoFreeSession):
            take_session(segment, "next", "next")


@pytest.mark.usefixtures("impatient")
def test_a_lane_whose_command_is_taken_and_not_yet_matched() -> None:
    """The matcher is between the heads of a batch and its publication."""
    with rigged(max_sessions=1) as rig, _other(rig) as segment:
        gateway = _last_holder(rig)
        gateway.submit(orders(1))
        gateway.submit(_of_kind(CommandKind.DISCONNECT))
        _die(gateway)
        rig.bundles.memory.words[0].log_tail += 2
        rig.bundles.memory.lane_heads[LANE].head += 2
        with pytest.raises(NoFreeSession):
            take_session(segment, "next", "next")


@pytest.mark.usefixtures("impatient")
def test_a_lane_whose_holder_submits_once_more_and_dies_before_it_is_locked(monkeypatch: pytest.MonkeyPatch) -> None:
    with rigged(max_sessions=1) as rig, _other(rig) as segment:
        gateway = _last_holder(rig)

        def dying(lock: Callable[[int], bool]) -> Callable[[int], bool]:
            def try_lock(byte: int) -> bool:
                if gateway.segment.holds(LANE):
                    gateway.submit(orders(1))
                    _die(gateway)
                return lock(byte)

            return try_lock

        monkeypatch.setattr(segment, "try_lock", dying(segment.try_lock))
        with pytest.raises(NoFreeSession):
            take_session(segment, "next", "next")
