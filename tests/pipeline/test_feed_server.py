"""The local feed server: who may subscribe to what, bursts, breaks, slow clients, and an end."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from shm_exchange.domain.errors import ConfigError, ExchangeError
from shm_exchange.pipeline import feed_server
from shm_exchange.pipeline.feed_server import FeedServer
from shm_exchange.pipeline.feed_source import ticks_at
from shm_exchange.pipeline.feed_wire import subscribe_frame
from tests.pipeline.feed_parts import WATCHDOG_SECONDS

TICKS = [tick for pair in zip(ticks_at("A", range(10)), ticks_at("B", range(10)), strict=True) for tick in pair]


async def next_json(socket: Any) -> Any:
    async with asyncio.timeout(WATCHDOG_SECONDS):
        return json.loads(await socket.recv())


def test_a_subscription_gets_its_symbols_numbered() -> None:
    async def act() -> None:
        async with FeedServer(TICKS, rate=0) as server, connect(server.url, proxy=None) as socket:
            await socket.send(subscribe_frame(("B",), 7))
            assert await next_json(socket) == {"result": ["B"], "id": 7}
            got = [await next_json(socket) for _ in range(10)]
            assert [(tick["symbol"], tick["bid"], tick["sequence"]) for tick in got] == [("B", float(n), n + 1) for n in range(10)]
            await server.finished.wait()
            await (await socket.ping())  # the end of the source is not that of the connection
            assert server.sent == 10

    asyncio.run(act())


def test_without_symbols_all() -> None:
    async def act() -> None:
        async with FeedServer(TICKS, rate=0, burst=4) as server, connect(server.url, proxy=None) as socket:
            await socket.send(subscribe_frame(()))
            assert (await next_json(socket))["result"] == []
            assert [(await next_json(socket))["symbol"] for _ in range(20)] == ["A", "B"] * 10

    asyncio.run(act())


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ("{", -32600),
        ("[]", -32600),
        ('{"method": "sing", "params": {"symbols": []}, "id": 1}', -32600),
        ('{"method": "subscribe", "id": 1}', -32600),
        ('{"method": "subscribe", "params": {"symbols": "A"}, "id": 1}', -32602),
        ('{"method": "subscribe", "params": {"symbols": [1]}, "id": 1}', -32602),
    ],
)
def test_requests_that_make_no_sense_are_answered(frame: str, code: int) -> None:
    async def act() -> None:
        async with FeedServer(TICKS) as server, connect(server.url, proxy=None) as socket:
            await socket.send(frame)
            assert (await next_json(socket))["error"]["code"] == code
            await socket.send(subscribe_frame(("A",)))
            assert (await next_json(socket))["result"] == ["A"]

    asyncio.run(act())


def test_connections_end_after_so_many_frames_or_on_command() -> None:
    async def act() -> None:
        async with FeedServer(TICKS, rate=0, disconnect_after=3) as server, connect(server.url, proxy=None) as socket:
            await socket.send(subscribe_frame(("A",)))
            got = [await next_json(socket) for _ in range(4)]
            assert [part.get("sequence") for part in got] == [None, 1, 2, 3]
            with pytest.raises(ConnectionClosed) as closed:
                await next_json(socket)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1001
        async with FeedServer([]) as server, connect(server.url, proxy=None) as socket:
            await socket.send(subscribe_frame(("A",)))
            await next_json(socket)
            assert await server.disconnect() == 1
            with pytest.raises(ConnectionClosed) as closed:
                await next_json(socket)
            assert closed.value.rcvd is None

    asyncio.run(act())


def test_without_the_key_there_is_nothing() -> None:
    async def act() -> None:
        async with FeedServer(TICKS, api_key="right") as server:
            for headers in ({}, {"X-API-Key": "wrong"}, {"X-API-Key": "rightright"}):
                with pytest.raises(InvalidStatus, match="401"):
                    await connect(server.url, proxy=None, additional_headers=headers)
            async with connect(server.url, proxy=None, additional_headers={"X-API-Key": "right"}) as socket:
                await socket.send(subscribe_frame(("A",)))
                assert (await next_json(socket))["result"] == ["A"]
            assert (server.refused, server.connects) == (3, 1)

    asyncio.run(act())


def test_a_client_that_does_not_read_costs_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_server, "ROOM", 8)

    async def act() -> None:
        async with FeedServer(ticks_at("A", range(30_000)), rate=0, burst=30_000) as server, connect(server.url, proxy=None) as socket:
            await socket.send(subscribe_frame(("A",)))
            await next_json(socket)
            await server.finished.wait()
            assert server.skipped == 30_000 - 8
            numbers = [(await next_json(socket))["sequence"] for _ in range(8)]
            assert numbers == list(range(29_993, 30_001)), "the newest are kept"

    asyncio.run(act())


def test_clients_are_bounded_and_ports_are_taken_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_server, "CLIENTS_MAX", 1)

    async def act() -> None:
        async with FeedServer(TICKS) as server, connect(server.url, proxy=None) as first:
            await first.send(subscribe_frame(("A",)))
            await next_json(first)
            async with connect(server.url, proxy=None) as second:
                with pytest.raises(ConnectionClosed) as closed:
                    await next_json(second)
                assert closed.value.rcvd is not None
                assert closed.value.rcvd.code == 1013
            with pytest.raises(ExchangeError, match="another port"):
                await FeedServer(TICKS, port=server.port).start()

    asyncio.run(act())


@pytest.mark.parametrize("options", [{"rate": -1}, {"rate": float("nan")}, {"burst": 0}, {"burst": 1.5}, {"disconnect_after": 0}])
def test_options_that_make_no_sense(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        FeedServer(TICKS, **options)
