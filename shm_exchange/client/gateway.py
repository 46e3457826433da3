"""A gateway: orders of one session, from any process, in decimals or in ticks. Its lane and its reports are `client.endpoint`."""

from __future__ import annotations

from collections.abc import Sequence
from operator import index as whole
from typing import Self, cast

from shm_exchange.client.endpoint import POSITION_MASK, Endpoint, Wishes, too_large
from shm_exchange.client.shards import unknown_symbol
from shm_exchange.domain.enums import CommandKind, Flag, OrderType, SelfTradePrevention, Side, TimeInForce
from shm_exchange.domain.errors import ConfigError, ExchangeError, PriceError, UnknownSymbol
from shm_exchange.domain.instrument import Instrument, Number
from shm_exchange.domain.limits import POSITION_BITS
from shm_exchange.layout.records import ALL_INSTRUMENTS, kinds_word
from shm_exchange.ring.lane import submit
from shm_exchange.shm.group import shards_of

_SIDE, _TIF, _FLAG, _STP = kinds_word(side=1), kinds_word(time_in_force=1), kinds_word(modifiers=1), kinds_word(self_trade=1)
_INSTRUMENT = kinds_word(instrument=1)
_LIMIT = kinds_word(kind=CommandKind.ENTER, order_type=OrderType.LIMIT)
_MARKET = kinds_word(kind=CommandKind.ENTER, order_type=OrderType.MARKET)
_CANCEL, _REDUCE, _REPLACE = (kinds_word(kind=kind) for kind in (CommandKind.CANCEL, CommandKind.REDUCE, CommandKind.REPLACE))
_MASS_CANCEL = kinds_word(kind=CommandKind.MASS_CANCEL)
_GTC, _IOC = TimeInForce.GTC, TimeInForce.IOC
_WORD = 1 << 63


