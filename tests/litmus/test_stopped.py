"""A gateway that stands still for a while has lost nothing when it goes on, and meanwhile the others have not noticed."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.litmus import programs
from tests.litmus.children import Child
from tests.litmus.exchanges import check_replicas, running
from tests.litmus.waiting import stopped

Spawn = Callable[..., Child]

RING = 2048


@pytest.mark.parametrize("seconds", [1, pytest.param(10, marks=pytest.mark.long)])
def test_one_gateway_stopped_while_others_work(spawn: Spawn, seconds: int) -> None:
    """They begin and end all their work while it stands still. Its order fills half of its report ring meanwhile, and nobody waits for it."""
    with running(report_capacity=RING, event_capacity=1 << 18) as supervisor:
        victim = spawn(programs.trade_until_told, supervisor.name, "victim", 1 << 30)
        assert victim.hear() == "ready"
        others = [spawn(programs.trade, supervisor.name, name, 2500) for name in ("one", "two")]
        for child in others:
            assert child.hear() == "ready"
        victim.tell("go")
        assert victim.hear() == "trading"
        head, tail = supervisor.segment.array("lane_heads")[1], supervisor.segment.array("report_tails")[1]
        with stopped(victim.pid):
            frozen_since = time.monotonic()
            before, reported = int(head.head), int(tail.tail)
            for child in others:
                child.tell("go")
            outcomes = [child.hear() for child in others]
            assert supervisor.verify().holds
            assert head.head - before <= supervisor.segment.config.lane_capacity
            assert RING // 2 < tail.tail - reported < RING
            time.sleep(max(0.0, frozen_since + seconds - time.monotonic()))
        victim.tell("stop")
        outcomes.append(victim.hear())
        assert all(outcome.submitted == outcome.answered for outcome in outcomes)
        assert [child.end() for child in (victim, *others)] == [0, 0, 0]
        if outcomes[-1].submitted < 20_000:
            check_replicas(supervisor)
