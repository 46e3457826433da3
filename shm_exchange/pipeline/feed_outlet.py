"""Between a socket and a bounded queue: whoever reads the socket never waits, so that pings are answered, and no tick waits for ever.

    reader ── offer ──▶ ticks with the moment they came ── run ──▶ put_async of the queue

A tick that the queue does not take within `write_timeout` of its arrival is dropped and counted. So memory is bounded by what can arrive in that
time, and by `room` in any case: beyond it the oldest go. A time-out for each put, instead of each tick, was rejected: behind a slow consumer the
reader would fall back by as much for every tick, its pong would lie behind them, and the connection would be taken for dead.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress

from shm_exchange.pipeline.queue import Put
from shm_exchange.pipeline.tick import Tick

ROOM = 65_536
_QUIET_SECONDS = 60.0
_log = logging.getLogger("shm_exchange.pipeline.feed")
PutAsync = Callable[[Tick], Awaitable[Put]]


class Outlet:
    """For one event loop. `accepted` and `dropped` count ticks."""

    def __init__(self, put: PutAsync, write_timeout: float, room: int = ROOM) -> None:
        self.accepted = self.dropped = 0
        self._put, self._write_timeout, self._room = put, write_timeout, room
        self._waiting: deque[tuple[float, Tick]] = deque()
        self._news = asyncio.Event()
        self._is_ending = False
        self._dropped_at = -math.inf

    def offer(self, tick: Tick) -> None:
        """Take a tick; never waits."""
        if len(self._waiting) >= self._room:
            self._waiting.popleft()
            self._drop()
        self._waiting.append((asyncio.get_running_loop().time() + self._write_timeout, tick))
        self._news.set()

    def end(self) -> None:
        """No more will be offered: `run` returns when what is there was put or dropped."""
        self._is_ending = True
        self._news.set()

    async def run(self) -> None:
        """Put until `end`. Raises Closed when nobody takes ticks any more; what is left is counted as dropped then."""
        try:
            while await self._is_there():
                deadline, tick = self._waiting.popleft()
                await self._put_until(deadline, tick)
        finally:
            self.dropped += len(self._waiting)
            self._waiting.clear()

    async def _is_there(self) -> bool:
        while not self._waiting:
            if self._is_ending:
                return False
            self._news.clear()
            await self._news.wait()
        return True

    async def _put_until(self, deadline: float, tick: Tick) -> None:
        put = Put(False, 0.0)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(deadline):
                    put = await self._put(tick)
        except BaseException:
            self.dropped += 1
            raise
        if put.accepted:
            self.accepted += 1
        else:
            self._drop()

    def _drop(self) -> None:
        """Count one; say so once, and again only after a minute without any."""
        self.dropped += 1
        now = asyncio.get_running_loop().time()
        if now > self._dropped_at + _QUIET_SECONDS:
            _log.warning("ticks of the feed found no room within %g s and are dropped, %d so far", self._write_timeout, self.dropped)
        self._dropped_at = now
