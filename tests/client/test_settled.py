"""A lane passes on only when nothing of its last session can still appear in it, at whatever moment that session has died."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from shm_exchange.client.sessions import take_session
from shm_exchange.domain.errors import NoFreeSession
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


def test_a_lane_whose_last_session_left_nothing() -> None:
    with rigged(max_sessions=1) as rig, _other(rig) as segment:
        _die(_last_holder(rig))
        assert take_session(segment, "next", "next")[0] == LANE


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


def test_a_lane_whose_command_is_taken_and_not_yet_matched() -> None:
    """The matcher is between the heads of a batch and its publication."""
    with rigged(max_sessions=1) as rig, _other(rig) as segment:
        gateway = _last_holder(rig)
        gateway.submit(orders(1))
        _die(gateway)
        rig.bundles.memory.words[0].log_tail += 1
        rig.bundles.memory.lane_heads[LANE].head += 1
        with pytest.raises(NoFreeSession):
            take_session(segment, "next", "next")


def test_a_lane_whose_holder_submits_once_more_and_dies_before_it_is_locked(monkeypatch: pytest.MonkeyPatch) -> None:
    with rigged(max_sessions=1) as rig, _other(rig) as segment:
        gateway = _last_holder(rig)

        def dying(lock: Callable[[int], bool]) -> Callable[[int], bool]:
            def try_lock(byte: int) -> bool:
                gateway.submit(orders(1))
                _die(gateway)
                return lock(byte)

            return try_lock

        monkeypatch.setattr(segment, "try_lock", dying(segment.try_lock))
        with pytest.raises(NoFreeSession):
            take_session(segment, "next", "next")
