"""A lane of two between `submit` and the matcher on the memory model: no reordering tears a command, or overwrites one before it was taken."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from shm_exchange.layout.records import COMMAND_WORDS
from shm_exchange.matcher import sweep as matcher_sweep
from shm_exchange.ring import lane as ring_lane
from tests.sim.explore import Executions, Forbidden, explore
from tests.sim.lanes import CAPACITY, ModelLanes, payload, payload_of
from tests.sim.processor import privates
from tests.sim.texts import Texts, Weaker


def _executions(commands: int, attempts: int, sweeps: int, *weaker: Weaker) -> Executions:
    """A gateway that tries so often to submit so many commands, and a matcher that sweeps so many times: how many were submitted and taken."""
    lanes = ModelLanes()
    texts = Texts(lanes.processor, *weaker)
    submit, sweep = texts(ring_lane.submit), texts(matcher_sweep.sweep)

    def gateway() -> int:
        producer, done = lanes.producer(1), 0
        for _ in range(attempts):
            done += bool(done < commands and submit(producer, *payload(1, done + 1)))
        return done

    def matcher() -> int:
        memory, policy, outputs, log = lanes.matcher(hot=True)
        for _ in range(sweeps):
            sweep(memory, policy, outputs, log)
        tail = int(memory.words[0].log_tail)
        _expect_payloads(log.words[:tail])
        return tail

    def check(submitted: int, taken: int) -> None:
        assert taken <= submitted, f"{taken} commands were taken of {submitted}"

    executions = explore(lanes.processor, check, gateway=gateway, matcher=matcher)
    assert texts.weakened == set(weaker)
    return executions


def _take_executions(*weaker: Weaker) -> Executions:
    """The same of two commands and `take` alone."""
    lanes = ModelLanes()
    texts = Texts(lanes.processor, *weaker)
    submit, take = texts(ring_lane.submit), texts(ring_lane.take)

    def gateway() -> None:
        producer = lanes.producer(1)
        for position in (1, 2):
            submit(producer, *payload(1, position))

    def matcher() -> int:
        records, count = privates(COMMAND_WORDS, 3), 0
        for _ in range(3):
            count += take(lanes.slots[1].ctypes.data, CAPACITY, count + 1, records[count])
        _expect_payloads(records[:count])
        return count

    executions = explore(lanes.processor, gateway=gateway, matcher=matcher)
    assert texts.weakened == set(weaker)
    return executions


def _expect_payloads(records: Sequence[object]) -> None:
    got, expected = [payload_of(record) for record in records], [payload(1, position + 1) for position in range(len(records))]
    assert got == expected, f"not what was submitted: {got} instead of {expected}"


def test_a_command_is_taken_whole_or_not_at_all() -> None:
    assert _take_executions().outcomes == {(None, 0), (None, 1), (None, 2)}


def test_a_slot_is_used_again_only_when_its_command_was_taken() -> None:
    assert _executions(3, 4, 2).outcomes == {(2, 0), (2, 1), (2, 2), (3, 1), (3, 2), (3, 3)}


@pytest.mark.long
def test_two_laps_and_more() -> None:
    outcomes = _executions(6, 8, 5).outcomes
    assert {submitted for submitted, _ in outcomes} == {2, 3, 4, 5, 6}
    assert (6, 6) in outcomes


@pytest.mark.parametrize(
    "weaker",
    [
        Weaker("_put", "store_release", "number"),
        Weaker("take", "load_acquire", "number"),
        Weaker("sweep", "store_release", "head"),
    ],
    ids=repr,
)
def test_a_weakened_protocol_is_caught(weaker: Weaker) -> None:
    with pytest.raises(Forbidden, match="not what was submitted"):
        _executions(3, 3, 2, weaker)


def test_a_weakened_take_is_caught_without_a_look_before_it() -> None:
    with pytest.raises(Forbidden, match="not what was submitted"):
        _take_executions(Weaker("take", "load_acquire", "number"))


@pytest.mark.parametrize(
    "weaker",
    [
        Weaker("_has_room", "load_acquire", "head"),  # (no processor stores ahead of a branch; the language asks for it, and the compiler)
        Weaker("has_command", "load_acquire", "number"),  # `take` looks again
    ],
    ids=repr,
)
def test_an_order_that_something_else_keeps_as_well(weaker: Weaker) -> None:
    assert _executions(3, 3, 2, weaker).outcomes == _executions(3, 3, 2).outcomes
