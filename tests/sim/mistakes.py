"""Mistakes that a simulator must find: each takes one piece of a protocol out of its place."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import NamedTuple

import numpy as np
import pytest

from shm_exchange.client import departure, sessions
from shm_exchange.engine.apply import apply
from shm_exchange.engine.outputs import refresh_limit
from shm_exchange.layout.records import COMMAND, COMMAND_WORDS
from shm_exchange.matcher import recovery
from tests.sim.market import Gateway, some_commands
from tests.sim.matching import Matcher
from tests.sim.setting import Cast


class ReportsBeforeSnapshots(Matcher):
    """Whoever has seen a report finds an older book."""

    pieces = ("show_accounts", "show_events", "show_reports", "show_snapshots", "finish")


class HeadBeforeLog(Matcher):
    """A lane may be filled again although its commands are in no log."""

    stores = ("show_heads", "show_tail")


class TailsBeforeNumbers(Matcher):
    """What counts as done is not out."""

    pieces = ("finish_early", "show_accounts", "show_snapshots", "show_events", "show_reports", "finish")

    def finish_early(self) -> None:
        """Say that the batch is out."""
        self.memory.counters["commands"] = self.book.state["sequence"]


class NumberBeforePayload(Gateway):
    """The release store has become a plain one, and the processor was free to store it first."""

    def step(self, draw: random.Random) -> None:
        """Now and then a command whose number is out, and the rest not yet."""
        if self.lives and draw.random() < 0.2:
            self.begin_slot(some_commands(draw, self.number, int(self._truth.begun[self.number]), 1))
        else:
            super().step(draw)

    def begin_slot(self, command: np.ndarray) -> None:
        """The number without its payload; then it is stopped, or dies."""
        position = int(self._producer["position"][0])
        if position - int(self._segment.array("lane_heads")[self.number].head) < self._segment.config.lane_capacity:
            slots = self._own["lane"].view(np.ndarray)
            slots["number"][position & (len(slots) - 1)] = position
            self._producer["position"] += 1
            self._truth.note(self.number, command)


def _gate_of(memory, policy, outputs):
    """Nobody waits for the disk."""
    return memory.words["log_tail"][0]


def _repeating_recover(memory, policy, book, outputs, log, snapshots):
    """Redo what the dead had begun into the shared rings, whatever of it is out already."""
    past = recovery.past_of(memory, policy, outputs)
    outputs.sessions["unpublished"] = book.sessions["next_report"]
    outputs.sessions["skipped"] = memory.report_tails["skipped"]
    outputs.state["events_unpublished"] = book.state["next_event"]
    for session in range(1, len(outputs.sessions)):
        refresh_limit(outputs, session)
    apply(book, outputs, log, past.gate)
    recovery._publish_everything(memory, book, outputs, snapshots)
    recovery._take_up_lanes(memory, book, log, past.gate, past.tail)


def _depart_later(*_: object) -> bool:
    """Nobody says DISCONNECT before the next owner has the lane."""
    return False


class DepartsBehindTheLogon(Gateway):
    """The next owner logs on, and then says that the last one died."""

    def submit(self, commands: np.ndarray) -> None:
        """Its own commands, and behind the first of them what should have been there before."""
        super().submit(commands)
        if self._truth.due[self.number]:
            late = np.zeros(1, COMMAND)
            late.view(COMMAND_WORDS)["kinds"] = departure._DISCONNECT
            self._truth.due[self.number] = 0
            super().submit(late)


@contextmanager
def _nothing_replaced() -> Iterator[None]:
    yield


@contextmanager
def _recovery_repeats() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("shm_exchange.matcher.process.recover", _repeating_recover)
        yield


@contextmanager
def _nobody_departs() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sessions, "depart", _depart_later)
        yield


@contextmanager
def _nobody_waits() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.sim.matching.gate_of", _gate_of)
        yield


class Mistake(NamedTuple):
    """Who plays, what is replaced beside, a pattern in what must be noticed, and a seed from which on it is looked for."""

    cast: Cast
    replaced: Callable[[], AbstractContextManager[None]]
    found: str
    first_seed: int = 0


MISTAKES = {
    "reports published before snapshots": Mistake(Cast(ReportsBeforeSnapshots), _nothing_replaced, "snapshot"),
    "head published before the log": Mistake(Cast(HeadBeforeLog), _nothing_replaced, "head"),
    "done before it is out": Mistake(Cast(TailsBeforeNumbers), _nothing_replaced, "not out"),
    "release store dropped": Mistake(Cast(gateway=NumberBeforePayload), _nothing_replaced, "submitted at its position"),
    "publication repeated": Mistake(Cast(), _recovery_repeats, "event is gone|report was lost", first_seed=40),
    "DISCONNECT behind the next owner's LOGON": Mistake(Cast(gateway=DepartsBehindTheLogon), _nobody_departs, "new owner"),
    "answers before the disk": Mistake(Cast(), _nobody_waits, "durable"),
}
