"""Every queue with every policy against a plain list, step by step in one thread."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from shm_exchange.domain.errors import Closed, Empty
from shm_exchange.pipeline import Policy
from tests.pipeline.queue_cases import Case, Item, assert_balanced, cases, number

KEYS = 3


class Model:
    """What waits, what is in hand, and what became of the rest."""

    def __init__(self, case: Case, maxsize: int) -> None:
        self.case, self.maxsize = case, maxsize
        self.waiting: list[Item] = []
        self.hand: list[Item] = []
        self.produced = self.consumed = self.dropped = self.conflated = 0
        self.was_redelivered = False

    @property
    def has_room(self) -> bool:
        in_hand = len(self.hand) if self.case.policy is Policy.CREDIT else 0
        return len(self.waiting) + in_hand < self.maxsize or not (self.case.waits or self.case.policy is Policy.TIMEOUT)

    def put(self, item: Item) -> None:
        self.produced += 1
        self.waiting.append(item)
        self._forget_old()

    def _forget_old(self) -> None:
        if self.case.policy is Policy.DROP_OLDEST:
            self.dropped += max(0, len(self.waiting) - self.maxsize)
            self.waiting = self.waiting[-self.maxsize :]
        elif self.case.policy is Policy.CONFLATE:
            newest = {item.key: item for item in self.waiting}  # in the order in which the keys first came
            self.conflated += len(self.waiting) - len(newest)
            self.waiting = list(newest.values())

    def refuse(self) -> None:
        self.produced += 1
        self.dropped += 1

    def take(self, numbers: list[int], limit: int) -> None:
        self.done()
        assert len(numbers) == min(limit, len(self.waiting))
        if self.case.policy is Policy.CONFLATE and self.was_redelivered:  # then keys come in any order
            self.waiting.sort(key=lambda item: item.number not in numbers)
            self.waiting[: len(numbers)] = sorted(self.waiting[: len(numbers)], key=lambda item: numbers.index(item.number))
        assert numbers == [item.number for item in self.waiting[:limit]]
        self.hand, self.waiting = self.waiting[:limit], self.waiting[limit:]

    def done(self) -> None:
        self.consumed += len(self.hand)
        self.hand = []

    def lose_consumer(self) -> None:
        if self.case.kind == "ring":
            self.was_redelivered |= bool(self.hand)
            self.waiting = self.hand + self.waiting
            self._forget_old()
        else:
            self.dropped += len(self.hand)
        self.hand = []


class Machine(RuleBasedStateMachine):
    case: Case

    @initialize(maxsize=st.integers(KEYS, 5))
    def start(self, maxsize: int) -> None:
        self.queue = self.case.make(maxsize)
        self.model = Model(self.case, maxsize)
        self.producer, self.consumer = self.queue.producer(), self.queue.consumer()
        self.next = 0

    @precondition(lambda self: self.model.has_room or not self.case.waits)
    @rule(key=st.integers(0, KEYS - 1))
    def put(self, key: int) -> None:
        self._put(Item(key, self.next))

    @precondition(lambda self: not self.case.waits)
    @rule(keys=st.lists(st.integers(0, KEYS - 1), max_size=12))
    def put_more(self, keys: list[int]) -> None:
        for key in keys:
            self._put(Item(key, self.next))

    def _put(self, item: Item) -> None:
        is_accepted = self.producer.put(item).accepted
        # A producer that had seen room before a ring's consumer was lost may still use it.
        had_seen_room = self.model.was_redelivered and len(self.model.waiting) < 2 * self.model.maxsize
        assert is_accepted == self.model.has_room or (is_accepted and had_seen_room)
        if is_accepted:
            self.model.put(item)
        else:
            self.model.refuse()
        self.next += 1

    @rule(limit=st.integers(1, 8))
    def get(self, limit: int) -> None:
        limit = min(limit, self.model.maxsize) if self.case.kind == "ring" else limit
        try:
            numbers = [number(item) for item in self.consumer.get_many(limit, 0)]
        except Empty:
            numbers = []
        self.model.take(numbers, limit)

    @rule()
    def done(self) -> None:
        self.consumer.done()
        self.model.done()

    @rule()
    def lose_consumer(self) -> None:
        self.consumer.close()
        self.model.lose_consumer()
        with pytest.raises(Closed):
            self.producer.put(Item(0, self.next))
        self.consumer = self.queue.consumer()

    @rule()
    def lose_producer(self) -> None:
        self.producer.close()
        self.producer = self.queue.producer()

    @invariant()
    def counts_are_right(self) -> None:
        if not hasattr(self, "queue"):
            return
        figures, model = self.queue.figures(), self.model
        assert_balanced(figures)
        assert (figures.size, figures.in_hand, figures.high_water) == (len(model.waiting), len(model.hand), max(figures.high_water, figures.size))
        counts: Any = (figures.produced, figures.consumed, figures.dropped, figures.conflated)
        assert counts == (model.produced, model.consumed, model.dropped, model.conflated)

    def teardown(self) -> None:
        if hasattr(self, "queue"):
            self.producer.close()
            try:
                while True:
                    self.get(8)
            except Closed:
                self.model.done()
            self.counts_are_right()
            assert not self.model.waiting
            self.queue.close()


@cases()
def test_against_a_list(case: Case, request: pytest.FixtureRequest) -> None:
    machine = type("Machine", (Machine,), {"case": case})
    examples = 300 if request.config.getoption("--long") else 12
    run_state_machine_as_test(machine, settings=settings(max_examples=examples, stateful_step_count=25))
