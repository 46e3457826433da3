"""A matcher that stands still holds up nobody but those whose lanes are full, and they are told in the way they chose."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from shm_exchange import Gateway, Side
from shm_exchange.domain.enums import CommandKind
from shm_exchange.domain.errors import LaneFull
from shm_exchange.layout.records import COMMAND
from shm_exchange.supervisor.supervisor import Supervisor
from tests.litmus.exchanges import take
from tests.litmus.waiting import stopped

Attach = Callable[..., Gateway]

BUY = Side.BUY
LANE, RING = 64, 128


@pytest.fixture
def stopped_matcher(exchange: Supervisor, attach: Attach) -> Iterator[Callable[..., Gateway]]:
    """A gateway whose lane is full, of a matcher that stands still until the end of the test."""

    def fill(**options: Any) -> Gateway:
        gateway = attach(**options)
        context = stopped(exchange.matcher.pid)
        context.__enter__()
        opened.append(context)
        for _ in range(LANE):
            assert gateway.limit("ACME", BUY, "1.00", 1)
        return gateway

    opened: list[Any] = []
    yield fill
    for context in opened:
        context.__exit__(None, None, None)


def _commands(count: int) -> np.ndarray:
    commands = np.zeros(count, COMMAND)
    commands["kind"] = CommandKind.CANCEL
    commands["order_id"] = 1
    return commands


def test_raise(stopped_matcher: Callable[..., Gateway]) -> None:
    gateway = stopped_matcher(lane_full="raise")
    text = "lane of session .* is full and the command was not submitted: the matcher is alive but does not keep up"
    for call in (
        lambda: gateway.limit("ACME", BUY, "1.00", 1),
        lambda: gateway.cancel(5),
        lambda: gateway.market("ACME", BUY, 1),
        gateway.mass_cancel,
    ):
        with pytest.raises(LaneFull, match=text):
            call()
    with pytest.raises(LaneFull, match="0 of 3 commands were submitted"):
        gateway.submit_many(_commands(3))
    assert gateway.submitted == LANE + 1
    assert gateway.dropped == 0


def test_drop_counts(stopped_matcher: Callable[..., Gateway]) -> None:
    gateway = stopped_matcher(lane_full="drop")
    assert gateway.limit("ACME", BUY, "1.00", 1) == 0
    assert gateway.cancel(5) == 0
    assert gateway.submit_many(_commands(7)).submitted == 0
    assert gateway.dropped == 9
    assert gateway.submitted == LANE + 1


def test_block_waits_and_then_raises(stopped_matcher: Callable[..., Gateway]) -> None:
    gateway = stopped_matcher(lane_full="block", block_seconds=0.05)
    with pytest.raises(LaneFull, match="the command was not submitted"):
        gateway.limit("ACME", BUY, "1.00", 1)
    with pytest.raises(LaneFull, match="0 of 3 commands were submitted"):
        gateway.submit_many(_commands(3))
    assert gateway.submitted == LANE + 1


def test_everything_that_was_submitted_is_answered_when_the_matcher_goes_on(exchange: Supervisor, attach: Attach) -> None:
    gateway = attach(lane_full="drop")
    with stopped(exchange.matcher.pid):
        ids = [gateway.limit("ACME", BUY, price_ticks=number + 1, quantity=1) for number in range(LANE + 10)]
        assert not gateway.wait(0.01)
    assert ids[LANE:] == [0] * 10
    assert [report.order_id for report in take(gateway, LANE)] == ids[:LANE]


def test_block_goes_on_as_soon_as_there_is_room(attach: Attach) -> None:
    """Ten lanes full in one call, and one by one: the matcher empties the lane while we wait."""
    gateway = attach(lane_full="block", block_seconds=60.0)
    kinds = []
    for _ in range(5):
        batch = gateway.submit_many(_commands(LANE))
        assert batch.submitted == LANE
        kinds += take(gateway, LANE)
    for _ in range(LANE):
        gateway.cancel(1)
    kinds += take(gateway, LANE)
    assert {report.kind.name for report in kinds} == {"REJECTED"}
    assert [report.number for report in kinds] == list(range(2, 6 * LANE + 2))


def test_who_does_not_read_cannot_submit(attach: Attach) -> None:
    """Half a report ring unread closes the lane, and reading opens it again: no report of a command of ours is ever lost."""
    gateway, other = attach(lane_full="drop"), attach()
    accepted = 0
    while gateway.cancel(1):
        accepted += 1
        other.limit("ACME", BUY, "1.00", 1)
        other.mass_cancel()
        take(other, 3)
    assert RING // 2 < accepted < RING // 2 + 2 * LANE
    assert [report.number for report in take(gateway, accepted)] == list(range(2, accepted + 2))
    gateway.ack()
    assert gateway.cancel(1)
    assert len(take(gateway, 1)) == 1
