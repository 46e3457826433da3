"""Every queue from an event loop."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from shm_exchange.domain.errors import Closed
from shm_exchange.pipeline import Policy, Queue
from tests.pipeline.queue_cases import Case, Item, assert_balanced, cases, number

MANY = 50


async def _turns(count: int) -> None:
    """Let others of the loop run; for those who poll, some of their naps."""
    for _ in range(count):
        await asyncio.sleep(0.001)


@cases(lambda case: case.waits)
def test_nothing_is_lost_between_tasks(case: Case) -> None:
    async def produce(queue: Queue[Any]) -> float:
        with queue.producer() as producer:
            return sum([(await producer.put_async(Item(0, n))).blocked_seconds for n in range(MANY)])

    async def run() -> None:
        with case.make(2) as queue:
            consumer = queue.consumer()
            producing = asyncio.create_task(produce(queue))
            assert [number(item) async for item in consumer] == list(range(MANY))
            assert await producing > 0
            assert_balanced(queue.figures())
            assert queue.figures().blocked_seconds > 0
            with pytest.raises(Closed):
                await consumer.get_async()

    asyncio.run(run())


@cases()
def test_a_cancelled_get_has_taken_nothing(case: Case) -> None:
    async def run() -> None:
        with case.make(2) as queue:
            producer, consumer = queue.producer(), queue.consumer()
            getting = asyncio.create_task(consumer.get_async())
            await _turns(3)
            await producer.put_async(Item(0, 0))
            getting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await getting
            assert number(await consumer.get_async()) == 0
            assert queue.figures().in_hand == 1

    asyncio.run(run())


@cases(lambda case: case.waits)
def test_a_cancelled_put_has_put_nothing(case: Case) -> None:
    async def run() -> None:
        with case.make(1) as queue:
            producer, consumer = queue.producer(), queue.consumer()
            await producer.put_async(Item(0, 0))
            putting = asyncio.create_task(producer.put_async(Item(0, 1)))
            await _turns(3)
            assert not putting.done()
            putting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await putting
            assert number(await consumer.get_async()) == 0
            consumer.done()
            await producer.put_async(Item(0, 2))
            assert number(await consumer.get_async()) == 2
            assert queue.figures().blocked_seconds > 0

    asyncio.run(run())


@cases(lambda case: not case.waits)
def test_those_that_do_not_wait(case: Case) -> None:
    async def run() -> None:
        with case.make(2) as queue:
            producer, consumer = queue.producer(), queue.consumer()
            accepted = [n for n in range(9) if (await producer.put_async(Item(n % 2, n))).accepted]
            producer.close()
            got = [number(item) async for item in consumer]
            assert got == (accepted if case.policy is Policy.TIMEOUT else [7, 8]) or (case.policy is Policy.CONFLATE and got == [8, 7])
            assert_balanced(queue.figures())

    asyncio.run(run())


@cases(lambda case: case.policy is Policy.BLOCK)
def test_a_task_and_a_thread(case: Case) -> None:
    async def run() -> None:
        with case.make(2) as queue:
            producer, consumer = queue.producer(), queue.consumer()

            def produce() -> None:
                with producer:
                    for n in range(MANY):
                        producer.put(Item(0, n))

            producing = asyncio.get_running_loop().run_in_executor(None, produce)
            assert [number(item) async for item in consumer] == list(range(MANY))
            await producing

    asyncio.run(run())
