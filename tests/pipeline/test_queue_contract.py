"""One suite for every queue and policy: what `pipeline.queue` says of all of them, and what each policy promises."""

from __future__ import annotations

import logging
import pickle
from functools import partial
from typing import Any

import pytest

from shm_exchange.domain.errors import Closed, ConfigError, Empty
from shm_exchange.pipeline import FifoQueue, LocalQueue, Policy, Queue, RingQueue
from tests.pipeline.queue_cases import Case, Item, Thread, assert_balanced, cases, is_blocked, number, until

MANY = 200


@cases()
def test_items_come_whole_and_in_order(case: Case) -> None:
    with case.make(8) as queue:
        producer, consumer = queue.producer(), queue.consumer()
        for n in range(5):
            assert producer.put(Item(n, n)) == (True, 0.0)
        assert queue.figures().size == queue.figures().high_water == 5
        assert number(consumer.get()) == 0
        assert [number(item) for item in consumer.get_many(2)] == [1, 2]
        assert [number(item) for item in consumer.get_many(100)] == [3, 4]
        assert (queue.figures().consumed, queue.figures().in_hand) == (3, 2)
        consumer.done()
        assert queue.figures()[3:9] == (0, 5, 5, 5, 0, 0)


@cases()
def test_nothing_in_time_is_not_the_end(case: Case) -> None:
    with case.make(2) as queue:
        consumer = queue.consumer()
        with pytest.raises(Empty):  # nobody has come yet
            consumer.get(0)
        producer = queue.producer()
        with pytest.raises(Empty):
            consumer.get(0.01)
        producer.put(Item(0, 0))
        producer.put(Item(1, 1))
        producer.close()
        producer.close()
        assert [number(item) for item in consumer] == [0, 1]
        with pytest.raises(Closed):
            consumer.get()
        with pytest.raises(Closed):
            producer.put(Item(0, 0))
        assert queue.figures().producers == 0


@cases()
def test_the_last_producer_ends_the_consumers(case: Case) -> None:
    with case.make(4, producers=2) as queue:
        consumer, first, second = queue.consumer(), queue.producer(), queue.producer()
        assert (queue.figures().producers, queue.figures().consumers) == (2, 1)
        first.put(Item(0, 0))
        first.close()
        assert number(consumer.get()) == 0
        with pytest.raises(Empty):
            consumer.get(0)
        waiting = Thread(consumer.get)
        second.close()
        with pytest.raises(Closed):
            waiting.result()


@cases()
def test_a_producer_without_consumers_is_told(case: Case) -> None:
    with case.make(1) as queue:
        producer = queue.producer()
        assert producer.put(Item(0, 0)).accepted  # before the first consumer came
        queue.consumer().close()
        with pytest.raises(Closed):
            producer.put(Item(0, 1))
        consumer = queue.consumer()  # another may come
        assert number(consumer.get()) == 0
        consumer.done()
        assert producer.put(Item(0, 2)).accepted
        consumer.close()
        consumer.close()
        with pytest.raises(Closed):
            consumer.get()


@cases(lambda case: case.waits)
def test_a_waiting_producer_is_told(case: Case) -> None:
    with case.make(1) as queue:
        producer, consumer = queue.producer(), queue.consumer()
        producer.put(Item(0, 0))
        waiting = Thread(lambda: producer.put(Item(0, 1)))
        until(lambda: is_blocked(queue))
        consumer.close()
        with pytest.raises(Closed):
            waiting.result()
        assert queue.figures().blocked_seconds > 0


@cases(lambda case: case.waits)
def test_put_says_how_long_it_waited(case: Case) -> None:
    with case.make(1) as queue:
        producer, consumer = queue.producer(), queue.consumer()
        producer.put(Item(0, 0))
        waiting = Thread(lambda: producer.put(Item(0, 1)))
        until(lambda: is_blocked(queue))
        consumer.get()
        consumer.done()
        put = waiting.result()
        assert put.accepted
        assert put.blocked_seconds > 0
        assert queue.figures().blocked_seconds == pytest.approx(put.blocked_seconds, rel=0.5)