class Gateway(Endpoint):
    """Order entry of one session. Not for several threads at once: a lane has one producer."""

    @classmethod
    def attach(
        cls,
        name: str,
        *,
        session: str,
        account: str | None = None,
        self_trade: SelfTradePrevention = SelfTradePrevention.NONE,
        lane_full: str = "block",
        block_seconds: float = 1.0,
        timeout: float = 5.0,
        cancel_on_disconnect: bool = False,
        resume_from: int | Sequence[int] | None = None,
    ) -> Self:
        """Open the lane of `session` on exchange `name` and log on for `account` (default: the session's name).

        lane_full: what to do when the matcher lags a whole lane behind: "block" up to `block_seconds` and then raise LaneFull, "raise" at once, or
        "drop" and count (`dropped`; the id returned is 0). timeout: seconds to wait for the matcher.

        cancel_on_disconnect: when this process dies without `close`, cancel the session's open orders. resume_from: begin with the report of that
        number instead of the first one not acknowledged; what the ring no longer holds comes from the journal.

        Of an exchange in shards: a gateway over all of them, attached together or not at all, with the same methods; `resume_from` is then a list of
        numbers, one for each shard.

        In a notebook or at a prompt, a gateway of that session in this very process is closed first: so a cell can be run again. Raises
        ExchangeNotFound, LayoutMismatch, SessionInUse, NoFreeSession, LaneFull, ConfigError.
        """
        wishes = Wishes(lane_full, block_seconds, timeout, cancel_on_disconnect, resume_from)
        if names := shards_of(name, timeout=timeout):
            from shm_exchange.client.sharded_gateway import ShardedGateway

            return cast("Self", ShardedGateway(names, session, account or session, wishes, self_trade))
        gateway = cls(name, session, account or session, wishes)
        gateway._prepare(self_trade)
        return gateway

    def _prepare(self, self_trade: SelfTradePrevention) -> None:
        """Compute once what every order repeats."""
        self._stp = int(self_trade) * _STP
        self._enter = {item.symbol: self._words_of(index, item) for index, item in enumerate(self._instruments)}

    def _words_of(self, index: int, item: Instrument) -> tuple[Instrument, bool, tuple[int, ...], tuple[int, ...]]:
        """What `limit` and `market` need of an instrument: itself, whether a lot is one, and the kinds words by side (all but two say no side)."""
        word = index * _INSTRUMENT + self._stp
        sides = tuple(side if side in (Side.BUY, Side.SELL) else 0 for side in range(256))
        limits = tuple(word + _LIMIT + _GTC * _TIF + side * _SIDE for side in sides)
        markets = tuple(word + _MARKET + _IOC * _TIF + side * _SIDE for side in sides)
        return item, item.lot == 1, limits, markets

    def limit(
        self,
        symbol: str,
        side: Side,
        price: Number | None = None,
        quantity: Number = 0,
        *,
        price_ticks: int | None = None,
        time_in_force: TimeInForce = _GTC,
        post_only: bool = False,
        slide: bool = False,
        client_order_id: int = 0,
        self_trade: SelfTradePrevention | None = None,
    ) -> int:
        """Submit a limit order; returns its order id at once. Price as a decimal, or in whole ticks (the fast form).

        Raises PriceError, QuantityError, UnknownSymbol, LaneFull: then nothing was sent.
        """
        try:
            instrument, unit_lot, limit_kinds, _ = self._enter[symbol]
            kinds = limit_kinds[side]
        except (KeyError, IndexError, TypeError):
            raise self._bad_words(symbol, side) from None
        if price_ticks is None:
            price_ticks = instrument.ticks(_given(price))
        elif type(price_ticks) is not int:
            price_ticks = whole(price_ticks)
        if not unit_lot or type(quantity) is not int:
            quantity = instrument.lots(quantity)
        if time_in_force is not _GTC or post_only or slide or client_order_id or self_trade is not None:
            kinds += (time_in_force - _GTC) * _TIF
            kinds, client_order_id = self._options(kinds, post_only, slide, client_order_id, self_trade)
        try:
            position = submit(self._producer, 0, client_order_id, price_ticks, quantity, kinds)
        except OverflowError:
            raise too_large(price_ticks, quantity) from None
        return self._lane_id | position if position else self._when_full(0, client_order_id, price_ticks, quantity, kinds)

    def market(
        self,
        symbol: str,
        side: Side,
        quantity: Number,
        *,
        worst_price: Number | None = None,
        time_in_force: TimeInForce = _IOC,
        client_order_id: int = 0,
        self_trade: SelfTradePrevention | None = None,
    ) -> int:
        """Submit a market order: it trades at once up to `worst_price` (any price without one), the rest is canceled. Returns its order id."""
        try:
            instrument, _, _, market_kinds = self._enter[symbol]
            kinds = market_kinds[side]
        except (KeyError, IndexError, TypeError):
            raise self._bad_words(symbol, side) from None
        price_ticks = 0 if worst_price is None else instrument.ticks(worst_price)
        kinds += (time_in_force - _IOC) * _TIF + (0 if worst_price is None else Flag.PROTECTED * _FLAG)
        kinds, client_order_id = self._options(kinds, False, False, client_order_id, self_trade)
        return self._send(0, client_order_id, price_ticks, instrument.lots(quantity), kinds)

    def cancel(self, order_id: int = 0, *, client_order_id: int = 0, symbol: str | None = None) -> int:
        """Cancel an open order by either id; returns the id of this command (reports carry it as `command_id`).

        `symbol` is only needed where an exchange runs in shards and the client order id was used long ago.
        """
        if symbol is not None and symbol not in self._enter:
            raise self._unknown(symbol)
        return self._send(order_id, _signed(client_order_id), 0, 0, _CANCEL)

    def reduce(self, order_id: int = 0, quantity: Number = 0, *, client_order_id: int = 0, symbol: str | None = None) -> int:
        """Lower the open quantity BY `quantity`, keeping the place; as much as is open, or more, cancels. Returns the id of this command."""
        lots = self._instrument_of(order_id, symbol).lots(quantity)
        return self._send(order_id, _signed(client_order_id), 0, lots, _REDUCE)

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
        """Change price and quantity at once. `quantity` is the TOTAL, counting what is filled; with `reinsert` it is the new open quantity.

        The same price and no more quantity keep the place; anything else (and `reinsert` always) loses it and may trade. `symbol` is only needed
        for decimals of an order whose lane slot was reused since. Returns the id of this command.
        """
        instrument = self._instrument_of(order_id, symbol)
        ticks = instrument.ticks(_given(price)) if price_ticks is None else whole(price_ticks)
        kinds = _REPLACE + self._stp + (Flag.REINSERT * _FLAG if reinsert else 0)
        kinds, client_order_id = self._options(kinds, post_only, slide, client_order_id, self_trade)
        return self._send(order_id, client_order_id, ticks, instrument.lots(quantity), kinds)

    def mass_cancel(self, symbol: str | None = None, side: Side | None = None, *, account: bool = False) -> int:
        """Cancel all open orders of this session (of its whole account with `account`), of one symbol or side where given."""
        if symbol is not None and symbol not in self._enter:
            raise self._unknown(symbol)
        instrument = ALL_INSTRUMENTS if symbol is None else self._instruments.index(self._enter[symbol][0])
        kinds = _MASS_CANCEL + instrument * _INSTRUMENT + (side or 0) * _SIDE + (Flag.ACCOUNT * _FLAG if account else 0)
        return self._send(0, 0, 0, 0, _as_word(kinds))

    def _options(
        self,
        kinds: int,
        post_only: bool,
        slide: bool,
        client_order_id: int,
        self_trade: SelfTradePrevention | None,
    ) -> tuple[int, int]:
        """Add the rarer modifiers to a kinds word."""
        if post_only:
            kinds += Flag.POST_ONLY * _FLAG
        if slide:
            kinds += Flag.SLIDE * _FLAG
        if self_trade is not None:
            kinds += int(self_trade) * _STP - self._stp
        return kinds, _signed(client_order_id)

    def _instrument_of(self, order_id: int, symbol: str | None) -> Instrument:
        """The instrument of one of our orders: as said, the only one, or as our own lane remembers it."""
        if symbol is not None:
            if symbol not in self._enter:
                raise self._unknown(symbol)
            return self._enter[symbol][0]
        if len(self._instruments) == 1:
            return self._instruments[0]
        position = order_id & POSITION_MASK
        slot = self._lane[position & (len(self._lane) - 1)]
        if order_id >> POSITION_BITS == self.number and slot["number"] == position and slot["kind"] == CommandKind.ENTER:
            return self._instruments[int(slot["instrument"])]
        raise ConfigError(f"the instrument of order {order_id} is not known here any more: say symbol=…")

    def _bad_words(self, symbol: str, side: object) -> ExchangeError:
        if isinstance(symbol, str) and symbol in self._enter:
            return ConfigError(f"side must be Side.BUY or Side.SELL, not {side!r}")
        return self._unknown(symbol)

    def _unknown(self, symbol: str) -> UnknownSymbol:
        return unknown_symbol(self.name, symbol, self._enter)


def _given(price: Number | None) -> Number:
    if price is None:
        raise PriceError("a limit order needs price= (a decimal) or price_ticks= (a whole number)")
    return price


def _signed(client_order_id: int) -> int:
    """A u64 as the signed word that kernels take."""
    number = whole(client_order_id)
    if not 0 <= number < 2 * _WORD:
        raise ConfigError(f"client_order_id must be a whole number from 0 to 2^64 - 1, not {client_order_id!r}")
    return number if number < _WORD else number - 2 * _WORD


def _as_word(kinds: int) -> int:
    """A kinds word whose top bit may be set, as a signed word."""
    return kinds if kinds < _WORD else kinds - 2 * _WORD
