"""A feed on this machine, for tests and demonstrations: it sends any ticks over WebSockets, in bursts, and breaks connections when told.

    async with FeedServer(random_ticks(["BTC"], seed=1), rate=100, burst=10) as server:
        …                                                    # clients connect to server.url

It speaks what `feed_wire` describes. Ticks are numbered for each symbol, whether or not anybody listens: so a client that was away can tell what it
missed. It begins with the first subscription. A client that does not read fast enough misses the oldest ticks that wait for it, and the numbers tell.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from hmac import compare_digest
from http import HTTPStatus
from types import TracebackType
from typing import Any, NamedTuple, Self

from shm_exchange.domain.errors import ConfigError, ExchangeError, missing_extra
from shm_exchange.pipeline.feed_key import HEADER, ApiKey, library_log
from shm_exchange.pipeline.feed_wire import INVALID_PARAMETERS, checked_symbols, shown, tick_frame
from shm_exchange.pipeline.tick import Tick

ROOM = 4096
CLIENTS_MAX = 64
_REQUEST_BYTES_MAX = 1 << 16
_GOING_AWAY = 1001
_TRY_AGAIN_LATER = 1013
_INVALID_REQUEST = -32600


class Pace(NamedTuple):
    """How ticks are sent. rate: a second, 0: as fast as it goes. burst: how many at once, every burst / rate seconds."""

    rate: float = 100.0
    burst: int = 1

    def checked(self) -> Pace:
        """Raises ConfigError."""
        if not 0 <= self.rate < float("inf") or isinstance(self.burst, bool) or not isinstance(self.burst, int) or self.burst < 1:
            raise ConfigError(f"a feed needs a rate of ticks a second from 0 and a burst of at least 1, not {self.rate!r} and {self.burst!r}")
        return self


class FeedServer:
    """Serves one source of ticks to all who subscribe. `port` 0 takes a free one. disconnect_after: a connection is closed after so many frames.

    An end of the source leaves connections open; `finished` tells. Raises ConfigError, MissingExtra, and ExchangeError for a port that is taken.
    """

    def __init__(
        self,
        source: Iterable[Tick],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        api_key: ApiKey | str | None = None,
        rate: float = 100.0,
        burst: int = 1,
        disconnect_after: int | None = None,
    ) -> None:
        if disconnect_after is not None and disconnect_after < 1:
            raise ConfigError(f"disconnect_after must be at least 1 frame, not {disconnect_after!r}")
        self.host, self.port = host, port
        self.sent = self.skipped = self.connects = self.refused = 0
        """Frames given to connections; frames that slow clients missed; connections and refusals so far."""
        self.finished = asyncio.Event()
        self._source, self._pace, self._disconnect_after = iter(source), Pace(rate, burst).checked(), disconnect_after
        self._key = ApiKey(api_key) if isinstance(api_key, str) else api_key
        self._clients: set[_Client] = set()
        self._sequences: dict[str, int] = {}
        self._wanted = asyncio.Event()
        self._server: Any = None
        self._sender: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """Where clients connect to."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"ws://{host}:{self.port}"

    async def start(self) -> Self:
        """Listen, and send once somebody has subscribed."""
        try:
            from websockets.asyncio.server import serve
        except ImportError as error:
            raise missing_extra("feed", error) from error
        try:
            self._server = await serve(
                self._handle, self.host, self.port, process_request=self._checked_request, max_size=_REQUEST_BYTES_MAX, logger=library_log
            )
        except OSError as error:
            raise ExchangeError(f"cannot serve a feed at {self.url}: {error.strerror}; take another port, or 0 for a free one") from error
        self.port = self._server.sockets[0].getsockname()[1]
        self._sender = asyncio.create_task(self._send_all())
        return self

    async def disconnect(self) -> int:
        """Break every connection, without a word; returns how many."""
        clients = list(self._clients)
        for client in clients:
            client.abort()
        return len(clients)

    async def close(self) -> None:
        """Say good-bye and stop. Again is harmless."""
        sender, server = self._sender, self._server
        self._sender = self._server = None
        if sender is not None:
            sender.cancel()
            await asyncio.gather(sender, return_exceptions=True)
        if server is not None:
            server.close()
            await server.wait_closed()

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    def _checked_request(self, connection: Any, request: Any) -> Any:
        """Refuse who has not the key, before it is a WebSocket."""
        if self._key is None:
            return None
        given = request.headers.get_all(HEADER)
        if len(given) == 1 and compare_digest(given[0].encode(), self._key.reveal().encode()):
            return None
        self.refused += 1
        return connection.respond(HTTPStatus.UNAUTHORIZED, f"the header {HEADER} with the right key is missing\n")

    async def _handle(self, socket: Any) -> None:
        """One connection from its first to its last frame."""
        from websockets.exceptions import ConnectionClosed

        if len(self._clients) >= CLIENTS_MAX:
            await socket.close(_TRY_AGAIN_LATER, "too many clients")
            return
        self.connects += 1
        client = _Client(socket, self._disconnect_after)
        self._clients.add(client)
        sender = asyncio.create_task(client.send_all())
        try:
            async for frame in socket:
                await socket.send(client.answer(frame))
                if client.is_subscribed:
                    self._wanted.set()
        except ConnectionClosed:
            pass  # however it ended, it is over
        finally:
            self._clients.discard(client)
            sender.cancel()
            await asyncio.gather(sender, return_exceptions=True)

    async def _send_all(self) -> None:
        """The ticks of the source, at the pace: an open loop, which makes up for what it was late."""
        await self._wanted.wait()
        loop, pace = asyncio.get_running_loop(), self._pace
        due = loop.time()
        for number, tick in enumerate(self._source):
            if number and number % pace.burst == 0:
                due += pace.burst / pace.rate if pace.rate else 0.0
                await asyncio.sleep(max(0.0, due - loop.time()) if pace.rate else 0.0)
            self._publish(tick)
        self.finished.set()

    def _publish(self, tick: Tick) -> None:
        sequence = self._sequences[tick.symbol] = self._sequences.get(tick.symbol, 0) + 1
        frame = tick_frame(tick, sequence)
        for client in self._clients:
            if client.wants(tick.symbol):
                self.sent += 1
                self.skipped += client.offer(frame)


