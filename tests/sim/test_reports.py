"""A report ring on the memory model: no reordering tears a report, loses one that was written, or overwrites one that was not yet taken."""

from __future__ import annotations

import pytest

from tests.sim.explore import Forbidden
from tests.sim.reports import report_executions
from tests.sim.texts import Weaker


def test_every_report_arrives_whole_or_is_known_to_be_skipped() -> None:
    outcomes = report_executions(3).outcomes
    assert {skipped for skipped, _ in outcomes} == {0, 1}
    assert (0, ((1, 2, 3), ())) in outcomes
    assert (1, ((1, 2), (3,))) in outcomes


@pytest.mark.long
def test_two_laps() -> None:
    assert {skipped for skipped, _ in report_executions(4, takes=4).outcomes} == {0, 1, 2}


@pytest.mark.parametrize(
    ("weaker", "what"),
    [
        (Weaker("publish_reports", "store_release", "number"), "torn"),
        (Weaker("take_reports", "load_acquire", "number"), "torn"),
        (Weaker("publish_reports", "store_release", "tail"), "said to be lost"),
        (Weaker("take_reports", "load_acquire", "tail"), "said to be lost"),
        (Weaker("acknowledge", "store_release", "head"), "took"),
    ],
    ids=repr,
)
def test_a_weakened_protocol_is_caught(weaker: Weaker, what: str) -> None:
    with pytest.raises(Forbidden, match=what):
        report_executions(3, weaker)


def test_an_order_that_something_else_keeps_as_well() -> None:
    """No processor stores ahead of the branch on the head; the language asks for it, and the compiler."""
    assert report_executions(3, Weaker("refresh_limit", "load_acquire", "head")).outcomes == report_executions(3).outcomes
