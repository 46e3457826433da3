"""Every execution of a few programs on the memory model: depth first, each state once.

A failure prints its steps and one command that takes exactly these steps again.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, NamedTuple

from tests.sim.memory_model import Memory, Move, State
from tests.sim.processor import Processor, Program

SCHEDULE = "MEMORY_MODEL_SCHEDULE"
"""Environment variable: the numbers of the moves to take, instead of all."""
ASLEEP = "asleep"
"""Outcome of a program that sleeps for ever."""

Outcome = tuple[Any, ...]
Check = Callable[..., object]


class Forbidden(AssertionError):
    """An execution that must not be."""


class Executions(NamedTuple):
    """What was found: all that the programs can return together, and how many states there are."""

    outcomes: set[Outcome]
    states: int


def explore(processor: Processor, check: Check | None = None, **programs: Program) -> Executions:
    """All executions of the named programs.

    A program fails by an assertion of its own, or when `check`, which gets what all of them returned, in their order, asserts. Raises Forbidden.
    """
    return _Search(processor, check, programs).run()


class _Search:
    def __init__(self, processor: Processor, check: Check | None, programs: dict[str, Program]) -> None:
        self._processor, self._check, self._programs = processor, check, programs
        self._memory = Memory()
        self._schedule = [int(number) for number in os.environ.get(SCHEDULE, "").split(",") if number]
        self._outcomes: set[Outcome] = set()
        self._way: list[Move] = []
        self._numbers: list[int] = []

    def run(self) -> Executions:
        start = self._memory.start(self._processor.initial, [self._processor.start(program) for program in self._programs.values()])
        known, places = {start}, [iter(self._moves(start))]
        while places:
            number, move = next(places[-1], (-1, None))
            if move is None:
                places.pop()
                if places:
                    self._way.pop()
                    self._numbers.pop()
                continue
            if move.after in known:
                continue
            known.add(move.after)
            self._way.append(move)
            self._numbers.append(number)
            places.append(iter(self._moves(move.after)))
        return Executions(self._outcomes, len(known))

    def _moves(self, state: State) -> list[tuple[int, Move]]:
        """The moves to try from a state, numbered; none at an end, which is judged here."""
        operations = [actor.node.operation for actor in state.actors]
        for name, operation in zip(self._programs, operations, strict=True):
            if operation.kind == "failed":
                self._fail(f"{name}: {_first_line(operation.value)}")
        moves = list(enumerate(self._memory.moves(state)))
        if not moves:
            ends = tuple(ASLEEP if actor.asleep else actor.node.operation.value for actor in state.actors)
            self._outcomes.add(ends)
            try:
                if self._check:
                    self._check(*ends)
            except AssertionError as error:
                self._fail(f"{_first_line(str(error))}\nat the end: {dict(zip(self._programs, ends, strict=True))}")
        depth = len(self._numbers)
        return [moves[self._schedule[depth]]] if depth < len(self._schedule) and moves else moves

    def _fail(self, what: str) -> None:
        names, width = list(self._programs), max(map(len, self._programs))
        steps = "\n".join(f"    {names[move.actor]:{width}}  {self._told(move)}" for move in self._way)
        numbers = ",".join(map(str, self._numbers))
        test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")[0]
        raise Forbidden(f"{what}\n{steps}\nagain: {SCHEDULE}={numbers} python -m pytest '{test}'")

    def _told(self, move: Move) -> str:
        operation = move.operation
        if operation.kind == "fence":
            return f"{operation.order} fence"
        word = self._processor.names[operation.location]
        if operation.kind == "store":
            return f"{operation.order} store {word} := {operation.value} (version {move.version})"
        if operation.kind == "locked":
            return f"{operation.order} locked {word}, which was {move.result}"
        if operation.kind == "wait":
            return f"futex wait on {word} == {operation.value}: " + ("goes on" if move.result == -1 else "asleep")
        if operation.kind == "wake":
            return f"futex wake on {word}: {move.result} sleeping"
        newest = len(move.after.memory[operation.location].messages) - 1
        return f"{operation.order} load {word} = {move.result} (version {move.version} of {newest})"


def _first_line(text: str) -> str:
    """What an assertion says, without what the test runner adds."""
    return text.split("\n", 1)[0]
