"""A gateway over all shards of an exchange: `Gateway.attach` returns it where the name is that of an exchange in shards.

It holds one whole gateway for each shard, all of the same session and account, attached together or not at all, and hands every command to the one
that it concerns: an order by its symbol, everything else by the shard in the order's id. What differs from a gateway of one matcher:

- Reports are numbered by each shard (`Report.shard`, `Report.number`). `poll` gives each shard's in number order, the shards in turn. A report
  carries no time, so it cannot be merged by time; events do, and can (`EventFeed.attach(…, merged=True)`).
- A client order id is unique among the session's open orders of one shard. A cancel by client order id alone goes where this handle, or the lanes it
  found when it attached, used that id last; with `symbol` it goes where that is traded. Where neither says, it is refused: nothing is sent.
- `mass_cancel` without a symbol goes to every shard, and every shard answers.
- Waiting looks at all shards between naps, asleep on the one that was submitted to last.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from operator import index as whole

import numpy as np

from shm_exchange.client.batches import ShardedBatch, in_parts
from shm_exchange.client.endpoint import Wishes, enroll, give_way
from shm_exchange.client.gateway import Gateway
from shm_exchange.client.plain import Records, rows
from shm_exchange.client.report import Report
from shm_exchange.client.shards import LOCAL_MASK, Catalogue, ClientIds, ShardSleeper, nap_of, shard_of, unknown_symbol
from shm_exchange.domain.enums import SelfTradePrevention, Side, TimeInForce
from shm_exchange.domain.errors import ConfigError, ExchangeNotFound, ReportsLost
from shm_exchange.domain.instrument import Number
from shm_exchange.domain.limits import SHARD_BITS_FROM
from shm_exchange.domain.names import whole_name
from shm_exchange.layout.records import REPORT


class ShardedGateway(Gateway):
    """Order entry of one session on every shard. Not for several threads at once."""

    def __init__(self, names: Sequence[str], session: str, account: str, wishes: Wishes, self_trade: SelfTradePrevention) -> None:
        """See `Gateway.attach`."""
        self.name, self.session, self.account, self.number = whole_name(names[0]), session, account, 0
        give_way(self.name, session)
        numbers = _numbers(wishes.resume_from, len(names))
        options = {"lane_full": wishes.lane_full, "block_seconds": wishes.block_seconds, "timeout": wishes.timeout}
        with ExitStack() as undo:
            self.shards: list[Gateway] = []
            """The gateway of each shard, with that shard's own ids and instruments."""
            for name, number in zip(names, numbers, strict=True):
                wish = {"cancel_on_disconnect": wishes.cancel_on_disconnect, "resume_from": number}
                part = Gateway.attach(name, session=session, account=account, self_trade=self_trade, **options, **wish)  # type: ignore[arg-type]
                self.shards.append(undo.enter_context(part))
            segments = [part._segment for part in self.shards]  # noqa: SLF001 (a gateway of gateways)
            if not all(segment.is_current for segment in segments):
                raise ExchangeNotFound(f"exchange {self.name!r} was stopped, or started again, while session {session!r} attached: attach again")
            undo.pop_all()
        self._catalogue = Catalogue([segment.config for segment in segments])
        self._instruments = self._catalogue.instruments
        self._sleeper = ShardSleeper(segments, self._is_there, self._is_there)
        self._latest, self._turn = self.shards[0], 0
        self._held: ReportsLost | None = None
        self._clients = ClientIds([part._lane for part in self.shards])  # noqa: SLF001
        enroll(self)

    def limit(
        self,
        symbol: str,
        side: Side,
        price: Number | None = None,
        quantity: Number = 0,
        *,
        price_ticks: int | None = None,
        time_in_force: TimeInForce = TimeInForce.GTC,
        post_only: bool = False,
        slide: bool = False,
        client_order_id: int = 0,
        self_trade: SelfTradePrevention | None = None,
    ) -> int:
        """Submit a limit order to the shard of its symbol: see `Gateway.limit`."""
        shard = self._shard_of_symbol(symbol)
        order_id = self._chosen(shard).limit(
            symbol,
            side,
            price,
            quantity,
            price_ticks=price_ticks,
            time_in_force=time_in_force,
            post_only=post_only,
            slide=slide,
            client_order_id=client_order_id,
            self_trade=self_trade,
        )
        return self._entered(shard, order_id, client_order_id)

    def market(
        self,
        symbol: str,
        side: Side,
        quantity: Number,
        *,
        worst_price: Number | None = None,
        time_in_force: TimeInForce = TimeInForce.IOC,
        client_order_id: int = 0,
        self_trade: SelfTradePrevention | None = None,
    ) -> int:
        """Submit a market order to the shard of its symbol: see `Gateway.market`."""
        shard, options = self._shard_of_symbol(symbol), {"client_order_id": client_order_id, "time_in_force": time_in_force}
        order_id = self._chosen(shard).market(symbol, side, quantity, worst_price=worst_price, self_trade=self_trade, **options)  # type: ignore[arg-type]
        return self._entered(shard, order_id, client_order_id)

    def cancel(self, order_id: int = 0, *, client_order_id: int = 0, symbol: str | None = None) -> int:
        """Cancel an open order by either id; `symbol` says where a client order id was used. Returns the id of this command."""
        shard = self._shard_of(order_id, client_order_id, symbol)
        return _wide(shard, self._chosen(shard).cancel(order_id & LOCAL_MASK, client_order_id=client_order_id))

    def reduce(self, order_id: int = 0, quantity: Number = 0, *, client_order_id: int = 0, symbol: str | None = None) -> int:
        """Lower the open quantity: see `Gateway.reduce`."""
        shard = self._shard_of(order_id, client_order_id, symbol)
        return _wide(shard, self._chosen(shard).reduce(order_id & LOCAL_MASK, quantity, client_order_id=client_order_id, symbol=symbol))

    def replace(
        self,
        order_id: int = 0,
        *,
        price: Number | None = None,
        quantity: Number = 0,
        price_ticks: int | None = None,
        reinsert: bool = False,
        post_only: bool = False,
        slide: bool = False,
        client_order_id: int = 0,
        symbol: str | None = None,
        self_trade: SelfTradePrevention | None = None,
    ) -> int:
        """Change price and quantity at once: see `Gateway.replace`."""
        shard = self._shard_of(order_id, client_order_id, symbol)
        command_id = self._chosen(shard).replace(
            order_id & LOCAL_MASK,
            price=price,
            quantity=quantity,
            price_ticks=price_ticks,
            reinsert=reinsert,
            post_only=post_only,
            slide=slide,
            client_order_id=client_order_id,
            symbol=symbol,
            self_trade=self_trade,
        )
        return _wide(shard, command_id)

    def mass_cancel(self, symbol: str | None = None, side: Side | None = None, *, account: bool = False) -> int:
        """Cancel all open orders: see `Gateway.mass_cancel`. Without a symbol on every shard, each of which answers; the id is that of shard 0's."""
        if symbol is not None:
            shard = self._shard_of_symbol(symbol)
            return _wide(shard, self._chosen(shard).mass_cancel(symbol, side, account=account))
        first, *_ = [part.mass_cancel(None, side, account=account) for part in self.shards]
        return first

    def submit_many(self, commands: Records) -> ShardedBatch:
        """Submit COMMAND records in one call, each to its shard, the order within a shard kept. Returns the id of each and how many went in.

        Instruments and ids are those of this gateway. Raises ConfigError for an id of no shard, and then nothing was sent; LaneFull.
        """
        return in_parts(self.shards, self._catalogue, commands, self._shard_of, self._clients.remember)

    def poll(self, limit: int = 4096) -> list[Report]:
        """Take the reports that are there, each shard's in number order; earlier ones are hereby delivered. Raises ReportsLost once for every gap."""
        return [Report(row, self._instruments) for row in rows(self.poll_array(limit))]

    def poll_array(self, limit: int = 4096) -> Records:
        """Like `poll`, as REPORT records: ticks, lots, and each shard's numbers."""
        if self._held is not None:
            held, self._held = self._held, None
            raise held
        self.ack()
        self._turn = (self._turn + 1) % len(self.shards)
        pieces: list[Records] = []
        for shard in (*range(self._turn, len(self.shards)), *range(self._turn)):
            if not (left := limit - sum(map(len, pieces))):
                break
            try:
                pieces.append(self._catalogue.widen_reports(self.shards[shard].poll_array(left), shard))
            except ReportsLost as lost:
                lost.shard = shard
                lost.add_note(f"these are numbers of shard {shard}")
                if not any(map(len, pieces)):
                    raise
                self._held = lost  # what was taken from others must not be lost over it
                break
        return np.concatenate(pieces) if pieces else np.zeros(0, REPORT)

    def ack(self) -> None:
        """Everything polled so far is delivered: it will not come again, and its room is free."""
        for part in self.shards:
            part.ack()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until a report is there on any shard, at most `timeout` seconds (None: for ever); whether one is.

        Asleep on the shard that was submitted to last, and looking at the others after an eighth of the time waited, 0.1 to 4 ms.
        """
        self.ack()
        start = time.monotonic()
        while not self._is_there():
            waited = time.monotonic() - start
            if timeout is not None and waited >= timeout:
                return False
            if self._latest.wait(nap_of(waited) if timeout is None else min(nap_of(waited), timeout - waited)):
                return True
        return True

    async def wait_async(self) -> bool:
        """`wait` for an event loop: whether a report is there; False once the gateway was closed or the exchange is gone."""
        self.ack()
        return await self._sleeper.wait()

    def rings(self) -> tuple[int, Records, Records, Records, Records]:
        """There is one set for each shard: raises ConfigError, which says so."""
        raise ConfigError(f"exchange {self.name!r} runs in shards, each with rings of its own: use gateway.shards[k].rings()")

    def waiting_words(self) -> tuple[Records, Records]:
        """There is one set for each shard: raises ConfigError, which says so."""
        raise ConfigError(f"exchange {self.name!r} runs in shards, each with words of its own: use gateway.shards[k].waiting_words()")

    @property
    def submitted(self) -> int:
        """Commands this handle has put into its lanes."""
        return sum(part.submitted for part in self.shards)

    @property
    def dropped(self) -> int:
        """Commands that found a lane full and were dropped, where that is the policy."""
        return sum(part.dropped for part in self.shards)

    @property
    def matcher_alive(self) -> bool:
        """Whether the matcher of every shard lives."""
        return all(part.matcher_alive for part in self.shards)

    @property
    def matcher_lost(self) -> bool:
        """Whether any shard's matcher is dead and none will take its place."""
        return any(part.matcher_lost for part in self.shards)

    def close(self) -> None:
        """Log off from every shard; open orders stay. Again is harmless."""
        self._sleeper.end()
        for part in self.shards:
            part.close()
        self._disable("it was closed, or a newer one of its session took its place")

    def _is_there(self) -> bool:
        """Whether a poll would return anything."""
        return self._held is not None or any(part._is_there() for part in self.shards)  # noqa: SLF001

    def _chosen(self, shard: int) -> Gateway:
        self._latest = self.shards[shard]
        return self._latest

    def _entered(self, shard: int, order_id: int, client_order_id: int) -> int:
        if client_order_id and order_id:
            self._clients.remember(client_order_id, shard)
        return _wide(shard, order_id)

    def _shard_of_symbol(self, symbol: str) -> int:
        try:
            return self._catalogue.homes[symbol].shard
        except (KeyError, TypeError):
            raise unknown_symbol(self.name, symbol, self._catalogue.homes) from None

    def _shard_of(self, order_id: int, client_order_id: int, symbol: str | None = None) -> int:
        """Where a command about an order goes. Raises ConfigError, UnknownSymbol."""
        if order_id:
            if not 0 <= (shard := shard_of(whole(order_id))) < len(self.shards):
                raise ConfigError(f"order id {order_id} is of no shard of exchange {self.name!r}; use the one that the submitting call returned")
            return shard
        if symbol is not None:
            return self._shard_of_symbol(symbol)
        if not client_order_id:
            return 0
        if (found := self._clients.shard_of(client_order_id)) is None:
            raise ConfigError(
                f"on which shard client order id {client_order_id} was used is not known here (any more): say symbol=…, or use the order id"
            )
        return found


def _wide(shard: int, number: int) -> int:
    """An id of a shard as everybody's; 0, of a command that was dropped, stays 0."""
    return number and shard << SHARD_BITS_FROM | number


def _numbers(resume_from: int | Sequence[int] | None, count: int) -> Sequence[int | None]:
    if resume_from is None:
        return [None] * count
    if isinstance(resume_from, int) or len(resume_from) != count:
        raise ConfigError(f"reports are numbered by each shard: resume_from is a list of {count} numbers, not {resume_from!r}")
    return resume_from
