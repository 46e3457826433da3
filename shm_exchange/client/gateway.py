"""A gateway: one session's lane and report ring, from any process.

Submitting returns at once: an order is in the lane (and will be matched, whatever becomes of this process) or an error was raised and it is not.
What became of it comes as reports, numbered without a gap. A report counts as delivered at the next `poll`: a gateway killed while it handles one
gets it again under the same number.
"""

from __future__ import annotations

import os
import time
import weakref
from operator import index as whole
from typing import Any, NamedTuple, Self

import numpy as np

from shm_exchange.client.plain import plain
from shm_exchange.client.report import Report
from shm_exchange.client.sessions import take_session
from shm_exchange.client.waiting import park_for_report
from shm_exchange.domain.enums import CommandKind, EventKind, Flag, OrderType, RejectReason, SelfTradePrevention, Side, TimeInForce
from shm_exchange.domain.errors import ConfigError, ExchangeError, ExchangeNotFound, HandleClosed, LaneFull, PriceError, QuantityError, ReportsLost, UnknownSymbol
from shm_exchange.domain.instrument import Instrument, Number
from shm_exchange.domain.limits import POSITION_BITS
from shm_exchange.domain.names import checked_name, name_words, nearest
from shm_exchange.layout.headers import MATCHER_RUNNING
from shm_exchange.layout.records import ALL_INSTRUMENTS, COMMAND, COMMAND_WORDS, REPORT, kinds_word
from shm_exchange.ring.lane import await_room, new_producer, submit, submit_many
from shm_exchange.ring.reports import READER, acknowledge, await_report, take_reports
from shm_exchange.shm.segment import attach

Records = np.ndarray[Any, np.dtype[np.void]]

_SIDE, _TIF, _FLAG, _STP = kinds_word(side=1), kinds_word(time_in_force=1), kinds_word(modifiers=1), kinds_word(self_trade=1)
_INSTRUMENT = kinds_word(instrument=1)
_LIMIT = kinds_word(kind=CommandKind.ENTER, order_type=OrderType.LIMIT)
_MARKET = kinds_word(kind=CommandKind.ENTER, order_type=OrderType.MARKET)
_CANCEL, _REDUCE, _REPLACE = (kinds_word(kind=kind) for kind in (CommandKind.CANCEL, CommandKind.REDUCE, CommandKind.REPLACE))
_MASS_CANCEL, _LOGON, _LOGOFF = (kinds_word(kind=kind) for kind in (CommandKind.MASS_CANCEL, CommandKind.LOGON, CommandKind.LOGOFF))
_GTC, _IOC = TimeInForce.GTC, TimeInForce.IOC
_WORD = 1 << 63
_POSITION_MASK = (1 << POSITION_BITS) - 1
_SPIN_POLLS = 2000
_PARK_SECONDS = 0.05
_LANE_FULL = ("block", "raise", "drop")


class Batch(NamedTuple):
    """What `submit_many` did: ids run from `first_id` without a gap."""

    first_id: int
    count: int


_open: weakref.WeakSet[Gateway] = weakref.WeakSet()


def _poison_in_child() -> None:
    """A forked child has no lane: its mapping was not inherited, and the lock is its parent's."""
    for gateway in list(_open):
        gateway._disable("it was opened before a fork and belongs to the parent process; attach a gateway of your own")  # noqa: SLF001


os.register_at_fork(after_in_child=_poison_in_child)