@cases(lambda case: case.waits)
def test_a_slow_consumer_loses_nothing(case: Case) -> None:
    with case.make(4) as queue:
        producer, consumer = queue.producer(), queue.consumer()

        def produce() -> None:
            with producer:
                for n in range(MANY):
                    producer.put(Item(0, n))

        producing = Thread(produce)
        until(lambda: is_blocked(queue))
        assert [number(item) for item in consumer] == list(range(MANY))
        producing.result()
        figures = queue.figures()
        assert_balanced(figures)
        assert (figures.consumed, figures.dropped, figures.high_water) == (MANY, 0, 4)


@cases(lambda case: not case.waits)
def test_a_slow_consumer_gets_what_is_promised(case: Case) -> None:
    """Ten are put for each one that is taken."""
    with case.make(4) as queue:
        producer, consumer = queue.producer(), queue.consumer()
        accepted, got = [], []
        for n in range(MANY):
            if producer.put(Item(n % 4, n)).accepted:
                accepted.append(n)
            if n % 10 == 9:
                got.append(number(consumer.get()))
                assert_balanced(queue.figures())
        producer.close()
        got += [number(item) for item in consumer]
        figures = queue.figures()
        assert_balanced(figures)
        assert (figures.produced, figures.consumed, figures.high_water, figures.size) == (MANY, len(got), 4, 0)
        if case.policy is Policy.TIMEOUT:
            assert got == accepted
            assert figures.dropped == MANY - len(accepted) > 0
        elif case.policy is Policy.DROP_OLDEST:
            assert got[:-4] == list(range(6, MANY - 4, 10))
            assert figures.dropped == MANY - len(got)
        else:
            assert {n % 4: n for n in got} == {n % 4: n for n in range(MANY - 4, MANY)}
            assert figures.conflated == MANY - len(got)
        if case.policy is not Policy.TIMEOUT:
            assert sorted(got[-4:]) == list(range(MANY - 4, MANY))  # the newest are kept


@cases(lambda case: case.policy is Policy.TIMEOUT)
def test_a_put_gives_up_when_told(case: Case) -> None:
    with case.make(1, write_timeout=1000.0) as queue:
        producer = queue.producer()
        producer.put(Item(0, 0))
        put = producer.put(Item(0, 1), timeout=0.01)
        assert not put.accepted
        assert put.blocked_seconds >= 0.01
        assert (queue.figures().dropped, queue.figures().size) == (1, 1)
        waiting = Thread(lambda: producer.put(Item(0, 2)))
        until(lambda: is_blocked(queue))
        consumer = queue.consumer()
        assert number(consumer.get()) == 0
        assert waiting.result().accepted


@cases(lambda case: case.waits)
def test_credit_counts_what_is_in_hand(case: Case) -> None:
    with case.make(2) as queue:
        producer, consumer = queue.producer(), queue.consumer()
        for n in range(2):
            producer.put(Item(0, n))
        consumer.get()
        waiting = Thread(lambda: producer.put(Item(0, 2)))
        if case.policy is Policy.CREDIT:
            until(lambda: is_blocked(queue))
            assert queue.figures().produced == 2
            consumer.done()
        assert waiting.result().accepted


@cases(lambda case: case.policy is Policy.CONFLATE)
def test_each_key_waits_once_in_the_place_of_its_first(case: Case) -> None:
    with case.make(3) as queue:
        producer, consumer = queue.producer(), queue.consumer()
        for key, n in ((1, 0), (2, 1), (1, 2), (3, 3), (2, 4), (1, 5)):
            producer.put(Item(key, n))
        assert (queue.figures().size, queue.figures().conflated) == (3, 3)
        with pytest.raises(ConfigError, match="3 different keys"):
            producer.put(Item(4, 6))
        assert number(consumer.get()) == 5
        producer.put(Item(1, 7))  # what is in hand is not replaced
        assert [number(item) for item in consumer.get_many(9)] == [4, 3, 7]
        consumer.done()
        producer.put(Item(4, 8))  # there is room for other keys now
        assert number(consumer.get()) == 8
        consumer.done()
        assert_balanced(queue.figures())


