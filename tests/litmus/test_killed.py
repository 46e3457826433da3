"""A gateway killed at any instant leaves whole orders and no others, and its successor goes on exactly where it was."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np
import pytest

from shm_exchange import Gateway
from shm_exchange.domain.limits import POSITION_BITS
from shm_exchange.ring.lane import recover_position
from shm_exchange.supervisor.supervisor import Supervisor
from tests.litmus import programs
from tests.litmus.children import Child
from tests.litmus.exchanges import await_quiet, running
from tests.litmus.flow import Journal, answered, check_accepted
from tests.litmus.waiting import PATIENCE, await_that

Spawn = Callable[..., Child]


@pytest.mark.parametrize(("kills", "seed"), [(10, 1), pytest.param(200, 2, marks=pytest.mark.long)])
def test_a_gateway_killed_at_a_random_instant_again_and_again(spawn: Spawn, tmp_path: Path, kills: int, seed: int) -> None:
    draw = Random(seed)
    path = tmp_path / "journal"
    with running(report_capacity=1 << 14, event_capacity=1 << 14, max_orders=1 << 16, session_orders=1 << 14) as supervisor:
        other = spawn(programs.trade_until_told, supervisor.name, "other")
        assert other.hear() == "ready"
        other.tell("go")
        other.hear()
        number = 2
        for incarnation in range(kills):
            victim = spawn(programs.trade_until_killed, supervisor.name, "victim", path, incarnation % 2 == 1)
            assert victim.hear() == "ready"
            _kill_after(supervisor, victim, number, draw.randrange(400))
            await_quiet(supervisor, number)
            _check_lane(supervisor, number)
        with Gateway.attach(supervisor.name, session="victim") as successor:
            assert successor.number == number
            _check_all(supervisor, successor, Journal(path))
        other.tell("stop")
        outcome = other.hear()
        assert outcome.submitted == outcome.answered


def _kill_after(supervisor: Supervisor, victim: Child, number: int, commands: int) -> None:
    """SIGKILL, some moment after it has got so many commands through."""
    head = supervisor.segment.array("lane_heads")[number]
    first = int(head.head)
    await_that(lambda: head.head >= first + commands, "the victim submits", victim.said)
    victim.kill()


def _check_lane(supervisor: Supervisor, number: int) -> None:
    """What was submitted was taken, and nothing stands behind it that is neither submitted nor not."""
    head = supervisor.segment.array("lane_heads")[number : number + 1]
    lane = supervisor.segment.array("lane", number)
    position = int(recover_position(lane, head))
    assert position == head[0].head
    numbers = np.sort(lane["number"])
    assert numbers[-1] == position - 1
    kept = numbers[numbers > 0]
    assert (kept == np.arange(position - len(kept), position)).all()


def _check_all(supervisor: Supervisor, successor: Gateway, journal: Journal) -> None:
    """Every report number once, and one answer to every command that any incarnation has submitted."""
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
    assert int(supervisor.segment.array("report_tails")[successor.number].skipped) == 0
    check_accepted(reports)
    assert sorted(answers) == list(range(1, position + 1))
    assert supervisor.verify().holds
