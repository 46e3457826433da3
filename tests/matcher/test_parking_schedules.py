"""The parking handshakes, in every order of their steps: whoever goes to sleep had nothing to do, or is woken.

A sleeper of the model sleeps for ever: without the backstop of the real one, a lost wake-up is a lost order. Fences have no effect here, where memory
is seen in order; that they are there, and real, is shown in test_compiled.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from shm_exchange._jit import INTERPRETED
from shm_exchange.client import waiting
from shm_exchange.layout.headers import PARKED, REPORT_TAIL
from shm_exchange.layout.records import REPORT
from shm_exchange.matcher import loop, step, sweep
from shm_exchange.ring import lane as ring_lane
from shm_exchange.ring import reports as ring_reports
from tests.litmus.interleave import nothing, plain
from tests.litmus.turnstile import Turnstile, schedules
from tests.matcher.rig import rigged
from tests.ring.lanes import new_lane

GATEWAY, MATCHER = 0, 1

pytestmark = pytest.mark.skipif(INTERPRETED, reason="a matcher is never interpreted")


class Side:
    """The shared words as one side uses them: every use is a step."""

    def __init__(self, turnstile: Turnstile, number: int) -> None:
        self._turnstile, self._number = turnstile, number

    def load(self, record: Any, field: str) -> int:
        return self._turnstile.step(self._number, lambda: int(record[field]))

    def store(self, record: Any, field: str, value: int) -> None:
        self._turnstile.step(self._number, lambda: record.__setitem__(field, value))

    def exchange(self, record: Any, field: str, value: int) -> int:
        def act() -> int:
            before = int(record[field])
            record[field] = value
            return before

        return self._turnstile.step(self._number, act)

    def sleep_on(self, parked: np.ndarray) -> Any:
        """futex_wait on this word."""
        return lambda *_: self._turnstile.sleep_if(self._number, lambda: parked["parked"][0] == 1)

    def wake(self, other: int) -> Any:
        """futex_wake of that side."""
        return lambda *_: self._turnstile.wake(self._number, other)

    @property
    def hooks(self) -> dict[str, Any]:
        """For `plain`."""
        words = dict.fromkeys(("load_acquire", "load_relaxed"), self.load) | dict.fromkeys(("store_relaxed", "store_release"), self.store)
        return words | {"exchange": self.exchange, "fetch_or": self.exchange, "fence_full": nothing, "pause": nothing}


def _submit_while_parking(schedule: tuple[int, ...], rig: Any) -> tuple[bool, bool, int]:
    """One order of steps of `submit` and `_park`; whether the matcher sleeps in the end, whether it has seen the command, and how often it slept."""
    turnstile = Turnstile(schedule)
    gateway, matcher = Side(turnstile, GATEWAY), Side(turnstile, MATCHER)
    lane = new_lane(4)
    producer = lane.producer()
    words = {0: producer[0], 1: lane.activity[0], 2: lane.parked[0]}
    producer[0].activity, producer[0].parked = 1, 2
    hooks = gateway.hooks | {
        "record_at": lambda address, _: words[int(address)],
        "_has_room": lambda *_: True,
        "_put": lambda *_: gateway.store(lane.slots[1], "number", 1),  # the payload is nobody's business here
        "futex_wake": gateway.wake(MATCHER),
    }
    submit = plain(ring_lane.submit, **hooks, _announce=plain(ring_lane._announce, **hooks))
    seen: list[bool] = []

    def look(*_: Any) -> int:
        found = matcher.load(lane.slots[1], "number") == 1
        seen.append(found)
        return int(sweep.READY if found else sweep.NOTHING)

    memory = rig.bundles.memory._replace(parked=lane.parked)
    park = plain(loop._park, **matcher.hooks, look_at_all=look, futex_wait=matcher.sleep_on(lane.parked))
    turnstile.run(lambda: submit(0, 0, 0, 0, 0, 0), lambda: park(memory, rig.bundles.policy, rig.bundles.outputs, rig.bundles.log))
    return MATCHER in turnstile.asleep, any(seen), turnstile.sleeps


def test_a_command_is_never_left_to_a_sleeping_matcher() -> None:
    """Gateway: number, bit, mark, parked, exchange, wake. Matcher: parked, look, stop, sleep, exchange, look."""
    with rigged() as rig:
        outcomes = {_submit_while_parking(schedule, rig) for schedule in schedules(6, 6)}
    assert outcomes == {(False, True, 0), (False, True, 1)}


def _report_while_parking(schedule: tuple[int, ...], rig: Any) -> tuple[bool, bool, int]:
    """The same of publishing, `_wake_parked` and `park_for_report`: whether the gateway sleeps, what it returned, and how often it slept."""
    turnstile = Turnstile(schedule)
    gateway, matcher = Side(turnstile, GATEWAY), Side(turnstile, MATCHER)
    reports, tail = np.zeros(4, REPORT).view(np.recarray), np.zeros(1, REPORT_TAIL).view(np.recarray)
    parked = np.zeros(2, PARKED).view(np.recarray)
    reader = np.zeros(1, ring_reports.READER).view(np.recarray)
    reader[0].next_report = 1
    memory = rig.bundles.memory._replace(parked=parked)
    outputs = rig.bundles.outputs
    outputs.state[0].touched, outputs.touched[0] = 1, 1
    wake = plain(step._wake_parked, **matcher.hooks, futex_wake=matcher.wake(GATEWAY))
    look = plain(ring_reports.await_report, **gateway.hooks)
    own = parked[1:]
    park = plain(waiting.park_for_report, **gateway.hooks, await_report=look, futex_wait=gateway.sleep_on(own))
    answers: list[bool] = []

    def publish() -> None:
        matcher.store(reports[1], "number", 1)
        matcher.store(tail[0], "tail", 2)
        wake(memory, outputs)

    turnstile.run(lambda: answers.append(park(reader, reports, tail, own, 10**9)), publish)
    outputs.state[0].touched = 0
    return GATEWAY in turnstile.asleep, answers[0], turnstile.sleeps


def test_a_report_is_never_left_to_a_sleeping_gateway() -> None:
    """Gateway: parked, look, look at the tail, sleep, exchange, look. Matcher: number, tail, parked, exchange, wake."""
    with rigged() as rig:
        outcomes = {_report_while_parking(schedule, rig) for schedule in schedules(6, 5)}
    assert outcomes == {(False, True, 0), (False, True, 1)}
