"""The feed client against servers on this machine: subscription, back-off, frames of all kinds, slow and vanished consumers."""

from __future__ import annotations

import asyncio
import json
import logging
from itertools import islice
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from shm_exchange.domain.errors import ConfigError, ExchangeError, MissingExtra
from shm_exchange.pipeline.feed_client import FeedClient
from shm_exchange.pipeline.feed_connection import FRAME_BYTES_MAX, BackOff
from shm_exchange.pipeline.feed_server import FeedServer
from shm_exchange.pipeline.feed_source import START_NS, random_ticks, ticks_at
from shm_exchange.pipeline.queue import Put
from shm_exchange.pipeline.tick import Tick
from tests.pipeline.feed_parts import WATCHDOG_SECONDS, Kept, Naps, feeding, hold, scripted, send_ticks, stay

if TYPE_CHECKING:
    pass

_ACCEPTED = Put(True, 0.0)
TICKS = ticks_at("BTC", [1.0, 2.0, 3.0])
SECRET = "s3cret-key"  # noqa: S105 (of nothing)


def test_it_subscribes_and_feeds() -> None:
    async def act() -> None:
        output = Kept()
        async with FeedServer(random_ticks(["BTC", "ETH", "XRP"], 1, 1000, start_ns=START_NS), rate=1000, burst=10) as server:
            client = FeedClient(server.url, ["BTC", "XRP"], output)
            async with feeding(client):
                await output.until(40)
                assert client.figures().connected
        figures = client.figures()
        source = islice(random_ticks(["BTC", "ETH", "XRP"], 1, 1000, start_ns=START_NS), 1000)
        wanted = [tick for tick in source if tick.symbol != "ETH"]
        assert output.ticks == wanted[: len(output.ticks)]
        assert output.closes == 1
        assert figures.ticks == len(output.ticks)
        assert figures.frames >= figures.ticks + 1, "the answer is a frame too"
        assert figures[:4] == (False, 1, 0, 0)
        assert figures[5] == figures[7] == figures[8] == figures[9] == 0

    asyncio.run(act())


def test_back_off_doubles_to_a_minute_and_begins_anew() -> None:
    back_off = BackOff(Random(1))
    expected = Random(1)
    for limit in (1, 2, 4, 8, 16, 32, 60, 60):
        assert back_off.limit == limit
        assert back_off.next_seconds() == expected.uniform(0, limit)
    back_off.reset()
    assert back_off.limit == 1


def test_a_server_that_is_down_is_asked_again_ever_later() -> None:
    async def act() -> None:
        naps = Naps(8)
        async with FeedServer([]) as server:
            url = server.url
        client = FeedClient(url, ["BTC"], Kept(), random=Random(7), sleep=naps)
        async with feeding(client):
            await naps.is_enough.wait()
        expected = Random(7)
        assert naps.seconds == [expected.uniform(0, limit) for limit in (1, 2, 4, 8, 16, 32, 60, 60)]
        assert client.figures().failures == 8
        assert client.figures().connects == 0

    asyncio.run(act())


def test_only_a_good_frame_resets_the_back_off() -> None:
    """Connections that break at once, a bad frame in each: ever later. One with a tick: from the beginning."""

    async def act() -> None:
        count = 0

        async def talk(socket: Any) -> None:
            nonlocal count
            count += 1
            if count == 4:
                await send_ticks(socket)
            for frame in ("no tick", "[]"):
                await socket.send(frame)

        naps, output = Naps(6), Kept()
        async with scripted(talk) as url:
            client = FeedClient(url, ["BTC"], output, random=Random(3), sleep=naps)
            async with feeding(client):
                await naps.is_enough.wait()
        expected = Random(3)
        assert naps.seconds == [expected.uniform(0, limit) for limit in (1, 2, 4, 1, 2, 4)]
        assert output.ticks == TICKS
        figures = client.figures()
        assert (figures.connects, figures.reconnects, figures.bad_frames, figures.gaps, figures.missed) == (6, 5, 6, 5, 0)

    asyncio.run(act())


def test_bad_frames_are_counted_and_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    async def act() -> None:
        async def talk(socket: Any) -> None:
            for frame in (json.dumps({"symbol": SECRET * 2}), "{", b"\xff", '{"symbol": "BTC"}', "[]"):
                await socket.send(frame)
            await send_ticks(socket)
            await stay(socket)

        output = Kept()
        async with scripted(talk) as url:
            client = FeedClient(url, ["BTC"], output, api_key=SECRET)
            async with feeding(client):
                await output.until(3)
        assert client.figures().bad_frames == 4
        assert client.figures().reconnects == 0
        assert output.ticks == TICKS

    with caplog.at_level(logging.INFO):  # this server of the test writes down what it sends below it
        asyncio.run(act())
    assert caplog.text.count("passed over") == 1
    assert "***" in caplog.text
    assert SECRET not in caplog.text


def test_a_frame_that_is_too_big_ends_the_connection_not_the_feed() -> None:
    async def act() -> None:
        count = 0

        async def talk(socket: Any) -> None:
            nonlocal count
            count += 1
            await (socket.send("x" * (FRAME_BYTES_MAX + 1)) if count == 1 else send_ticks(socket))
            await stay(socket)

        output = Kept()
        async with scripted(talk) as url:
            client = FeedClient(url, ["BTC"], output, sleep=Naps())
            async with feeding(client):
                await output.until(3)
        assert (client.figures().bad_frames, client.figures().reconnects) == (1, 1)

    asyncio.run(act())