@cases()
def test_many_at_once(case: Case) -> None:
    with case.make(50) as queue:
        producer, consumer = queue.producer(), queue.consumer()
        assert producer.put_many(Item(n, n) for n in range(50)) == 50
        assert [number(item) for item in consumer.get_many(1000)] == list(range(50))
        consumer.done()
        assert producer.put_many([]) == 0
        if case.policy is Policy.TIMEOUT:
            assert producer.put_many([Item(n, n) for n in range(53)]) == 50
            assert queue.figures().dropped == 3
        with pytest.raises(ConfigError):
            consumer.get_many(0)


@cases(lambda case: case.policy is Policy.BLOCK)
def test_threads_each_in_order(case: Case) -> None:
    with case.make(8, producers=2) as queue:
        consumer = queue.consumer()

        def produce(producer: Any, key: int) -> None:
            with producer:
                for n in range(MANY):
                    producer.put(Item(key, n))

        threads = [Thread(partial(produce, queue.producer(), key)) for key in (0, 1)]
        got = [(int(item[0]), number(item)) for item in consumer]
        for thread in threads:
            thread.result()
        for key in (0, 1):
            assert [n for k, n in got if k == key] == list(range(MANY))


@cases(lambda case: case.policy in (Policy.TIMEOUT, Policy.DROP_OLDEST))
def test_drops_are_warned_of_once_a_burst(case: Case, caplog: pytest.LogCaptureFixture) -> None:
    with case.make(1) as queue, caplog.at_level(logging.WARNING):
        producer, consumer = queue.producer(), queue.consumer()
        for n in range(20):
            producer.put(Item(0, n))
        consumer.get()
        assert queue.figures().dropped == 19
    (record,) = caplog.records
    assert "queue numbers" in record.getMessage()
    assert "drops items" in record.getMessage()


@cases(lambda case: case.kind != "local")
def test_its_address_travels(case: Case) -> None:
    with case.make(4) as queue:
        queue.producer().put(Item(0, 7))
        address = pickle.loads(pickle.dumps(queue.address()))
        with address.opened() as other:
            assert (other.name, other.maxsize, other.policy) == (queue.name, queue.maxsize, queue.policy)
            consumer = other.consumer()
            assert number(consumer.get()) == 7
            assert (queue.figures().in_hand, queue.figures().consumers) == (1, 1)
            again = pickle.loads(pickle.dumps(other.address()))
    with pytest.raises(Closed):
        again.opened()
    with pytest.raises(Closed):
        address.opened()
    with pytest.raises(Closed):
        queue.address()


@cases()
def test_what_is_closed_stays_closed(case: Case) -> None:
    queue = case.make(4)
    producer, consumer = queue.producer(), queue.consumer()
    producer.put(Item(0, 0))
    queue.close()
    queue.close()
    for use in (lambda: producer.put(Item(0, 0)), consumer.get, queue.producer, queue.consumer):
        with pytest.raises(Closed):
            use()
    consumer.done()


@cases(lambda case: case.policy is not Policy.TIMEOUT)
def test_only_policy_timeout_takes_a_timeout(case: Case) -> None:
    with case.make(4) as queue, pytest.raises(ConfigError, match="no put gives up"):
        queue.producer().put(Item(0, 0), timeout=1.0)


def test_one_interface() -> None:
    assert all(issubclass(kind, Queue) for kind in (RingQueue, FifoQueue, LocalQueue))
