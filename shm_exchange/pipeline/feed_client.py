"""A feed of ticks over a WebSocket, for as long as it is wanted: whatever breaks is connected again and subscribed again, and what was missed counts.

    client = FeedClient("wss://feed.example/ticks", ["BTC"], queue.producer())
    await client.run()                 in an event loop
    client.start(); …; client.stop()   or in a thread of its own

Connections that break, servers that are down and frames that make no sense are counted and survived. A refusal is not: who is told that the key or
the symbols are wrong gets an error instead of asking for ever. Redirects are not followed, because the key would go along.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any, NamedTuple, Self

from shm_exchange.domain.errors import Closed, ConfigError, ExchangeError
from shm_exchange.pipeline.feed_connection import Address, BackOff
from shm_exchange.pipeline.feed_gaps import Gaps
from shm_exchange.pipeline.feed_key import ApiKey, checked_key
from shm_exchange.pipeline.feed_outlet import Outlet, PutAsync
from shm_exchange.pipeline.feed_wire import answer_in, checked_symbols, parse_tick, shown, subscribe_frame
from shm_exchange.pipeline.queue import Producer
from shm_exchange.pipeline.tick import Tick

_TOO_BIG = 1009
_REFUSED_STATUS = (401, 403)
_REFUSED_CODES = (4401, 4403)
_log = logging.getLogger("shm_exchange.pipeline.feed")

Parse = Callable[[str | bytes], Tick | list[Tick] | None]
Sleep = Callable[[float], Awaitable[Any]]


class FeedFigures(NamedTuple):
    """A feed client so far."""

    connected: bool
    connects: int
    """Connections that came to be."""
    reconnects: int
    """Of those all but the first."""
    failures: int
    """Attempts that came to nothing."""
    frames: int
    bad_frames: int
    """Those that `parse` did not take, or that were too big."""
    ticks: int
    """Accepted by the output."""
    dropped: int
    """Not accepted within write_timeout, or nobody was left to take them."""
    gaps: int
    """Times that something may be missing: every reconnect, and every jump of a sequence."""
    missed: int
    """Ticks that are missing for certain, as sequences tell."""


class FeedClient:
    """One connection to one feed, made anew whenever it breaks.

    output: the producer that ticks go to, which is closed at the end, or a coroutine function that puts one. write_timeout: seconds that a tick may
    wait for room. api_key: an ApiKey, the path of a file that nobody else can read, or the key itself; None: the environment (see feed_key).
    parse: frame -> Tick, list of Ticks, or None for a frame to pass over; whatever it raises makes the frame a bad one. random, sleep: of the
    back-off. Raises ConfigError, MissingExtra.
    """

    def __init__(
        self,
        url: str,
        symbols: list[str] | tuple[str, ...],
        output: Producer[Tick] | PutAsync,
        *,
        write_timeout: float = 1.0,
        api_key: ApiKey | Path | str | None = None,
        parse: Parse = parse_tick,
        random: Random | None = None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self.symbols = checked_symbols(symbols)
        if isinstance(write_timeout, bool) or not 0 <= write_timeout < float("inf"):
            raise ConfigError(f"write_timeout must be a number of seconds from 0, not {write_timeout!r}")
        self._address = Address(url, checked_key(api_key))
        self._output, self._parse, self._sleep = output, parse, sleep
        self._write_timeout = write_timeout
        self._back_off, self._gaps = BackOff(random), Gaps()
        self._outlet: Outlet | None = None
        self._counts = dict.fromkeys(("connects", "failures", "frames", "bad_frames"), 0)
        self._is_connected = self._is_stopped = self._was_good = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._end: asyncio.Event | None = None
        self._thread: threading.Thread | None = None
        self._problem: BaseException | None = None

    async def run(self) -> None:
        """Feed the output until `stop`, until this task is canceled, or until the output is Closed; then close the output.

        What has arrived is still put, each tick within its write_timeout. Raises ExchangeError when the feed refuses us.
        """
        put = self._output.put_async if isinstance(self._output, Producer) else self._output
        self._outlet = Outlet(put, self._write_timeout)
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        outlet, reader, end = (asyncio.create_task(part) for part in (self._outlet.run(), self._read_for_ever(), self._end.wait()))
        if self._is_stopped:
            self._end.set()
        try:
            await asyncio.wait((outlet, reader, end), return_when=asyncio.FIRST_COMPLETED)
            await _ended(reader, end)
            self._outlet.end()
            with suppress(Closed):
                await outlet
            if reader.done() and not reader.cancelled() and (error := reader.exception()):
                raise error
        finally:
            await _ended(outlet, reader, end)
            self._loop = None
            if isinstance(self._output, Producer):
                self._output.close()

    def start(self) -> Self:
        """Run in a thread of its own. Raises ConfigError when it was started before."""
        if self._thread is not None:
            raise ConfigError("this feed client was started before; make a new one")
        self._thread = threading.Thread(target=self._run_in_thread, name="feed client", daemon=True)
        self._thread.start()
        return self

    def stop(self, timeout: float = 5.0) -> FeedFigures:
        """Take no more, and wait at most so many seconds for what has arrived to be put. Raises what `run` raised in the thread. Again is harmless.

        From within the event loop it does not wait: `run` returns soon.
        """
        self._is_stopped = True
        loop, end = self._loop, self._end
        if loop is not None and end is not None:
            with suppress(RuntimeError):  # it has ended in this very moment
                loop.call_soon_threadsafe(end.set)
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout)
        if self._problem is not None:
            problem, self._problem = self._problem, None
            raise problem
        return self.figures()

    def figures(self) -> FeedFigures:
        """It now; from any thread."""
        counts, outlet = self._counts, self._outlet
        return FeedFigures(
            connected=self._is_connected,
            connects=counts["connects"],
            reconnects=max(0, counts["connects"] - 1),
            failures=counts["failures"],
            frames=counts["frames"],
            bad_frames=counts["bad_frames"],
            ticks=outlet.accepted if outlet else 0,
            dropped=outlet.dropped if outlet else 0,
            gaps=self._gaps.gaps,
            missed=self._gaps.missed,
        )

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<FeedClient {self._address}, {'connected' if self._is_connected else 'not connected'}>"

    def _run_in_thread(self) -> None:
        try:
            asyncio.run(self.run())
        except BaseException as error:  # noqa: BLE001 (`stop` raises it)
            self._problem = error

    async def _read_for_ever(self) -> None:
        from websockets.exceptions import WebSocketException

        while True:
            self._was_good = False
            try:
                await self._read_once()
                why: object = "it was closed"
            except (WebSocketException, OSError, EOFError, UnicodeError) as error:
                self._count_end(error)
                why = self._address.hidden(f"{type(error).__name__}: {error}")
            finally:
                self._is_connected = False
            seconds = self._back_off.next_seconds()
            _log.warning("the feed %s: %s; again in %.1f s", self._address, why, seconds)
            await self._sleep(seconds)

    async def _read_once(self) -> None:
        async with self._address.connecting() as socket:
            self._counts["connects"] += 1
            self._is_connected = True
            if self._counts["connects"] > 1:
                self._gaps.interrupted()
            _log.info("the feed %s is connected", self._address)
            await socket.send(subscribe_frame(self.symbols))
            async for frame in socket:
                self._take(frame)

    def _take(self, frame: str | bytes) -> None:
        """One frame: an answer, ticks, or a bad one."""
        self._counts["frames"] += 1
        if answer := answer_in(frame):
            if error := answer.get("error"):
                said = error.get("message") if isinstance(error, dict) else error
                raise ExchangeError(self._address.hidden(f"the feed {self._address} refused the subscription: {shown(said)}; check the symbols"))
            return
        try:
            parsed = self._parse(frame)
            ticks = () if parsed is None else parsed if isinstance(parsed, list) else (parsed,)
            if not all(isinstance(tick, Tick) for tick in ticks):
                raise TypeError("parse gave no Tick")  # noqa: TRY301 (as bad as an exception of its own)
        except Exception as error:  # noqa: BLE001 (parse may be anybody's, and a feed survives its frames)
            self._count_bad(error)
            return
        if ticks and not self._was_good:
            self._was_good = True
            self._back_off.reset()
        assert self._outlet is not None
        for tick in ticks:
            self._gaps.look(tick)
            self._outlet.offer(tick)

    def _count_bad(self, error: Exception) -> None:
        self._counts["bad_frames"] += 1
        if self._counts["bad_frames"] == 1:
            why = self._address.hidden(f"{type(error).__name__}: {error}")
            _log.warning("the feed %s sent a frame that is passed over, as all such will be: %s", self._address, why)

    def _count_end(self, error: Exception) -> None:
        """Why a connection ended, or none came to be. Raises ExchangeError where asking again is no use."""
        from websockets.exceptions import ConnectionClosed, InvalidStatus

        if not self._is_connected:
            self._counts["failures"] += 1
        if isinstance(error, InvalidStatus) and error.response.status_code in _REFUSED_STATUS:
            raise self._refused(f"HTTP {error.response.status_code}") from None
        if isinstance(error, ConnectionClosed):
            if error.rcvd is not None and error.rcvd.code in _REFUSED_CODES:
                raise self._refused(f"close code {error.rcvd.code}") from None
            if error.sent is not None and error.sent.code == _TOO_BIG:
                self._counts["bad_frames"] += 1

    def _refused(self, how: str) -> ExchangeError:
        sent = "no key was sent" if self._address.key is None else "the key that was sent is not the right one"
        return ExchangeError(f"the feed {self._address} refused us ({how}): {sent}; set SHM_EXCHANGE_FEED_API_KEY, or name its file")


async def _ended(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks and wait until they are over, however they end."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
