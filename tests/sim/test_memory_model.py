"""The memory model itself: classic programs, all that they may return and nothing else. So it is neither too strong nor too weak."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest

from tests.sim.explore import ASLEEP, Outcome, explore
from tests.sim.processor import Processor, private

X_Y = np.dtype([("x", "i8"), ("y", "i8")])
Body = Callable[["Side"], object]


class Side:
    """One program's hand on two shared words."""

    def __init__(self, processor: Processor, words: Any) -> None:
        self._intrinsics, self._record, self._address = processor.intrinsics, words[0], words.ctypes.data

    def load(self, field: str, order: str = "relaxed") -> Any:
        return self._intrinsics[f"load_{order}"](self._record, field)

    def store(self, field: str, value: Any, order: str = "relaxed") -> None:
        self._intrinsics[f"store_{order}"](self._record, field, value)

    def fence(self, order: str) -> None:
        if order != "no":
            self._intrinsics[f"fence_{order}"]()

    def exchange(self, field: str, value: int) -> int:
        return int(self._intrinsics["exchange"](self._record, field, value))

    def sleep_while(self, expected: int) -> None:
        self._intrinsics["futex_wait"](self._address, expected, 0)

    def wake(self) -> int:
        return int(self._intrinsics["futex_wake"](self._address))


def _outcomes(*bodies: Body) -> set[Outcome]:
    processor = Processor()
    side = Side(processor, processor.shared("word", X_Y))
    programs = {f"actor{number}": (lambda body=body: body(side)) for number, body in enumerate(bodies)}
    return explore(processor, **programs).outcomes


def _values(*returned: Any) -> tuple[int, ...]:
    return tuple(int(value) for value in returned)


ALL = set(product((0, 1), repeat=2))


@pytest.mark.parametrize(
    ("stored", "fence", "loaded", "behind", "forbidden"),
    [
        ("release", "no", "acquire", "no", True),
        ("relaxed", "release", "relaxed", "acquire", True),
        ("release", "no", "relaxed", "acquire", True),
        ("relaxed", "release", "acquire", "no", True),
        ("relaxed", "full", "relaxed", "full", True),
        ("relaxed", "no", "acquire", "no", False),
        ("release", "no", "relaxed", "no", False),
        ("relaxed", "acquire", "acquire", "no", False),
        ("release", "no", "relaxed", "release", False),
    ],
)
def test_message_passing(stored: str, fence: str, loaded: str, behind: str, forbidden: bool) -> None:
    """Who sees the flag sees what was stored before it, if both sides are ordered."""

    def write(side: Side) -> None:
        side.store("x", 1)
        side.fence(fence)
        side.store("y", 1, stored)

    def read(side: Side) -> tuple[int, ...]:
        flag = side.load("y", loaded)
        if loaded == "relaxed":
            flag = int(flag)  # a branch on it: loads are not held back by branches
        side.fence(behind)
        return _values(flag, side.load("x"))

    assert {returned for _, returned in _outcomes(write, read)} == ALL - ({(1, 0)} if forbidden else set())


@pytest.mark.parametrize(("order", "forbidden"), [("full", True), ("release", False), ("acquire", False), ("no", False)])
def test_store_buffering(order: str, forbidden: bool) -> None:
    """Only full fences between store and load keep both sides from missing each other."""

    def body(own: str, other: str) -> Body:
        def run(side: Side) -> int:
            side.store(own, 1, "release")
            side.fence(order)
            return int(side.load(other, "acquire"))

        return run

    assert _outcomes(body("x", "y"), body("y", "x")) == ALL - ({(0, 0)} if forbidden else set())


def test_locked_operations_are_full_fences() -> None:
    def body(own: str, other: str) -> Body:
        def run(side: Side) -> int:
            side.exchange(own, 1)
            return int(side.load(other))

        return run

    assert _outcomes(body("x", "y"), body("y", "x")) == ALL - {(0, 0)}


@pytest.mark.parametrize(
    ("loaded", "fence", "stored", "forbidden"),
    [
        ("relaxed", "no", "relaxed", False),
        ("relaxed", "no", "release", True),
        ("acquire", "no", "relaxed", True),
        ("relaxed", "release", "relaxed", True),
        ("relaxed", "full", "relaxed", True),
    ],
)
def test_load_buffering(loaded: str, fence: str, stored: str, forbidden: bool) -> None:
    """A load may be later than a store behind it, unless something orders them."""

    def body(own: str, other: str) -> Body:
        def run(side: Side) -> int:
            seen = side.load(other, loaded)
            side.fence(fence)
            side.store(own, 1, stored)
            return int(seen)

        return run

    assert _outcomes(body("x", "y"), body("y", "x")) == ALL - ({(1, 1)} if forbidden else set())


def test_a_store_waits_for_the_branch_before_it_and_for_its_value() -> None:
    """Nothing comes out of thin air."""

    def branch(side: Side) -> int:
        seen = side.load("y")
        if seen == 1:
            side.store("x", 1)
        return int(seen)

    def copy(side: Side) -> int:
        seen = side.load("x")
        side.store("y", seen)
        return int(seen)

    assert _outcomes(branch, copy) == {(0, 0)}


def _both_late(side: Side) -> tuple[int, ...]:
    return _values(side.load("x"), side.load("x"))


def _one_by_one(side: Side) -> tuple[int, ...]:
    return _values(side.load("x", "acquire"), side.load("x", "acquire"))