class Gateway:
    """Order entry of one session. Not for several threads at once: a lane has one producer."""

    def __init__(self, name: str, session: str, account: str | None = None, **options: Any) -> None:
        """See `attach`."""
        self._open_session(name, checked_name(session, "session"), checked_name(account or session, "account"), **options)

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
    ) -> Self:
        """Open the lane of `session` on exchange `name` and log on for `account` (default: the session's name).

        lane_full: what to do when the matcher lags a whole lane behind: "block" up to `block_seconds` and then raise LaneFull, "raise" at once, or
        "drop" and count (`dropped`; the id returned is 0). timeout: seconds to wait for the matcher. Raises ExchangeNotFound, LayoutMismatch,
        SessionInUse, NoFreeSession, ConfigError.
        """
        return cls(name, session, account, self_trade=self_trade, lane_full=lane_full, block_seconds=block_seconds, timeout=timeout)

    def _open_session(
        self, name: str, session: str, account: str, *, self_trade: SelfTradePrevention, lane_full: str, block_seconds: float, timeout: float
    ) -> None:
        if lane_full not in _LANE_FULL:
            raise ConfigError(f"lane_full must be one of {', '.join(_LANE_FULL)}, not {lane_full!r}{nearest(lane_full, _LANE_FULL)}")
        self._segment = segment = attach(name, write=True, timeout=timeout)
        self.name, self.session, self.account = name, session, account
        self.dropped = 0
        self._lane_full, self._block_seconds = lane_full, block_seconds
        deadline = time.monotonic() + timeout
        _await_matcher(segment, deadline)
        self.number, own = take_session(segment, session, account)
        self._lane_id = self.number << POSITION_BITS
        self._instruments = list(segment.config.instruments)
        self._stp = int(self_trade) * _STP
        self._enter = {item.symbol: self._words_of(index, item) for index, item in enumerate(self._instruments)}
        number = slice(self.number, self.number + 1)
        heads = segment.array("lane_heads")[number]
        self._producer_record = new_producer(own["lane"], heads, own["activity"], own["parked"][:1], self.number)
        self._producer: int = self._producer_record.ctypes.data
        capacity = segment.config.report_capacity
        reports = segment.array("reports")[(self.number - 1) * capacity : self.number * capacity]
        # Plain arrays: numba recognises them in a fraction of the time that it needs for a recarray.
        self._lane, self._head, self._parked = plain(own["lane"]), plain(own["report_head"]), plain(own["parked"][number])
        self._reports, self._tail = plain(reports), plain(segment.array("report_tails")[number])
        self._reader = np.zeros(1, READER)
        self._reader["next_report"] = self._head["head"]
        self._buffer = np.zeros(min(capacity, 4096), REPORT)
        # Where the matcher spins, processes have cores of their own, and we may spin too.
        self._spin_polls = _SPIN_POLLS if segment.array("control")[0].spin_polls else 1
        _open.add(self)
        self._log_on(deadline)
        submit.disable_compile()  # a word that is no int64 is refused, instead of quietly compiling a kernel for it

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
            raise _too_large(price_ticks, quantity) from None
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
        kinds, client_order_id = self._options(kinds, False, False, client_order_id, self_trade)  # noqa: FBT003
        return self._send(0, client_order_id, price_ticks, instrument.lots(quantity), kinds)

    def cancel(self, order_id: int = 0, *, client_order_id: int = 0) -> int:
        """Cancel an open order by either id; returns the id of this command (reports carry it as `command_id`)."""
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

    def submit_many(self, commands: Records) -> Batch:
        """Submit COMMAND records in one call, with one fence for all. Returns the first id and how many went in.

        `number` and `time_ns` need not be set. With lane_full="block" all go in or LaneFull is raised, whose text says how many did.
        """
        if not isinstance(commands, np.ndarray) or commands.dtype not in (COMMAND, COMMAND_WORDS) or commands.ndim != 1:
            raise ConfigError("submit_many takes a one-dimensional array of COMMAND records (shm_exchange.layout.records.COMMAND)")
        words = np.ascontiguousarray(plain(commands)).view(COMMAND_WORDS)
        first = self._lane_id | int(self._producer_record[0].position)
        count = submit_many(self._producer, words, 0)
        deadline = time.monotonic() + self._block_seconds
        while count < len(words) and self._lane_full == "block":
            if not self._await_room(deadline):
                raise self._full(f"{count} of {len(words)} commands were submitted")
            added = submit_many(self._producer, words, count)
            count += added
            deadline = time.monotonic() + self._block_seconds if added else deadline
        if count < len(words) and self._lane_full == "raise":
            raise self._full(f"{count} of {len(words)} commands were submitted")
        self.dropped += len(words) - count
        return Batch(first, int(count))

    def poll(self, limit: int = 4096) -> list[Report]:
        """Take the reports that are there, in number order; earlier ones are hereby delivered. Raises ReportsLost once for every gap."""
        return [Report(row, self._instruments) for row in self._take(limit).tolist()]

    def poll_array(self, limit: int = 4096) -> Records:
        """Like `poll`, as a copy of the REPORT records: ticks, lots and numbers."""
        return self._take(limit).copy()

    def ack(self) -> None:
        """Everything polled so far is delivered: it will not come again, and its room is free."""
        acknowledge(self._reader, self._head)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until a report is there, at most `timeout` seconds (None: for ever); whether one is. Sleeps without burning a core."""
        if await_report(self._reader, self._reports, self._tail, self._spin_polls):
            return True
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            left = _PARK_SECONDS if deadline is None else min(_PARK_SECONDS, deadline - time.monotonic())
            if left <= 0:
                return False
            if park_for_report(self._reader, self._reports, self._tail, self._parked, int(left * 1e9)):
                return True

    def rings(self) -> tuple[int, Records, Records, Records, Records]:
        """For kernels of your own: (address of the PRODUCER, READER[1], REPORT[capacity], REPORT_TAIL[1], REPORT_HEAD[1])."""
        return self._producer, self._reader, self._reports, self._tail, self._head

    @property
    def submitted(self) -> int:
        """Commands this handle has put into its lane."""
        return int(self._producer_record[0].submitted)

    @property
    def matcher_alive(self) -> bool:
        """Whether a matcher lives: the kernel's word, not a guess from time."""
        return self._segment.matcher_alive

    def close(self) -> None:
        """Log off and give the session's lane back; open orders stay. Again is harmless."""
        submit(self._producer, 0, 0, 0, 0, _LOGOFF)
        acknowledge(self._reader, self._head)
        _open.discard(self)
        self._segment.close()
        self._disable("it was closed")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _take(self, limit: int) -> Records:
        acknowledge(self._reader, self._head)
        count = take_reports(self._reader, self._reports, self._tail, self._buffer[:limit])
        own = self._reader[0]
        if own["lost_first"]:
            raise ReportsLost(int(own["lost_first"]), int(own["lost_last"]))
        return self._buffer[:count]

    def _send(self, order_id: int, client_order_id: int, price_ticks: int, lots: int, kinds: int) -> int:
        try:
            position = submit(self._producer, whole(order_id), client_order_id, price_ticks, lots, kinds)
        except OverflowError:
            raise _too_large(price_ticks, lots) from None
        return self._lane_id | position if position else self._when_full(order_id, client_order_id, price_ticks, lots, kinds)

    def _when_full(self, order_id: int, client_order_id: int, price_ticks: int, lots: int, kinds: int) -> int:
        """The lane-full policy."""
        if self._lane_full == "drop":
            self.dropped += 1
            return 0
        if self._lane_full == "raise" or not self._await_room(time.monotonic() + self._block_seconds):
            raise self._full("the command was not submitted")
        return self._lane_id | int(submit(self._producer, order_id, client_order_id, price_ticks, lots, kinds))

    def _await_room(self, deadline: float) -> bool:
        """Spin, yield, sleep until the lane has room or the deadline passes."""
        naps = 0
        while not await_room(self._producer, self._spin_polls):
            if time.monotonic() >= deadline:
                return False
            if naps < 50:
                os.sched_yield()
            else:
                time.sleep(0.0002)
            naps += 1
        return True

    def _full(self, what: str) -> LaneFull:
        alive = "the matcher is alive but does not keep up, or this session's reports are not polled" if self.matcher_alive else "the matcher is dead"
        return LaneFull(f"the lane of session {self.session!r} is full and {what}: {alive}; poll reports, slow down, or use a larger lane_capacity")

    def _options(
        self, kinds: int, post_only: bool, slide: bool, client_order_id: int, self_trade: SelfTradePrevention | None  # noqa: FBT001
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
        position = order_id & _POSITION_MASK
        slot = self._lane[position & (len(self._lane) - 1)]
        if order_id >> POSITION_BITS == self.number and slot["number"] == position and slot["kind"] == CommandKind.ENTER:
            return self._instruments[slot["instrument"]]
        raise ConfigError(f"the instrument of order {order_id} is not known here any more: say symbol=…")

    def _bad_words(self, symbol: str, side: object) -> ExchangeError:
        if isinstance(symbol, str) and symbol in self._enter:
            return ConfigError(f"side must be Side.BUY or Side.SELL, not {side!r}")
        return self._unknown(symbol)

    def _unknown(self, symbol: str) -> UnknownSymbol:
        return UnknownSymbol(f"exchange {self.name!r} has no instrument {symbol!r}{nearest(str(symbol), self._enter)}; it has {', '.join(self._enter)}")

    def _log_on(self, deadline: float) -> None:
        """Bind session and account, and wait for the answer; reports of an earlier holder of the session stay to be polled."""
        low, high = name_words(self.session)
        account_low, account_high = name_words(self.account)
        position = int(submit(self._producer, low, high, account_low, account_high, _LOGON))
        if not position:
            position = self._when_full(low, high, account_low, account_high, _LOGON) & _POSITION_MASK
        ahead = self._reader.copy()
        while True:
            for row in self._buffer[: take_reports(ahead, self._reports, self._tail, self._buffer)]:
                if row["cause_id"] == self._lane_id | position and row["kind"] in (EventKind.LOGGED_ON, EventKind.REJECTED):
                    self._logged_on(row)
                    return
            if not await_report(ahead, self._reports, self._tail, self._spin_polls):
                _check_deadline(self._segment, deadline)
                park_for_report(ahead, self._reports, self._tail, self._parked, int(_PARK_SECONDS * 1e9))

    def _logged_on(self, answer: np.void) -> None:
        """Take the answer out of the stream if nothing older waits in front of it."""
        if self._reader["next_report"] == answer["number"]:
            self._reader["next_report"] = answer["number"] + 1
        if answer["kind"] == EventKind.REJECTED:
            reason = RejectReason(int(answer["reason"]))
            self.close()
            raise ExchangeError(f"session {self.session!r} was refused for account {self.account!r}: {reason.name}")

    def _disable(self, why: str) -> None:
        """Turn this handle into one that raises HandleClosed whatever is asked of it."""
        self.__dict__["_why"] = why
        self.__class__ = _DisabledGateway  # type: ignore[assignment]


class _DisabledGateway(Gateway):
    """A gateway that was closed, or that a fork copied."""

    def __getattribute__(self, name: str) -> Any:
        if name in ("close", "__class__", "__dict__", "__exit__", "__enter__", "__weakref__", "__del__"):
            return object.__getattribute__(self, name)
        why = object.__getattribute__(self, "__dict__")["_why"]
        raise HandleClosed(f"this gateway cannot be used: {why}")

    def close(self) -> None:
        """Already closed."""


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


def _too_large(price_ticks: int, quantity: Number) -> ExchangeError:
    """Which of the words of a command is none."""
    if not -_WORD <= price_ticks < _WORD:
        return PriceError(f"{price_ticks} ticks do not fit a 64-bit word")
    if not -_WORD <= int(quantity) < _WORD:
        return QuantityError(f"{quantity} lots do not fit a 64-bit word")
    return ConfigError("order_id does not fit a 64-bit word")


def _await_matcher(segment: Any, deadline: float) -> None:
    """Wait until the matcher takes commands."""
    words = segment.array("matcher")
    while words[0].state != MATCHER_RUNNING:
        _check_deadline(segment, deadline)
        time.sleep(0.001)


def _check_deadline(segment: Any, deadline: float) -> None:
    if time.monotonic() > deadline:
        state = "does not answer" if segment.matcher_alive else "is not running"
        raise ExchangeNotFound(f"the matcher of exchange {segment.name!r} {state}; look with `shm-exchange status {segment.name}`")

