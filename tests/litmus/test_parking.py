"""Nobody spins: after any idle time a command wakes the matcher and a report wakes its gateway, without help from the clock.

A lost wake-up would end with the sleeper's own time-out, too late but in the end. So it is not the answer that is looked at, but the sleepers: a
process asleep in the kernel while its word says that it sleeps and its work is there has missed its call.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from random import Random

import pytest

from shm_exchange import Gateway, Side
from shm_exchange.supervisor.supervisor import Supervisor
from tests.litmus import programs
from tests.litmus.children import Child
from tests.litmus.exchanges import running, take
from tests.litmus.waiting import PATIENCE, await_that, state_of

Spawn = Callable[..., Child]

ASLEEP = "S"


@pytest.mark.parametrize("rounds", [300, pytest.param(20_000, marks=pytest.mark.long)])
def test_a_parked_matcher_never_misses_a_command(rounds: int) -> None:
    draw = Random(1)
    with running(max_sessions=2) as supervisor, Gateway.attach(supervisor.name, session="one") as gateway:
        supervisor.control.set_spin_polls(0)
        parks = int(supervisor.segment.array("counters")[0].parks)
        missed = 0
        for number in range(rounds):
            _idle(draw)
            gateway.cancel(1)
            missed += _has_missed_its_call(supervisor, gateway, number + 3)
            assert len(take(gateway, 1)) == 1
        assert missed == 0
        assert supervisor.segment.array("counters")[0].parks > parks + rounds // 10


def _idle(draw: Random) -> None:
    """Nothing, a moment, or long enough for the matcher to fall asleep: the idle time is what is tested, nothing is waited for."""
    spin = draw.choice([0, 0, draw.randrange(2000), draw.randrange(60_000)])
    for _ in range(spin):
        pass
    if draw.random() < 0.3:
        time.sleep(draw.random() * 0.003)


def _has_missed_its_call(supervisor: Supervisor, gateway: Gateway, position: int) -> bool:
    """Look until the command is taken; whether its matcher was ever asleep on a word that still says so."""
    parked, head = supervisor.segment.array("parked"), supervisor.segment.array("lane_heads")
    while head[gateway.number].head < position:
        asleep = state_of(supervisor.matcher.pid) == ASLEEP and parked[0].parked == 1 and state_of(supervisor.matcher.pid) == ASLEEP
        if asleep and head[gateway.number].head < position:
            return True
    return False


@pytest.mark.parametrize("rounds", [300, pytest.param(20_000, marks=pytest.mark.long)])
def test_a_parked_gateway_never_misses_a_report(spawn: Spawn, rounds: int) -> None:
    draw = Random(2)
    with running(max_sessions=2) as supervisor, Gateway.attach(supervisor.name, session="one") as taker:
        supervisor.control.set_spin_polls(0)
        child = spawn(programs.wait_for_fills, supervisor.name, "two", rounds)
        assert child.hear() == "ready"
        missed, wakes = 0, int(supervisor.segment.array("counters")[0].wakes)
        for number in range(rounds):
            _idle(draw)
            taker.limit("ACME", Side.BUY, "5.00", 1)
            take(taker, 2)
            missed += _is_left_asleep(supervisor, child, number + 4)
        assert child.hear() == rounds
        assert child.end() == 0
        assert missed == 0
        assert supervisor.segment.array("counters")[0].wakes > wakes


def _is_left_asleep(supervisor: Supervisor, child: Child, expected: int) -> bool:
    """Look until the gateway has taken its fill; whether it was ever asleep on a word that still says so, and the matcher asleep too."""
    parked, heads = supervisor.segment.array("parked"), supervisor.segment.array("report_head")
    tails = supervisor.segment.array("report_tails")
    await_that(lambda: tails[2].tail >= expected, "the fill is out")
    while heads[1].head < expected:
        both = [state_of(pid) == ASLEEP for pid in (child.pid, supervisor.matcher.pid)]
        if all(both) and parked[2].parked == 1 and state_of(child.pid) == ASLEEP and heads[1].head < expected:
            return True
    return False


@pytest.mark.parametrize("rounds", [100, pytest.param(5000, marks=pytest.mark.long)])
def test_several_gateways_that_come_and_go_are_always_answered(spawn: Spawn, rounds: int) -> None:
    with running() as supervisor:
        supervisor.control.set_spin_polls(0)
        children = [spawn(programs.submit_now_and_then, supervisor.name, f"s{number}", rounds, number) for number in range(4)]
        assert [child.hear() for child in children] == [rounds] * 4
        assert supervisor.verify(PATIENCE).holds
        assert supervisor.segment.array("counters")[0].parks > 0
