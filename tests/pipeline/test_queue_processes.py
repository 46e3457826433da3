"""Queues between processes, some of which are stopped, and some killed, at any moment."""

from __future__ import annotations

import pickle
import random
import signal
import subprocess
import time
from itertools import count, pairwise
from typing import Any

import numpy as np
import pytest

from shm_exchange.domain.errors import Closed, Empty
from shm_exchange.pipeline import FifoQueue, Policy, RingQueue
from shm_exchange.runtime.launch import launch
from tests.pipeline.queue_cases import Case, Item, Thread, assert_balanced, cases, number, until
from tests.pipeline.queue_processes import Child, Log, kill_myself, stop_myself

LIFE_SECONDS = 0.015
"""A child lives for so long at most."""
shared = cases(lambda case: case.kind != "local" and case.policy is Policy.BLOCK)
every_shared = cases(lambda case: case.kind != "local")
kills = pytest.mark.parametrize("kills", [15, pytest.param(150, marks=pytest.mark.long)])


@shared
def test_a_program_of_its_own(case: Case) -> None:
    with case.make(4) as queue, queue.producer() as producer:
        consumer = launch("tests.pipeline.queue_member", [pickle.dumps(queue.address()).hex()], stdout=subprocess.PIPE)
        for n in range(100):
            producer.put(Item(0, n))
        producer.close()
        assert consumer.communicate()[0].split() == [b"%d" % n for n in range(100)]
        assert consumer.returncode == 0
        assert queue.figures()[3:9] == (0, 4, 100, 100, 0, 0)


@kills
@shared
def test_producers_are_killed(case: Case, kills: int) -> None:
    """Whatever was put comes, in order and once; of a fifo, what died with the buffers is counted."""
    draw = random.Random(kills)
    with case.make(16, producers=2) as queue, queue.consumer() as consumer, queue.producer():  # the second keeps the queue open
        got: list[int] = []

        def produce() -> None:
            own = queue.address().opened()  # locks do not survive a fork
            producer, n = own.producer(), own.figures().produced
            while True:
                producer.put(Item(0, n))
                n += 1

        for _ in range(kills):
            child = Child(produce)
            ends = time.monotonic() + draw.uniform(0, LIFE_SECONDS)
            while time.monotonic() < ends:
                got += _there(consumer)
            assert child.kill() < 0
        while more := _there(consumer):
            got += more
        consumer.done()
        figures = queue.figures()
        assert_balanced(figures)
        assert (figures.size, figures.in_hand, figures.consumed) == (0, 0, len(got))
        assert got == sorted(set(got))
        if case.kind == "ring":
            assert got == list(range(figures.produced))
        assert figures.producers == 1


@kills
@shared
def test_consumers_are_killed(case: Case, kills: int) -> None:
    """A ring gives what was in hand to the next; a fifo counts it."""
    draw = random.Random(kills)
    log = Log(10_000_000)
    with case.make(16) as queue:
        producer = queue.producer()
        ended: list[bool] = []

        def produce() -> int:
            n = 0
            while not ended:
                try:
                    producer.put(Item(0, n))
                except Closed:
                    continue  # between two consumers
                n += 1
            producer.close()
            return n

        def consume() -> None:
            consumer = queue.consumer()
            while True:
                for item in consumer.get_many(3):
                    log.append(number(item))

        producing = Thread(produce)
        for _ in range(kills):
            child = Child(consume)
            time.sleep(draw.uniform(0, LIFE_SECONDS))
            assert child.kill() < 0
        last = Child(consume)
        ended.append(True)
        produced = producing.result()
        last.wait()
        figures = queue.figures()
        assert_balanced(figures)
        assert (figures.produced, figures.size, figures.in_hand) == (produced, 0, 0)
        got = log.values()
        if case.kind == "ring":
            assert sorted(set(got)) == list(range(produced))
            assert figures.dropped == 0
            assert len(got) - produced <= 3 * kills
            assert all(after <= before + 1 for before, after in pairwise(got))
        else:
            assert got == sorted(set(got))
            assert figures.consumed <= len(got) <= figures.consumed + figures.dropped


@kills
@cases(lambda case: case.kind == "ring" and not case.waits and case.policy is not Policy.TIMEOUT)
def test_the_newest_survives_every_kill(case: Case, kills: int) -> None:
    """Producers are killed while they overwrite: each item comes whole, in order, and the newest of what was put comes."""
    draw = random.Random(kills)
    with case.make(4, producers=2) as queue, queue.consumer() as consumer, queue.producer():
        got: list[Any] = []

        def produce() -> None:
            own = queue.address().opened()  # locks do not survive a fork
            producer, n = own.producer(), own.figures().produced
            while True:
                producer.put(Item(n % 4, n))
                n += 1

        for _ in range(kills):
            child = Child(produce)
            ends = time.monotonic() + draw.uniform(0, LIFE_SECONDS)
            while time.monotonic() < ends or queue.figures().produced < 4:
                got += _records(consumer)
            assert child.kill() < 0
        if case.policy is Policy.CONFLATE:
            queue.producer().close()  # a successor enters what was written and not entered
        while more := _records(consumer):
            got += more
        consumer.done()
        produced = queue.figures().produced
        assert_balanced(queue.figures())
        for key in range(4):
            numbers = [number(item) for item in got if item["key"] == key]
            assert numbers == sorted(set(numbers))
            assert {n % 4 for n in numbers} == {key}  # whole, too
            assert numbers[-1:] == [max(n for n in range(produced) if n % 4 == key)]


