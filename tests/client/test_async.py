"""Event loops: woken by what comes, asleep without it, and left alone by everything else."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from typing import Any, TypeVar

import pytest

from shm_exchange import EventFeed, Gateway, MarketView, Side
from shm_exchange.domain.enums import EventKind
from shm_exchange.domain.errors import EventsLost, ExchangeError, HandleClosed, LaneFull, ReportsLost
from shm_exchange.supervisor.supervisor import Supervisor
from tests.litmus.exchanges import running, small_config, take
from tests.litmus.waiting import PATIENCE

Attach = Callable[..., Gateway]
BUY, SELL = Side
T = TypeVar("T")


def run(main: Coroutine[Any, Any, T]) -> T:
    async def bounded() -> T:
        async with asyncio.timeout(PATIENCE):
            return await main

    return asyncio.run(bounded())


async def first(iterator: AsyncGenerator[T, None], count: int) -> list[T]:
    """The first so many, and then the loop is left."""
    found = []
    async with aclosing(iterator) as entries:
        async for entry in entries:
            found.append(entry)
            if len(found) == count:
                break
    return found


async def until(condition: Callable[[], object]) -> None:
    while not condition():  # noqa: ASYNC110 (it is about another process, which sets no Event)
        await asyncio.sleep(0.0005)


def is_parked(exchange: Supervisor, gateway: Gateway) -> bool:
    return bool(exchange.segment.array("parked")[gateway.number].parked)


def test_a_task_sleeps_while_the_loop_goes_on_and_is_woken(exchange: Supervisor, attach: Attach) -> None:
    maker, taker = attach(), attach()

    async def main() -> None:
        maker.limit("ACME", SELL, "8.00", 20)
        async with asyncio.TaskGroup() as group:
            fills = group.create_task(first(maker.reports(), 21))
            for _ in range(20):
                await until(lambda: is_parked(exchange, maker))
                taker.limit("ACME", BUY, "8.00", 1)
                await first(taker.reports(), 2)
        assert [report.kind.name for report in fills.result()] == ["ACCEPTED"] + ["EXECUTED"] * 20
        assert [report.number for report in fills.result()] == list(range(fills.result()[0].number, fills.result()[-1].number + 1))

    run(main())
    assert not is_parked(exchange, maker)


def test_leaving_the_loop_loses_no_report(attach: Attach) -> None:
    gateway = attach()
    for _ in range(10):
        gateway.limit("ACME", BUY, "1.00", 1)

    async def main() -> list[int]:
        return [report.number for count in (3, 1, 6) for report in await first(gateway.reports(), count)]

    assert run(main()) == list(range(2, 12))


def test_a_report_is_delivered_when_the_next_is_asked_for(attach: Attach) -> None:
    gateway = attach()
    session = gateway.session

    async def main() -> None:
        for _ in range(3):
            gateway.limit("ACME", BUY, "1.00", 1)
        iterator = gateway.reports()
        assert [(await anext(iterator)).number for _ in range(2)] == [2, 3]
        head = gateway._head["head"][0]
        assert head == 3, "the second is not delivered yet"

    run(main())
    gateway.close()
    assert [report.number for report in take(attach(session), 1)] == [4]


def test_waiting_can_be_given_up_and_begun_again(exchange: Supervisor, attach: Attach) -> None:
    gateway = attach()

    async def main() -> None:
        for _ in range(20):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.001):
                    await gateway.wait_async()
            assert not is_parked(exchange, gateway), "outside an await nothing sleeps on the gateway's word"
        gateway.limit("ACME", BUY, "1.00", 1)
        assert await gateway.wait_async()
        assert len(gateway.poll()) == 1

    run(main())
    assert not gateway.wait(0)


def test_a_canceled_task_leaves_the_gateway_to_another_loop(exchange: Supervisor, attach: Attach) -> None:
    gateway = attach()

    async def canceled() -> None:
        task = asyncio.create_task(first(gateway.reports(), 1))
        await until(lambda: is_parked(exchange, gateway))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    for _ in range(3):
        run(canceled())
    gateway.limit("ACME", BUY, "1.00", 1)
    (report,) = run(first(gateway.reports(), 1))
    assert report.kind is EventKind.ACCEPTED


def test_one_task_waits_at_a_time(exchange: Supervisor, attach: Attach) -> None:
    gateway = attach()

    async def main() -> None:
        task = asyncio.create_task(gateway.wait_async())
        await until(lambda: is_parked(exchange, gateway))
        with pytest.raises(ExchangeError, match="another task waits on this handle already: let one task read"):
            await gateway.wait_async()
        gateway.limit("ACME", BUY, "1.00", 1)
        assert await task

    run(main())


def test_loops_in_several_threads(attach: Attach) -> None:
    gateways = [attach() for _ in range(3)]
    found: dict[str, list[int]] = {}

    def trade(gateway: Gateway) -> None:
        async def main() -> None:
            numbers = []
            for _ in range(30):
                gateway.limit("ACME", BUY, "1.00", 1)
                numbers += [report.number for report in await first(gateway.reports(), 1)]
            found[gateway.session] = numbers

        run(main())

    threads = [threading.Thread(target=trade, args=(gateway,)) for gateway in gateways]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert found == {gateway.session: list(range(2, 32)) for gateway in gateways}


def test_closing_ends_every_iteration(exchange: Supervisor, attach: Attach) -> None:
    gateway = attach()
    feed, view = EventFeed.attach(exchange.name), MarketView.attach(exchange.name, "ACME")
    handles = (gateway, feed, view)

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_count(iterator)) for iterator in (gateway.reports(), feed.events(), view.changes())]
            await until(lambda: all(handle._sleeper._job for handle in handles))
            for handle in handles:
                handle.close()
        assert [task.result() for task in tasks] == [0, 0, 1]

    run(main())
    with pytest.raises(HandleClosed, match="it was closed"):
        gateway.reports()
    assert run(_count(feed.events())) == run(_count(view.changes())) == 0
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("shm-exchange-sleeper")]


async def _count(iterator: AsyncGenerator[object, None]) -> int:
    count = 0
    async for _ in iterator:
        count += 1
    return count


def test_closing_inside_the_loop_ends_it(exchange: Supervisor, attach: Attach) -> None:
    gateway = attach()
    feed, view = EventFeed.attach(exchange.name), MarketView.attach(exchange.name, "ACME")
    for _ in range(3):
        gateway.limit("ACME", BUY, "1.00", 1)

    async def main(iterator: AsyncGenerator[object, None], close: Callable[[], None]) -> int:
        count = 0
        async for _ in iterator:
            count += 1
            close()
        return count

    for iterator, handle in ((gateway.reports(), gateway), (feed.events(), feed), (view.changes(), view)):
        assert run(main(iterator, handle.close)) == 1


def test_a_feed_tells_every_event_and_a_view_the_newest_picture(exchange: Supervisor, attach: Attach) -> None:
    gateway = attach()

    async def main() -> None:
        with EventFeed.attach(exchange.name) as feed, MarketView.attach(exchange.name, "FINE") as view:
            changes = view.changes(1)
            assert (await anext(changes)).bid is None
            async with asyncio.TaskGroup() as group:
                events = group.create_task(first(feed.events(), 30))
                for lots in range(1, 31):
                    await until(lambda: feed._sleeper._job or events.done())
                    gateway.limit("FINE", BUY, price_ticks=100, quantity=1)
                    depth = await anext(changes)
                    assert depth.bid is not None
                    assert depth.bid.quantity == lots
            numbers = [event.number for event in events.result()]
            assert numbers == list(range(numbers[0], numbers[0] + 30))

            for _ in range(10):
                gateway.limit("FINE", BUY, price_ticks=100, quantity=1)
            take(gateway, 40)
            depth = await anext(changes)
            assert depth.bid is not None
            assert depth.bid.quantity == 40, "what changed in between is skipped"
            assert await feed.wait_async()
            assert len(feed.poll_array()) == 10

    run(main())


def test_what_was_lost_is_raised_in_the_loop_and_the_next_goes_on() -> None:
    """Another session fills both rings while nobody reads."""
    with running(event_capacity=512) as exchange, EventFeed.attach(exchange.name) as feed:
        maker, taker = (Gateway.attach(exchange.name, session=session) for session in ("maker", "taker"))
        with maker, taker:
            maker.limit("ACME", SELL, "5.00", 1000)
            for _ in range(300):
                taker.limit("ACME", BUY, "5.00", 1)
                take(taker, 2)

            async def main() -> None:
                with pytest.raises(ReportsLost) as reports_lost:
                    await first(maker.reports(), 1000)
                with pytest.raises(EventsLost) as events_lost:
                    await first(feed.events(), 1)
                assert events_lost.value.first == 1
                maker.ack()
                taker.limit("ACME", BUY, "5.00", 1)
                assert (await first(maker.reports(), 1))[0].number == reports_lost.value.last + 1
                assert (await first(feed.events(), 1))[0].number == events_lost.value.last + 1

            run(main())


def test_who_is_slow_holds_up_only_itself(attach: Attach) -> None:
    """It does not acknowledge, so its lane is not served, so it cannot submit: and in the end nothing is missing."""
    gateway = attach(lane_full="raise")

    async def submit(count: int) -> None:
        for _ in range(count):
            while True:
                try:
                    gateway.limit("ACME", BUY, "1.00", 1)
                    break
                except LaneFull:
                    refusals.append(1)
                    await asyncio.sleep(0)

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(submit(600))
            numbers = []
            async with aclosing(gateway.reports()) as reports:
                async for report in reports:
                    numbers.append(report.number)
                    await asyncio.sleep(0)
                    if len(numbers) == 600:
                        break
        assert numbers == list(range(2, 602))

    refusals: list[int] = []
    run(main())
    assert refusals


def test_the_end_of_the_exchange_ends_every_iteration() -> None:
    """What was there before is handed out first."""
    with Supervisor(small_config()) as exchange:
        gateway = Gateway.attach(exchange.name, session="alice")
        feed, view = EventFeed.attach(exchange.name), MarketView.attach(exchange.name, "ACME")
        found: list[int] = []

        async def main() -> list[int]:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(_count(iterator)) for iterator in (gateway.reports(), feed.events(), view.changes())]
                await until(lambda: all(handle._sleeper._job for handle in (gateway, feed, view)))
                for _ in range(5):
                    gateway.limit("ACME", BUY, "1.00", 1)
                await asyncio.to_thread(exchange.verify)
                await asyncio.to_thread(exchange.stop)
            return [task.result() for task in tasks]

        found = run(main())
        assert found[:2] == [5, 5]
        assert 1 <= found[2] <= 6
        for handle in (gateway, feed, view):
            handle.close()