def test_parse_is_replaceable_and_may_raise() -> None:
    def parse(frame: str | bytes) -> Any:
        content = json.loads(frame)
        return {"none": None, "many": TICKS, "one": TICKS[0], "wrong": "text"}[content]

    async def act() -> None:
        async def talk(socket: Any) -> None:
            for word in ("none", "unknown", "wrong", "many", "one"):
                await socket.send(json.dumps(word))
            await stay(socket)

        output = Kept()
        async with scripted(talk) as url:
            client = FeedClient(url, ["BTC"], output, parse=parse)
            async with feeding(client):
                await output.until(4)
        assert output.ticks == [*TICKS, TICKS[0]]
        assert client.figures().bad_frames == 2

    asyncio.run(act())


def test_sequences_tell_what_is_missing() -> None:
    async def act() -> None:
        firsts = iter((1, 8, 1))

        async def talk(socket: Any) -> None:
            if first := next(firsts, 0):
                await send_ticks(socket, first=first)
            else:
                await stay(socket)

        output = Kept()
        async with scripted(talk) as url:
            client = FeedClient(url, ["BTC"], output, sleep=Naps())
            async with feeding(client):
                await output.until(9)
                await hold(lambda: client.figures().connects >= 4)
        assert (client.figures().gaps, client.figures().missed) == (3, 4), "8 after 3: four are missing; 1 after 10: a feed that began anew"

    asyncio.run(act())


def test_ticks_that_find_no_room_are_dropped_in_time_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    async def act() -> None:
        async def talk(socket: Any) -> None:
            await send_ticks(socket, TICKS * 20)
            await stay(socket)

        output = Kept(room=5)
        async with scripted(talk) as url:
            client = FeedClient(url, ["BTC"], output, write_timeout=0.05)
            async with feeding(client):
                await hold(lambda: client.figures().dropped >= 55)
                assert client.figures().connected, "the socket is read on"
        assert output.ticks == (TICKS * 20)[:5]
        assert (client.figures().ticks, client.figures().dropped) == (5, 55)

    with caplog.at_level(logging.WARNING, "shm_exchange"):
        asyncio.run(act())
    assert caplog.text.count("dropped") == 1


def test_what_has_arrived_is_put_before_it_ends() -> None:
    async def act() -> None:
        async def talk(socket: Any) -> None:
            await send_ticks(socket, TICKS * 10)
            await stay(socket)

        output = Kept(room=0)
        async with scripted(talk) as url:
            client = FeedClient(url, ["BTC"], output, write_timeout=WATCHDOG_SECONDS)
            async with feeding(client) as task:
                await hold(lambda: client.figures().frames >= 31)
                client.stop()
                await output.change(room=None)
                await task
        assert output.ticks == TICKS * 10
        assert output.closes == 1

    asyncio.run(act())


def test_it_ends_when_nobody_takes_any_more() -> None:
    async def act() -> None:
        output = Kept()
        async with FeedServer(random_ticks(["BTC"]), rate=2000) as server, feeding(FeedClient(server.url, ["BTC"], output)) as task:
            await output.until(3)
            await output.change(room=None, is_gone=True)
            await task
        assert output.closes == 1

    asyncio.run(act())


def test_in_a_thread_of_its_own() -> None:
    async def act() -> None:
        ticks: list[Tick] = []

        async def put(tick: Tick) -> Any:
            ticks.append(tick)
            return await asyncio.sleep(0, _ACCEPTED)

        async with FeedServer(random_ticks(["BTC"]), rate=2000) as server:
            with FeedClient(server.url, ["BTC"], put) as client:
                with pytest.raises(ConfigError, match="started before"):
                    client.start()
                await hold(lambda: len(ticks) >= 10)
                figures = await asyncio.to_thread(client.stop)
            assert figures.ticks == len(ticks) >= 10
        async with FeedServer([], api_key=SECRET) as server:
            client = FeedClient(server.url, ["BTC"], put, api_key="wrong").start()
            await hold(lambda: server.refused > 0)
            with pytest.raises(ExchangeError, match="refused us"):
                await asyncio.to_thread(client.stop)

    asyncio.run(act())


@pytest.mark.parametrize("url", ["", "http://x", "ws://", "127.0.0.1:1", "ws://x:99999", 7])
def test_addresses_that_are_none(url: Any) -> None:
    with pytest.raises(ConfigError, match="address of a feed"):
        FeedClient(url, ["BTC"], Kept())


def test_other_arguments_that_make_no_sense(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="write_timeout"):
        FeedClient("ws://127.0.0.1", ["BTC"], Kept(), write_timeout=-1)
    with pytest.raises(ConfigError, match="symbols"):
        FeedClient("ws://127.0.0.1", "BTC", Kept())  # type: ignore[arg-type]
    monkeypatch.setitem(__import__("sys").modules, "websockets.asyncio.client", None)
    with pytest.raises(MissingExtra, match=r"shm-exchange\[feed\]"):
        FeedClient("ws://127.0.0.1", ["BTC"], Kept())