@every_shared
def test_a_killed_end_is_noticed(case: Case) -> None:
    with case.make(2) as queue:
        consumer = queue.consumer()

        def produce() -> None:
            queue.producer().put(Item(0, 0))
            kill_myself()

        assert Child(produce).wait() < 0
        assert number(consumer.get()) == 0
        with pytest.raises(Closed):
            consumer.get()
        consumer.close()
        producer = queue.producer()
        taken = Log(1)

        def consume() -> None:
            consumer = queue.consumer()
            taken.append(number(consumer.get()))
            kill_myself()

        child = Child(consume)
        until(lambda: queue.figures().consumers == 1)
        producer.put(Item(0, 1))
        assert child.wait() < 0
        with pytest.raises(Closed):
            producer.put_many(Item(0, n) for n in count(2))
        assert queue.figures().consumers == 0


@every_shared
def test_a_stopped_consumer_is_alive(case: Case) -> None:
    with case.make(2) as queue:
        producer = queue.producer()
        log = Log(100)

        def consume() -> None:
            with queue.consumer() as consumer:
                for item in consumer:
                    log.append(number(item))
                    if number(item) == 0:
                        stop_myself()

        producer.put(Item(0, 0))
        child = Child(consume)
        child.wait_until_stopped()
        putting = Thread(lambda: [producer.put(Item(n % 2, n)).accepted for n in range(1, 20)])
        until(lambda: not putting.is_alive() or queue.figures().blocked_seconds > 0)
        assert putting.is_alive() == case.waits
        assert (queue.figures().consumers, queue.figures().in_hand) == (1, 1)
        child.go_on()
        putting.result()
        producer.close()
        assert child.wait() == 0
        assert log.values()[:1] == [0]
        assert case.policy is Policy.TIMEOUT or 19 in log.values()[-2:]
        assert not case.waits or log.values() == list(range(20))
        assert_balanced(queue.figures())


class Killer:
    """Whoever calls faster-fifo does not come back."""

    def __getattr__(self, name: str) -> None:
        kill_myself()


def test_a_fifo_whose_member_was_killed_inside() -> None:
    """Its mutex would never be free again: the next who comes makes it anew, and the others go on."""
    with FifoQueue[Item]("numbers", 8) as queue:
        producer, consumer = queue.producer(), queue.consumer()

        def die_inside() -> None:
            memory = queue._memory
            memory.object[:] = [255] * len(memory.object)  # what a mutex that is held for ever may look like
            member: Any = queue.consumer()
            member._gate._fifo = Killer()
            member.get()

        for n in range(3):
            producer.put(Item(0, n))
        assert number(consumer.get()) == 0
        assert Child(die_inside).wait() == -signal.SIGKILL
        assert producer.put(Item(0, 3)).accepted
        assert number(consumer.get()) == 3
        consumer.done()
        figures = queue.figures()
        assert queue.recreated == 1
        assert (figures.produced, figures.consumed, figures.dropped, figures.consumers) == (4, 2, 2, 1)
        producer.put(Item(0, 4))
        assert queue.recreate() == 1
        with pytest.raises(Empty):
            consumer.get(0)
        assert_balanced(queue.figures())


def test_a_fifo_whose_member_is_stopped_inside() -> None:
    """Nobody waits for longer than was asked, and all goes on when it does."""
    with FifoQueue[Item]("numbers", 8, policy="timeout", write_timeout=0.01) as queue:
        producer, consumer = queue.producer(), queue.consumer()

        def stop_inside() -> None:
            member: Any = queue.producer()
            with member._gate.entered(float("inf")):
                stop_myself()

        child = Child(stop_inside)
        child.wait_until_stopped()
        assert not producer.put(Item(0, 0)).accepted
        with pytest.raises(Empty):
            consumer.get(0.01)
        child.go_on()
        assert child.wait() == 0
        assert producer.put(Item(0, 1)).accepted
        assert number(consumer.get()) == 1
        assert (queue.figures().produced, queue.figures().dropped, queue.recreated) == (2, 1, 0)


def _records(consumer: Any) -> list[Any]:
    try:
        items: list[Any] = consumer.get_many(64, 0)
    except Empty:
        return []
    return items


def _there(consumer: Any) -> list[int]:
    return [number(item) for item in _records(consumer)]


@pytest.mark.parametrize("policy", [Policy.DROP_OLDEST, Policy.CONFLATE])
def test_great_records_are_never_torn(policy: Policy, monkeypatch: pytest.MonkeyPatch) -> None:
    """One process overwrites as fast as it can what another copies, with no slot to spare."""
    monkeypatch.setattr("shm_exchange.pipeline.ring_layout._SLOTS_MIN", 2)
    dtype = np.dtype([("key", "i8"), ("numbers", "i8", (511,))])
    with RingQueue("great", dtype, 1, policy=policy, key="key" if policy is Policy.CONFLATE else None) as queue, queue.consumer() as consumer:

        def produce() -> None:
            producer = queue.producer()
            rows = np.zeros(100, dtype)
            while True:
                rows["numbers"] += np.arange(1, 101)[:, None]
                producer.put_many(rows)

        child = Child(produce)
        last = 0
        for _ in range(200):
            (row,) = consumer.get_array(1)["numbers"]
            assert row.min() == row.max()
            last = int(row[0])
        assert last > 0
        assert child.kill() < 0
