"""Our own file form for order flow: CSV with a header row; columns in any order, only `action` must be there.

    time_ns          whole nanoseconds, from any moment on; or `time`: ISO 8601 in UTC, such as 2026-01-05T09:30:00.000000001. Never falling.
    session          who sends it (default: one session for all)
    action           enter, cancel, reduce, replace, mass_cancel
    client_order_id  enter: the order's name, a whole number below 2^64, unique among the session's open orders; else the order that is meant
    symbol           may stay empty where there is one instrument; mass_cancel: empty = all of them
    side             buy, sell; mass_cancel: empty = both
    price            a decimal; enter market: empty, or the worst acceptable price
    quantity         a decimal; reduce: by how much; replace: the total, counting what is filled
    order_type       limit (default), market
    time_in_force    gtc, ioc, fok (default: gtc, market orders ioc)
    self_trade       none (default), cancel_incoming, cancel_resting, cancel_both, decrement
    flags            any of post_only, slide, reinsert, account, with spaces between them

    time_ns,session,action,client_order_id,side,price,quantity
    0,alice,enter,1,buy,99.50,100
    1500,bob,enter,1,sell,99.50,40
    2500,alice,cancel,1,,,

Decimals are exact: what is no whole number of ticks or lots is refused, with its line.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from decimal import Decimal, InvalidOperation
from enum import IntEnum, IntFlag

import numpy as np

from shm_exchange.domain.enums import CommandKind, Flag, OrderType, SelfTradePrevention, Side, TimeInForce
from shm_exchange.domain.instrument import Instrument
from shm_exchange.domain.names import checked_name, nearest
from shm_exchange.layout.records import ALL_INSTRUMENTS
from shm_exchange.protocol.csv_table import TIME, TIME_NS, CsvTable
from shm_exchange.protocol.flow import Flow, Numbers, Records, new_commands

ENTER, CANCEL, REDUCE, REPLACE, MASS_CANCEL = ACTIONS = (
    CommandKind.ENTER,
    CommandKind.CANCEL,
    CommandKind.REDUCE,
    CommandKind.REPLACE,
    CommandKind.MASS_CANCEL,
)
FLAGS = (Flag.POST_ONLY, Flag.SLIDE, Flag.REINSERT, Flag.ACCOUNT)
_TAKES = {
    "client_order_id": (ENTER, CANCEL, REDUCE, REPLACE),
    "side": (ENTER, MASS_CANCEL),
    "price": (ENTER, REPLACE),
    "quantity": (ENTER, REDUCE, REPLACE),
    "order_type": (ENTER,),
    "time_in_force": (ENTER,),
    "self_trade": (ENTER, REPLACE),
    "flags": (ENTER, REPLACE, MASS_CANCEL),
}
"""Which actions a column means something to; elsewhere it must be empty."""
_NEEDS = {"side": (ENTER,), "quantity": (ENTER, REDUCE, REPLACE), "client_order_id": (CANCEL, REDUCE, REPLACE), "price": (REPLACE,)}
_NONE = -1
_WORD = 1 << 64
_INT64 = 1 << 63
_ISO = re.compile(r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?)(?:Z|\+00:00)?")


def instruments_of(table: CsvTable, symbol: str) -> tuple[Instrument, ...]:
    """Instruments that fit the file: the tick and the lot have as many decimals as its prices and quantities. `symbol`: of rows that name none."""
    texts, codes = table.column("symbol")
    named = np.array([text or symbol for text in texts])[codes]
    made = []
    for name in sorted({text or symbol for text in texts}) or [symbol]:
        own = named == name
        tick, lot = (Decimal(1).scaleb(int(table.read(column, _exponent, own).min(initial=0))) for column in ("price", "quantity"))
        prices, places = table.column("price")
        low = min((_decimal(prices[place]) for place in np.unique(places[own]).tolist() if prices[place]), default=Decimal(1))
        made.append(Instrument(name, f"{tick:f}", f"{lot:f}", min_price=f"{low:f}" if low <= 0 else None))
    return tuple(made)


def decode_flow(table: CsvTable, instruments: tuple[Instrument, ...], session: str, symbol: str | None = None) -> Flow:
    """The rows as commands. session, symbol: of rows that name none. Raises ConfigError, which names the line."""
    commands = new_commands(table.rows)
    commands["kind"] = kinds = table.read("action", _word(ACTIONS))
    _check_columns(table, kinds)
    names: dict[str, int] = {}
    session_of = table.read("session", lambda text: names.setdefault(checked_name(text or session, "session"), len(names)))
    commands["client_order_id"] = table.read("client_order_id", _id, dtype=np.uint64)
    commands["instrument"] = _instrument_indexes(table, kinds, instruments, symbol)
    commands["side"] = table.read("side", _word(Side, empty=0))
    commands["order_type"] = table.read("order_type", _word(OrderType, empty=0))
    commands["time_in_force"] = table.read("time_in_force", _word(TimeInForce, empty=0))
    commands["self_trade"] = table.read("self_trade", _word(SelfTradePrevention, empty=0))
    commands["modifiers"] = table.read("flags", _flags)
    _put_decimals(table, commands, instruments)
    _put_defaults(table, commands)
    return Flow(commands, session_of, np.arange(table.rows), _times(table), tuple(names) or (session,), instruments)


def _check_columns(table: CsvTable, kinds: Numbers) -> None:
    """What an action needs is there, and nothing that means nothing to it."""
    for column, actions in _TAKES.items():
        given = table.given(column)
        for kind in ACTIONS:
            if kind not in actions:
                table.refuse(given & (kinds == kind), f"{kind.name.lower()} takes no {column}; leave it empty")
            if kind in _NEEDS.get(column, ()):
                table.refuse(~given & (kinds == kind), f"{kind.name.lower()} needs a {column}")
    market = table.read("order_type", lambda text: text.lower() == "market")
    table.refuse((kinds == ENTER) & ~table.given("price") & (market == 0), "a limit order needs a price")


def _instrument_indexes(table: CsvTable, kinds: Numbers, instruments: tuple[Instrument, ...], symbol: str | None) -> Numbers:
    indexes = {instrument.symbol: index for index, instrument in enumerate(instruments)}

    def meaning(text: str) -> int:
        if text and text not in indexes:
            raise ValueError(f"there is no such instrument{nearest(text, indexes)}; there are {', '.join(indexes)}")
        return indexes[text] if text else _NONE

    found = table.read("symbol", meaning)
    default = meaning(symbol or "") if symbol or len(instruments) != 1 else 0
    unnamed = found == _NONE
    everything = unnamed & (kinds == MASS_CANCEL)
    if default == _NONE:
        table.refuse(unnamed & ~everything, f"it names no symbol, and there are several: {', '.join(indexes)}; fill in the column, or say --symbol")
    found[unnamed] = default
    found[everything] = ALL_INSTRUMENTS
    return found


def _put_decimals(table: CsvTable, commands: Records, instruments: tuple[Instrument, ...]) -> None:
    """Prices as ticks and quantities as lots, each row's by its own instrument."""
    for index, instrument in enumerate(instruments):
        own = commands["instrument"] == index
        commands["price_ticks"][own] = table.read("price", _fitting(instrument.ticks), own)
        commands["quantity"][own] = table.read("quantity", _fitting(instrument.lots), own)


