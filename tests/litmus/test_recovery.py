"""Without a journal: a matcher is killed and another goes on while the log ring holds all; and whoever's process dies is disconnected by somebody."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from random import Random

import pytest

from shm_exchange import EventFeed, Gateway
from shm_exchange.domain.enums import CancelReason, EventKind
from shm_exchange.domain.errors import ReportsLost
from shm_exchange.domain.limits import POSITION_BITS
from shm_exchange.ring.lane import recover_position
from shm_exchange.supervisor.status import status_of
from shm_exchange.supervisor.supervisor import Supervisor
from tests.litmus import programs
from tests.litmus.children import Child
from tests.litmus.exchanges import check_replicas, running, take
from tests.litmus.waiting import PATIENCE, await_that

Spawn = Callable[..., Child]


@pytest.mark.parametrize(
    ("kills", "commands", "log_capacity", "seed"), [(2, 30_000, 1 << 16, 1), pytest.param(60, 900_000, 1 << 21, 2, marks=pytest.mark.long)]
)
def test_a_matcher_killed_while_two_gateways_trade(spawn: Spawn, kills: int, commands: int, log_capacity: int, seed: int) -> None:
    """All is answered once, numbers have no gap, and the book is what the events say, whatever the dead did at that moment."""
    draw = Random(seed)
    sizes = {"report_capacity": 1 << 14, "event_capacity": 2 * log_capacity, "max_orders": 1 << 16, "session_orders": 1 << 14}
    with running(log_capacity=log_capacity, **sizes) as supervisor:
        traders = {session: spawn(programs.trade, supervisor.name, session, commands) for session in ("one", "two")}
        for trader in traders.values():
            assert trader.hear() == "ready"
            trader.tell("go")
        for moment in sorted(draw.randrange(2 * commands * 3 // 4) for _ in range(kills)):
            _kill_after(supervisor, moment)
        outcomes = {session: trader.hear() for session, trader in traders.items()}
        assert {outcome.submitted for outcome in outcomes.values()} == {outcome.answered for outcome in outcomes.values()} == {commands}
        assert sum(outcome.trades for outcome in outcomes.values()) > commands // 100
        assert [trader.end() for trader in traders.values()] == [0, 0]
        check_replicas(supervisor)
        status = status_of(supervisor.segment)
        assert (status["matcher"], status["matcher_lives"], status["reports_skipped"]) == ("running", 1 + kills, 0)
        assert status["commands"] == 2 * (1 + commands + 1)
        for session, outcome in outcomes.items():
            _check_successor(supervisor, session, outcome)


def _kill_after(supervisor: Supervisor, commands: int) -> None:
    """SIGKILL the matcher once so many commands are out, at whatever instant that is; return when another has answered."""
    counters = supervisor.segment.array("counters")
    await_that(lambda: counters[0].commands >= commands, "commands get through", lambda: status_of(supervisor.segment))
    os.kill(supervisor.matcher.pid, signal.SIGKILL)
    await_that(supervisor.matcher.has_ended, "the matcher dies")
    assert not supervisor.segment.matcher_alive
    assert not supervisor.segment.matcher_lost, "whoever looks now is told to wait"
    assert supervisor.verify(PATIENCE).holds


def _check_successor(supervisor: Supervisor, session: str, outcome: programs.Outcome) -> None:
    """Ids and report numbers go on where they ended, in the lane that the session had."""
    with Gateway.attach(supervisor.name, session=session) as successor:
        reports = take(successor, 1)
        while reports[-1].kind is not EventKind.LOGGED_ON:
            reports += take(successor, 1)
        assert {report.kind for report in reports[:-1]} <= {EventKind.EXECUTED, EventKind.LOGGED_OFF}  # the other traded on with what rested
        rejected = successor.cancel(1)
        assert rejected == successor.number << POSITION_BITS | outcome.submitted + 4
        reports += take(successor, 1)
        assert reports[-1].cause_id == rejected
        following = outcome.first_report + outcome.reports
        assert [report.number for report in reports] == list(range(following, following + len(reports)))


@pytest.mark.parametrize("says_it", ["supervisor", "next owner"])
@pytest.mark.parametrize("cancels", [False, True])
def test_a_killed_gateway_is_disconnected(spawn: Spawn, says_it: str, cancels: bool) -> None:
    """Once, whoever says it; and its orders go if it wished so."""
    with running() as supervisor, EventFeed.attach(supervisor.name) as feed:
        child = spawn(programs.quote_and_stay, supervisor.name, "dies", 2, cancels)
        number = child.hear()
        tails = supervisor.segment.array("report_tails")
        supervisor.attend()
        assert tails[number].logged_on == 1
        child.kill()
        if says_it == "supervisor":
            _await_attended(supervisor, lambda: not tails[number].logged_on, "the supervisor says DISCONNECT")
            assert tails[number].open_orders == (0 if cancels else 2)
        with Gateway.attach(supervisor.name, session="dies") as successor:
            supervisor.attend()
            assert successor.number == number
            reports = take(successor, 4 if cancels else 2)
            canceled = [(EventKind.CANCELED, CancelReason.DISCONNECTED)] * 2 if cancels else []
            said = [*canceled, (EventKind.DISCONNECTED, None), (EventKind.LOGGED_ON, None)]
            assert [(report.kind, report.reason) for report in reports] == said
            assert [report.number for report in reports] == list(range(4, 4 + len(reports)))
            assert successor.mass_cancel()
            (answer, *_) = take(successor, 1 if cancels else 3)[::-1]
            assert (answer.kind, answer.quantity_lots) == (EventKind.MASS_CANCELED, 0 if cancels else 2)
        events = [(event.kind, event.reason) for event in feed.poll()]
        assert events == [(EventKind.ACCEPTED, None)] * 2 + [(EventKind.CANCELED, CancelReason.DISCONNECTED if cancels else CancelReason.MASS)] * 2


def test_a_full_lane_of_the_dead_drains_though_nobody_reads(spawn: Spawn) -> None:
    """The living must read first; of the dead all commands are answered, and their successor learns which answers had no room."""
    with running() as supervisor:
        child = spawn(programs.flood_and_stay, supervisor.name, "floods")
        submitted = child.hear()
        head = supervisor.segment.array("lane_heads")[1:2]
        assert _waiting(supervisor) == supervisor.segment.config.lane_capacity
        supervisor.attend()
        assert supervisor.verify(PATIENCE).holds
        assert _waiting(supervisor) == supervisor.segment.config.lane_capacity, "a living gateway that does not read is not served"
        child.kill()
        _await_attended(supervisor, lambda: head[0].head == 1 + submitted + 1, "the lane drains")
        assert _waiting(supervisor) == 0
        numbers, lost = _read_all(supervisor, last=submitted + 2)
        (hole,) = lost
        assert numbers == [number for number in range(1, 1 + submitted + 2) if not hole[0] <= number <= hole[1]]


def _await_attended(supervisor: Supervisor, condition: Callable[[], bool], what: str) -> None:
    """Let the supervisor look after everybody until the condition holds."""

    def holds() -> bool:
        supervisor.attend()
        return condition()

    await_that(holds, what, lambda: status_of(supervisor.segment))


def _waiting(supervisor: Supervisor) -> int:
    """Commands in the lane of session 1 that the matcher has not taken."""
    head = supervisor.segment.array("lane_heads")[1:2]
    return int(recover_position(supervisor.segment.array("lane", 1), head)) - int(head[0].head)


def _read_all(supervisor: Supervisor, last: int) -> tuple[list[int], list[tuple[int, int]]]:
    """As the successor: the numbers of all reports up to `last`, and the gaps between them."""
    numbers: list[int] = []
    lost: list[tuple[int, int]] = []
    with Gateway.attach(supervisor.name, session="floods") as successor:
        while not numbers or numbers[-1] < last:
            assert successor.wait(PATIENCE)
            try:
                numbers += [report.number for report in successor.poll()]
            except ReportsLost as error:
                lost.append((error.first, error.last))
    return numbers, lost
