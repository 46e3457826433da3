"""Feeds that refuse us, redirect us, or are killed: what the client says, what it keeps to itself, and how it comes back."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from random import Random
from typing import Any

import pytest

from shm_exchange.domain.errors import ExchangeError
from shm_exchange.pipeline.feed_client import FeedClient
from shm_exchange.pipeline.feed_server import FeedServer
from shm_exchange.pipeline.feed_source import ticks_at
from tests.pipeline.feed_parts import Kept, Naps, ServerProcess, feeding, hold, scripted, stay

SECRET = "s3cret-key"  # noqa: S105 (of nothing)
TICKS = ticks_at("BTC", [1.0, 2.0, 3.0])


@pytest.mark.parametrize("key", [None, "wrong"])
def test_a_wrong_key_is_an_error_that_does_not_say_it(key: str | None) -> None:
    async def act() -> None:
        output = Kept()
        async with FeedServer([], api_key=SECRET) as server:
            client = FeedClient(server.url, ["BTC"], output, api_key=key)
            with pytest.raises(ExchangeError, match=r"refused us \(HTTP 401\)") as error:
                await client.run()
            assert "wrong" not in str(error.value)
            assert server.refused == 1
        assert output.closes == 1

    asyncio.run(act())


def test_the_right_key_is_sent_and_never_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def act() -> None:
        output = Kept()
        async with FeedServer(TICKS, api_key=SECRET) as server, feeding(FeedClient(server.url, ["BTC"], output, api_key=SECRET)):
            await output.until(3)
            await server.disconnect()

    with caplog.at_level(logging.DEBUG):
        asyncio.run(act())
    assert "is connected" in caplog.text
    assert SECRET not in caplog.text


def test_refusals_by_close_code_and_of_the_subscription() -> None:
    async def act() -> None:
        async def close(socket: Any) -> None:
            await socket.close(4401, "unauthorized")

        async def refuse(socket: Any) -> None:
            await socket.send('{"error": {"code": -32602, "message": "no symbol BTC"}, "id": 1}')
            await stay(socket)

        for talk, words in ((close, "close code 4401"), (refuse, "no symbol BTC")):
            async with scripted(talk) as url:
                with pytest.raises(ExchangeError, match=words):
                    await FeedClient(url, ["BTC"], Kept()).run()

    asyncio.run(act())


def test_redirects_are_not_followed_with_the_key() -> None:
    from websockets.asyncio.server import serve

    async def act() -> None:
        seen = []

        def redirect(target: str, connection: Any, request: Any) -> Any:
            seen.append(target)
            response = connection.respond(302, "elsewhere\n")
            response.headers["Location"] = target
            return response

        async with FeedServer([]) as other, serve(stay, "127.0.0.1", 0, process_request=partial(redirect, other.url)) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            naps = Naps(2)
            async with feeding(FeedClient(f"ws://127.0.0.1:{port}", ["BTC"], Kept(), api_key=SECRET, sleep=naps)):
                await naps.is_enough.wait()
            assert len(seen) == 2
            assert other.connects == 0

    asyncio.run(act())


def test_a_server_killed_and_restarted() -> None:
    async def act() -> None:
        output, naps = Kept(), Naps()
        server = await asyncio.to_thread(ServerProcess)
        try:
            client = FeedClient(f"ws://127.0.0.1:{server.port}", ["ETH"], output, random=Random(5), sleep=naps)
            async with feeding(client):
                await output.until(20)
                await asyncio.to_thread(server.kill)
                await hold(lambda: client.figures().failures >= 3)
                assert not client.figures().connected
                before = len(output.ticks)
                server = await asyncio.to_thread(ServerProcess, server.port)
                await output.until(before + 20)
        finally:
            await asyncio.to_thread(server.kill)
        figures = client.figures()
        assert {tick.symbol for tick in output.ticks} == {"ETH"}, "it subscribed again"
        assert output.ticks[before : before + 20] == output.ticks[:20], "the new server began anew"
        assert (figures.connects, figures.reconnects, figures.gaps) == (2, 1, 1)
        assert figures.dropped == figures.bad_frames == 0
        expected = Random(5)
        assert naps.seconds[:4] == [expected.uniform(0, limit) for limit in (1, 2, 4, 8)]

    asyncio.run(act())
