"""The parking handshakes on the memory model: no reordering leaves a command or a report to a sleeper."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sim.explore import Executions, Forbidden
from tests.sim.parking import cool_executions, report_parking_executions, submit_executions
from tests.sim.texts import Weaker


@pytest.mark.parametrize("active", [True, False])
def test_a_command_is_never_left_to_a_sleeping_matcher(active: bool) -> None:
    assert submit_executions(active=active).outcomes == {(1, None)}


def test_not_the_second_command_either() -> None:
    assert submit_executions(commands=2).outcomes == {(2, None)}


@pytest.mark.long
@pytest.mark.parametrize("active", [True, False])
def test_two_gateways_and_a_sleeping_matcher(active: bool) -> None:
    assert submit_executions(gateways=2, active=active).outcomes == {(2, None, None)}


def test_a_lane_that_cools_is_looked_at_again() -> None:
    assert cool_executions().outcomes == {(1, None)}


def test_a_report_is_never_left_to_a_sleeping_gateway() -> None:
    assert report_parking_executions().outcomes == {(None, 1)}


@pytest.mark.long
def test_not_the_second_report_either() -> None:
    assert report_parking_executions(written=2).outcomes == {(None, 2)}


@pytest.mark.parametrize(
    ("executions", "weaker", "what"),
    [
        (submit_executions, Weaker("_announce", "fence_full"), "the matcher sleeps"),
        (submit_executions, Weaker("_park", "fence_full"), "the matcher sleeps"),
        (cool_executions, Weaker("_announce", "fence_full"), "nothing tells the matcher"),
        (report_parking_executions, Weaker("_wake_parked", "fence_full"), "its gateway sleeps"),
        (report_parking_executions, Weaker("park_for_report", "fence_full"), "its gateway sleeps"),
    ],
    ids=lambda value: getattr(value, "__name__", repr(value)),
)
def test_a_weakened_protocol_is_caught(executions: Any, weaker: Weaker, what: str) -> None:
    with pytest.raises(Forbidden, match=what):
        executions(weaker)


def test_without_either_order_a_cooled_lane_is_forgotten() -> None:
    with pytest.raises(Forbidden, match="nothing tells the matcher"):
        cool_executions(Weaker("_cool", "fetch_and"), Weaker("_cool", "fence_full"))


@pytest.mark.parametrize(
    ("executions", "weaker"),
    [
        (submit_executions, Weaker("_announce", "exchange")),  # the system call behind it is a fence, and so is (B) before it
        (submit_executions, Weaker("_park", "exchange")),  # the sweep that follows orders for itself
        (cool_executions, Weaker("_announce", "fetch_or")),
        (cool_executions, Weaker("_cool", "fetch_or")),  # a hint to itself
        (cool_executions, Weaker("_cool", "fetch_and")),  # the fence behind it
        (cool_executions, Weaker("_cool", "fence_full")),  # a locked operation orders as much, on the processors there are
        (report_parking_executions, Weaker("_wake_parked", "exchange")),
        (report_parking_executions, Weaker("park_for_report", "exchange")),
    ],
    ids=lambda value: getattr(value, "__name__", repr(value)),
)
def test_an_order_that_something_else_keeps_as_well(executions: Any, weaker: Weaker) -> None:
    found: Executions = executions(weaker)
    assert found.outcomes == executions().outcomes
