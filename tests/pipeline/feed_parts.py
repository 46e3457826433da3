"""What the tests of feeds share: an output that a test reads, a server that is scripted frame by frame, and one in a process that can be killed.

As a program it is that process: `python -m tests.pipeline.feed_parts PORT` serves random ticks of BTC and ETH, and writes its port in a line.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

from websockets.exceptions import ConnectionClosed

from shm_exchange.domain.errors import Closed
from shm_exchange.pipeline.feed_server import FeedServer
from shm_exchange.pipeline.feed_source import START_NS, random_ticks, ticks_at
from shm_exchange.pipeline.feed_wire import tick_frame
from shm_exchange.pipeline.queue import Producer, Put
from tests.cli.programs import CHECKOUT, environment

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from shm_exchange.pipeline.feed_client import FeedClient
    from shm_exchange.pipeline.tick import Tick

WATCHDOG_SECONDS = 60.0
RATE = 500.0
_TICKS = ticks_at("BTC", [1.0, 2.0, 3.0])


async def hold(predicate: Callable[[], bool]) -> None:
    """Wait until something outside this loop's events has come true."""
    async with asyncio.timeout(WATCHDOG_SECONDS):
        while not predicate():  # noqa: ASYNC110 (it may change in another thread or process)
            await asyncio.sleep(0.001)


class Kept(Producer[Any]):
    """Takes ticks while its gate is open, for ever so many; tells who waits."""

    def __init__(self, room: int | None = None) -> None:
        self.ticks: list[Tick] = []
        self.room = room
        self.closes = 0
        self.is_gone = False
        self._changed = asyncio.Condition()

    def put(self, item: Any, timeout: float | None = None) -> Put:
        raise NotImplementedError

    async def put_async(self, item: Any) -> Put:
        async with self._changed:
            await self._changed.wait_for(lambda: self.is_gone or self.room is None or self.room > 0)
            if self.is_gone:
                raise Closed("nobody takes any more")
            if self.room is not None:
                self.room -= 1
            self.ticks.append(item)
            self._changed.notify_all()
        return Put(True, 0.0)

    async def until(self, count: int) -> None:
        """Wait for so many ticks in all."""
        async with asyncio.timeout(WATCHDOG_SECONDS), self._changed:
            await self._changed.wait_for(lambda: len(self.ticks) >= count)

    async def change(self, room: int | None, *, is_gone: bool = False) -> None:
        async with self._changed:
            self.room, self.is_gone = room, is_gone
            self._changed.notify_all()

    def close(self) -> None:
        self.closes += 1


class Naps:
    """Instead of asyncio.sleep: keeps how long was asked for, and lasts one turn of the loop."""

    def __init__(self, last: int | None = None) -> None:
        self.seconds: list[float] = []
        self.is_enough = asyncio.Event()
        self._last = last

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        if len(self.seconds) == self._last:
            self.is_enough.set()
            await asyncio.Event().wait()
        await asyncio.sleep(0.001)


@asynccontextmanager
async def scripted(talk: Callable[[Any], Awaitable[None]]) -> AsyncIterator[str]:
    """A server whose every connection is handled by `talk`, after its subscription was answered; gives its URL."""
    from websockets.asyncio.server import serve

    async def handle(socket: Any) -> None:
        request = json.loads(await socket.recv())
        await socket.send(json.dumps({"result": request["params"]["symbols"], "id": request["id"]}))
        await talk(socket)

    async with serve(handle, "127.0.0.1", 0) as server:
        yield f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"


@asynccontextmanager
async def feeding(client: FeedClient) -> AsyncIterator[asyncio.Task[None]]:
    """The client at work; stopped at the end of the block."""
    async with asyncio.timeout(WATCHDOG_SECONDS):
        task = asyncio.create_task(client.run())
        try:
            yield task
        finally:
            client.stop()
            await asyncio.wait((task,))


async def send_ticks(socket: Any, ticks: list[Tick] = _TICKS, first: int = 1) -> None:
    for sequence, tick in enumerate(ticks, first):
        await socket.send(tick_frame(tick, sequence))


async def stay(socket: Any) -> None:
    with suppress(ConnectionClosed):
        await socket.recv()


class ServerProcess:
    """A feed server in a process of its own."""

    def __init__(self, port: int = 0) -> None:
        command = [sys.executable, "-m", "tests.pipeline.feed_parts", str(port)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment(), cwd=CHECKOUT)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


async def _serve(port: int) -> None:
    async with FeedServer(random_ticks(["BTC", "ETH"], 1, RATE, start_ns=START_NS), port=port, rate=RATE) as server:
        print(server.port, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
