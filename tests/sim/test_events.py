"""The event ring on the memory model: no reordering tears an event, loses one that was not overwritten, or delivers one twice."""

from __future__ import annotations

import pytest

from tests.sim.events import EVERY_WORD, event_executions
from tests.sim.explore import Forbidden
from tests.sim.texts import Weaker

NOT_LAPPED, LAPPED = (1, [1]), (2, [1])
TOLD_WHEN_LAPPED = {((1, 2), ()), ((1, 2, 3), ()), ((2,), ((1, 1),)), ((2, 3), ((1, 1),)), ((3,), ((1, 2),))}
"""Numbers taken, and first and last of each loss: event 1 is overwritten, and who was lapped gives up half a ring."""


def test_a_reader_that_is_not_lapped_gets_every_event() -> None:
    assert {told for _, told in event_executions(*NOT_LAPPED).outcomes} == {((1,), ()), ((1, 2), ())}


def test_a_reader_that_is_lapped_gets_whole_events_or_the_truth() -> None:
    assert {told for _, told in event_executions(*LAPPED).outcomes} == TOLD_WHEN_LAPPED


def test_events_of_one_batch_become_visible_together() -> None:
    """A reader's look ends before or behind them, also when it could already see one of them."""
    assert {told for _, told in event_executions(1, [2]).outcomes if not told[1]} == {((1,), ()), ((1, 2, 3), ())}


@pytest.mark.long
def test_two_batches() -> None:
    assert {(1, 2), (1, 2, 3), (4,)} <= {numbers for _, (numbers, _) in event_executions(2, [1, 1], takes=3).outcomes}


@pytest.mark.long
def test_a_reader_that_is_lapped_while_every_word_changes() -> None:
    assert {told for _, told in event_executions(*LAPPED, changing=EVERY_WORD).outcomes} == TOLD_WHEN_LAPPED


@pytest.mark.parametrize(
    ("ring", "weaker", "what"),
    [
        (LAPPED, Weaker("emit_event", "store_relaxed", "number"), "torn"),
        (LAPPED, Weaker("emit_event", "fence_release"), "torn"),
        (LAPPED, Weaker("take_events", "fence_acquire"), "torn"),
        (NOT_LAPPED, Weaker("publish_events", "store_release", "event_tail"), "said to be lost"),
        (NOT_LAPPED, Weaker("take_events", "load_acquire", "event_tail"), "said to be lost"),
    ],
    ids=repr,
)
def test_a_weakened_protocol_is_caught(ring: tuple[int, list[int]], weaker: Weaker, what: str) -> None:
    with pytest.raises(Forbidden, match=what):
        event_executions(*ring, weaker)


@pytest.mark.parametrize("weaker", [Weaker("publish_events", "store_release", "number"), Weaker("take_events", "load_acquire", "number")], ids=repr)
def test_an_order_that_something_else_keeps_as_well(weaker: Weaker) -> None:
    """The tail comes behind the numbers, and a reader looks at it before them."""
    for ring in (NOT_LAPPED, LAPPED):
        assert event_executions(*ring, weaker).outcomes == event_executions(*ring).outcomes