class _Client:
    """One connection: what it wants, and what waits for it."""

    def __init__(self, socket: Any, disconnect_after: int | None) -> None:
        self.is_subscribed = False
        self._socket, self._left = socket, disconnect_after
        self._symbols: frozenset[str] = frozenset()
        self._waiting: deque[str] = deque()
        self._news = asyncio.Event()

    def wants(self, symbol: str) -> bool:
        return self.is_subscribed and (not self._symbols or symbol in self._symbols)

    def offer(self, frame: str) -> bool:
        """Queue a frame; whether the oldest had to go for it."""
        is_full = len(self._waiting) >= ROOM
        if is_full:
            self._waiting.popleft()
        self._waiting.append(frame)
        self._news.set()
        return is_full

    async def send_all(self) -> None:
        """Send what waits, until it is canceled or its script ends the connection."""
        with suppress(Exception):  # a connection that breaks is its reader's to notice
            while True:
                await self._news.wait()
                self._news.clear()
                while self._waiting:
                    await self._socket.send(self._waiting.popleft())
                    if self._left is not None:
                        self._left -= 1
                        if self._left == 0:
                            await self._socket.close(_GOING_AWAY, "as the script says")
                            return

    def answer(self, frame: str | bytes) -> str:
        """Do what a request says, and answer it."""
        number: Any = None
        try:
            request = json.loads(frame)
            number = request.get("id")
            method, symbols = request["method"], request["params"]["symbols"]
            if method != "subscribe":
                return _error(_INVALID_REQUEST, f"there is the method subscribe, and no {shown(method)}", number)
            wanted = checked_symbols(symbols)
        except ConfigError as error:
            return _error(INVALID_PARAMETERS, str(error), number)
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            return _error(_INVALID_REQUEST, 'a request looks like {"method":"subscribe","params":{"symbols":["BTC"]},"id":1}', number)
        self._symbols, self.is_subscribed = frozenset(wanted), True
        return json.dumps({"result": list(wanted), "id": number})

    def abort(self) -> None:
        self._socket.transport.abort()


def _error(code: int, message: str, number: Any) -> str:
    return json.dumps({"error": {"code": code, "message": message}, "id": number})