def _fitting(convert: Callable[[str], int]) -> Callable[[str], int]:
    def meaning(text: str) -> int:
        number = convert(text) if text else 0
        if not -_INT64 <= number < _INT64:
            raise ValueError("it does not fit a 64-bit word")
        return number

    return meaning


def _put_defaults(table: CsvTable, commands: Records) -> None:
    """What an empty column means."""
    enters = commands["kind"] == ENTER
    protects = enters | (commands["kind"] == REPLACE)
    limit = np.where(commands["order_type"] == 0, OrderType.LIMIT, commands["order_type"])
    commands["order_type"][enters] = limit[enters]
    market = enters & (commands["order_type"] == OrderType.MARKET)
    unsaid = enters & (commands["time_in_force"] == 0)
    commands["time_in_force"][unsaid] = np.where(market[unsaid], TimeInForce.IOC, TimeInForce.GTC)
    commands["self_trade"][protects & (commands["self_trade"] == 0)] = SelfTradePrevention.NONE
    commands["modifiers"][market & table.given("price")] |= int(Flag.PROTECTED)


def _times(table: CsvTable) -> Numbers | None:
    for column, meaning in ((TIME_NS, _whole_ns), (TIME, _iso_ns)):
        if table.given(column).any():
            times = table.read(column, meaning)
            falls = np.zeros(len(times), np.bool_)
            falls[1:] = times[1:] < times[:-1]
            table.refuse(falls, f"its {column} is before that of the line above it; sort the file by time")
            return times
    return None


def _whole_ns(text: str) -> int:
    number = int(text)
    if not -_INT64 <= number < _INT64:
        raise ValueError("it does not fit a 64-bit word")
    return number


def _iso_ns(text: str) -> int:
    match = _ISO.fullmatch(text)
    if match is None:
        raise ValueError("it is not ISO 8601 in UTC, such as 2026-01-05T09:30:00.000000001")
    return int(np.datetime64(match.group(1), "ns").astype(np.int64))


def _word(words: Iterable[IntEnum | IntFlag], *, empty: int | None = None) -> Callable[[str], int]:
    """A reader of one of the words of an enum, in small or capital letters."""
    numbers = {str(word.name).lower(): int(word) for word in words}

    def meaning(text: str) -> int:
        if not text and empty is not None:
            return empty
        if text.lower() not in numbers:
            raise ValueError(f"it must be one of {', '.join(numbers)}{nearest(text.lower(), numbers)}")
        return numbers[text.lower()]

    return meaning


def _flags(text: str) -> int:
    one = _word(FLAGS)
    return sum({one(word) for word in text.split()})


def _id(text: str) -> int:
    number = int(text or 0)
    if not 0 <= number < _WORD:
        raise ValueError("it must be a whole number from 0 to 2^64 - 1")
    return number


def _exponent(text: str) -> int:
    """Minus the decimals that a number really has."""
    exponent = _decimal(text).normalize().as_tuple().exponent if text else 0
    return min(0, int(exponent))


def _decimal(text: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise ValueError("it is not a decimal number") from None
    if not number.is_finite():
        raise ValueError("it is not a finite number")
    return number
