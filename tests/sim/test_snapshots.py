"""Snapshots on the memory model: no reordering shows a torn version, an older one than before, or none where nobody was lapped."""

from __future__ import annotations

import pytest

from tests.sim.explore import Forbidden
from tests.sim.snapshots import EVERY_WORD, snapshot_executions
from tests.sim.texts import Weaker

ONE_VERSION_MORE, LAPPED = 1, 2


def test_a_reader_that_is_not_lapped_reads_at_the_first_try() -> None:
    outcomes = {read for _, read in snapshot_executions(ONE_VERSION_MORE).outcomes}
    assert outcomes == {((1, 1), (1, 1)), ((1, 1), (1, 2)), ((1, 2), (1, 2))}


def test_a_reader_that_is_lapped_reads_whole_versions_and_never_an_older_one() -> None:
    outcomes = {read for _, read in snapshot_executions(LAPPED).outcomes}
    versions = {tuple(version for tries, version in read if tries > 0) for read in outcomes}
    assert versions >= {(1, 1), (1, 2), (1, 3), (2, 2), (2, 3), (3, 3)}
    assert {tries for read in outcomes for tries, _ in read} == {1, 2, -1}


@pytest.mark.long
def test_a_reader_that_is_lapped_while_every_word_changes() -> None:
    assert {version for _, read in snapshot_executions(LAPPED, changing=EVERY_WORD).outcomes for _, version in read} == {0, 1, 2, 3}


@pytest.mark.long
def test_a_reader_that_may_be_lapped_in_each_try() -> None:
    assert {version for _, read in snapshot_executions(3).outcomes for _, version in read} == {0, 1, 2, 3, 4}


@pytest.mark.parametrize(
    ("versions", "weaker", "what"),
    [
        (LAPPED, Weaker("begin_version", "store_relaxed", "stamp"), "torn"),
        (LAPPED, Weaker("begin_version", "fence_release"), "torn"),
        (LAPPED, Weaker("read_snapshot", "fence_acquire"), "torn"),
        (ONE_VERSION_MORE, Weaker("end_version", "store_release", "version"), "nobody was lapped"),
        (ONE_VERSION_MORE, Weaker("read_snapshot", "load_acquire", "version"), "nobody was lapped"),
        (LAPPED, Weaker("end_version", "store_release"), "torn"),
        (LAPPED, Weaker("read_snapshot", "load_acquire"), "torn"),
    ],
    ids=repr,
)
def test_a_weakened_protocol_is_caught(versions: int, weaker: Weaker, what: str) -> None:
    with pytest.raises(Forbidden, match=what):
        snapshot_executions(versions, weaker)


@pytest.mark.parametrize("weaker", [Weaker("end_version", "store_release", "stamp"), Weaker("read_snapshot", "load_acquire", "stamp")], ids=repr)
def test_an_order_that_something_else_keeps_as_well(weaker: Weaker) -> None:
    """`latest` comes behind the stamp, and is looked at before it: weakening both is caught above."""
    assert snapshot_executions(LAPPED, weaker).outcomes == snapshot_executions(LAPPED).outcomes