@pytest.mark.parametrize("read", [_both_late, _one_by_one])
def test_one_word_is_seen_in_one_order_by_all(read: Callable[[Side], tuple[int, ...]]) -> None:
    """Coherence: two loads of one word never go back, and no two readers see two stores in opposite orders."""

    def write(value: int) -> Body:
        return lambda side: side.store("x", value)

    pairs = {(one, other) for _, _, one, other in _outcomes(write(1), write(2), read, read)}
    assert {one for one, _ in pairs} == {(0, 0), (0, 1), (0, 2), (1, 1), (2, 2), (1, 2), (2, 1)}
    assert ((1, 2), (2, 1)) not in pairs
    assert ((1, 2), (0, 2)) in pairs


def test_the_same_value_may_be_stored_again_by_one_who_knows_less() -> None:
    def first(side: Side) -> None:
        side.store("x", 1)
        side.store("y", 1, "release")

    def again(side: Side) -> int:
        seen = int(side.load("y"))
        side.store("y", 1)
        return seen

    def read(side: Side) -> tuple[int, ...]:
        return _values(side.load("y", "acquire"), side.load("x"))

    assert (None, 1, (1, 0)) in _outcomes(first, again, read)


def test_own_stores_are_seen_at_once_and_loads_before_them_do_not_see_them() -> None:
    def body(side: Side) -> tuple[int, ...]:
        before = side.load("x")
        side.store("x", 1)
        return _values(before, side.load("x"))

    assert _outcomes(body) == {((0, 1),)}


@pytest.mark.parametrize(("order", "forbidden"), [("full", True), ("release", False)])
def test_two_writers_of_two_words(order: str, forbidden: bool) -> None:
    """Versions of a word need not stand in the order in which they were stored: in both words the first store of one side may be the last version."""

    def write(first: str, second: str) -> Body:
        def run(side: Side) -> None:
            side.store(first, 1)
            side.fence(order)
            side.store(second, 2)

        return run

    def read(side: Side) -> tuple[int, ...]:
        return _values(side.load("x"), side.load("x"), side.load("y"), side.load("y"))

    found = {returned for *_, returned in _outcomes(write("x", "y"), write("y", "x"), read)}
    assert ((2, 1, 2, 1) not in found) == forbidden
    assert {(2, 1, 1, 2), (1, 2, 2, 1), (1, 2, 1, 2)} <= found


@pytest.mark.parametrize(("order", "forbidden"), [("full", True), ("acquire", False)])
def test_independent_reads_of_independent_writes(order: str, forbidden: bool) -> None:
    """Two readers agree on which of two words was stored first only by full fences."""

    def write(field: str) -> Body:
        return lambda side: side.store(field, 1)

    def read(first: str, second: str) -> Body:
        def run(side: Side) -> tuple[int, ...]:
            one = int(side.load(first, "acquire"))
            side.fence(order)
            return one, int(side.load(second, "acquire"))

        return run

    found = {(one, other) for *_, one, other in _outcomes(write("x"), write("y"), read("x", "y"), read("y", "x"))}
    assert (((1, 0), (1, 0)) not in found) == forbidden
    assert len(found) == 16 - forbidden


def test_a_release_is_passed_on() -> None:
    """Whoever sees it through a third sees what the first stored."""

    def first(side: Side) -> None:
        side.store("x", 1)
        side.store("y", 1, "release")

    def second(side: Side) -> int:
        return side.exchange("y", 2)

    def third(side: Side) -> tuple[int, ...]:
        return _values(side.load("y", "acquire"), side.load("x"))

    found = {(before, returned) for _, before, returned in _outcomes(first, second, third)}
    assert {returned for before, returned in found if before == 1} == {(0, 0), (0, 1), (1, 1), (2, 1)}
    assert (0, (2, 0)) in found


def test_locked_operations_count() -> None:
    """Nothing comes between what is read and what is stored, also not a store made later."""

    def swap(side: Side) -> int:
        return side.exchange("x", 1)

    def swap_two(side: Side) -> int:
        return side.exchange("x", 2)

    def store(side: Side) -> int:
        side.store("x", 3)
        return int(side.load("x"))

    assert _outcomes(swap, swap_two) == {(0, 1), (2, 0)}
    assert _outcomes(swap, store) == {(0, 3), (3, 3), (3, 1)}


def test_a_futex_compares_and_sleeps_at_once() -> None:
    def sleeper(side: Side) -> str:
        side.sleep_while(0)
        return "awake"

    def waker(side: Side) -> None:
        side.store("x", 1)
        side.wake()

    def late_waker(side: Side) -> None:
        side.wake()
        side.store("x", 1)

    assert _outcomes(sleeper, waker) == {("awake", None)}
    assert _outcomes(sleeper, late_waker) == {("awake", None), (ASLEEP, None)}


def test_who_wakes_somebody_sees_what_that_one_did_before_it_slept() -> None:
    def sleeper(side: Side) -> None:
        side.store("y", 1)
        side.sleep_while(0)

    def waker(side: Side) -> tuple[int, ...]:
        return side.wake(), int(side.load("y"))

    assert {returned for _, returned in _outcomes(sleeper, waker)} == {(0, 0), (0, 1), (1, 1)}


def test_private_words_are_no_business_of_the_model() -> None:
    processor = Processor()
    own = private(X_Y, x=5)

    def program() -> tuple[int, int]:
        record = processor.intrinsics["record_at"](processor.place(own), X_Y)
        processor.intrinsics["store_release"](record, "y", 7)
        return processor.intrinsics["load_acquire"](record, "x"), record.y

    executions = explore(processor, program=program)
    assert executions == ({((5, 7),)}, 1)
