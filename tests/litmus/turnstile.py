"""Two sides of a handshake as plain Python, each in a thread, that take their steps in exactly the order that a schedule says."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from threading import Condition, Thread
from typing import TypeVar

from tests.litmus.waiting import PATIENCE

Value = TypeVar("Value")


def schedules(one: int, other: int) -> Iterator[tuple[int, ...]]:
    """Every order in which a side of so many steps and another of so many can take them: 0 and 1 say whose turn it is."""
    for turns in combinations(range(one + other), one):
        yield tuple(0 if place in turns else 1 for place in range(one + other))


class Turnstile:
    """Lets one step be taken at a time. A side that sleeps or has ended is passed over, and what a schedule does not say goes in any order."""

    def __init__(self, schedule: Sequence[int]) -> None:
        self._turns = list(schedule)
        self._ended: set[int] = set()
        self._changed = Condition()
        self.asleep: set[int] = set()
        """Who fell asleep and was not woken."""
        self.sleeps = 0

    def step(self, side: int, act: Callable[[], Value]) -> Value:
        """Wait for the turn of this side, and act."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._whose() in (side, None), PATIENCE), "the schedule stands still"
            if self._turns:
                self._turns.pop(0)
            value = act()
            self._changed.notify_all()
            return value

    def sleep_if(self, side: int, condition: Callable[[], bool]) -> None:
        """As a futex: look, and fall asleep, in one step; until `wake`, or for ever."""

        def fall_asleep() -> None:
            if condition():
                self.asleep.add(side)
                self.sleeps += 1

        self.step(side, fall_asleep)
        with self._changed:
            assert self._changed.wait_for(lambda: side not in self.asleep or self._ended, PATIENCE)

    def wake(self, side: int, other: int) -> None:
        """Wake the other side, if it sleeps."""
        self.step(side, lambda: self.asleep.discard(other))

    def run(self, *sides: Callable[[], None]) -> None:
        """Let the sides run to their ends. Raises what a side raised."""
        errors: list[BaseException] = []

        def guarded(number: int, side: Callable[[], None]) -> None:
            try:
                side()
            except BaseException as error:  # noqa: BLE001
                errors.append(error)
            with self._changed:
                self._ended.add(number)
                self._changed.notify_all()

        threads = [Thread(target=guarded, args=(number, side)) for number, side in enumerate(sides)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for error in errors:
            raise error

    def _whose(self) -> int | None:
        while self._turns and self._turns[0] in self._ended | self.asleep:
            self._turns.pop(0)
        return self._turns[0] if self._turns else None
