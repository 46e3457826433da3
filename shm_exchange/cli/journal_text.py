"""Commands of a log as people read them: one a line, in the words of the API, with prices and quantities as decimals."""

from __future__ import annotations

from enum import IntEnum, IntFlag
from typing import Any

import numpy as np

from shm_exchange.domain.config import ExchangeConfig
from shm_exchange.domain.enums import Admission, CommandKind, Flag, OrderType, SelfTradePrevention, Side, TimeInForce
from shm_exchange.domain.limits import POSITION_BITS
from shm_exchange.domain.names import words_name
from shm_exchange.layout.records import ALL_INSTRUMENTS, COMMAND, LOG_RECORD, LOGON

_RAW = (
    "order_id",
    "client_order_id",
    "price_ticks",
    "quantity",
    "side",
    "order_type",
    "time_in_force",
    "self_trade",
    "modifiers",
    "instrument",
    "terms",
)


def session_of(record: np.void) -> int:
    """The lane from which a command came; 0 for the matcher's own."""
    return int(record["command_id"]) >> POSITION_BITS


def time_text(record: np.void) -> str:
    """The sequenced time of a command: UTC, to the nanosecond."""
    return str(np.datetime64(int(record["time_ns"]), "ns"))


def record_line(number: int, record: np.void, config: ExchangeConfig) -> str:
    """Number, time, session and words of one log record."""
    return f"{number:>10}  {time_text(record)}Z  {session_of(record):>4}  {command_text(record, config)}"


def record_figures(number: int, term: int, record: np.void, config: ExchangeConfig) -> dict[str, Any]:
    """One log record as JSON values: as it is, and in words."""
    head = {"number": number, "term": term, "time_ns": int(record["time_ns"]), "session": session_of(record), "command_id": int(record["command_id"])}
    return head | {"kind": _word(CommandKind, record["kind"]), "text": command_text(record, config)} | {name: int(record[name]) for name in _RAW}


def command_text(record: np.void, config: ExchangeConfig) -> str:
    """What one log record asks for. Whatever cannot be said in words, because a gateway wrote nonsense, is said in numbers."""
    words = [_word(CommandKind, record["kind"]), *_order_words(record, config)]
    words += [flag.name or str(flag.value) for flag in Flag if int(record["modifiers"]) & flag]
    if unknown := int(record["modifiers"]) & ~sum(Flag):
        words.append(f"modifiers {unknown}")
    if record["self_trade"] not in (0, SelfTradePrevention.NONE):
        words.append(_word(SelfTradePrevention, record["self_trade"]))
    return " ".join(words)


def _order_words(record: np.void, config: ExchangeConfig) -> list[str]:
    """What follows the kind."""
    kind, market = record["kind"], _Market(record, config)
    if kind == CommandKind.ENTER:
        words = [_word(Side, record["side"]), market.quantity, market.symbol, *market.limit, _word(TimeInForce, record["time_in_force"])]
        return [*words, f"order {int(record['command_id'])}", *_client(record)]
    if kind == CommandKind.CANCEL:
        return _target(record)
    if kind == CommandKind.REDUCE:
        return [*_target(record), "by", f"{int(record['quantity'])} lots"]
    if kind == CommandKind.REPLACE:
        return [*_target(record), "to", f"{int(record['quantity'])} lots", "@", f"{int(record['price_ticks'])} ticks"]
    if kind == CommandKind.MASS_CANCEL:
        return [market.symbol, *([_word(Side, record["side"])] if record["side"] else []), *_client(record)]
    if kind == CommandKind.LOGON:
        names = np.frombuffer(record.tobytes(), LOGON)[0]
        session, account = (words_name(names[f"{what}_low"], names[f"{what}_high"]) for what in ("session", "account"))
        return [ascii(session)[1:-1], "account", ascii(account)[1:-1]]
    if kind == CommandKind.ADMIT:
        return [_word(Admission, record["quantity"])]
    return []


class _Market:
    """What a command says of an instrument, in the instrument's own decimals; in ticks and lots where there is no such instrument."""

    def __init__(self, record: np.void, config: ExchangeConfig) -> None:
        index, ticks, lots = (int(record[name]) for name in ("instrument", "price_ticks", "quantity"))
        known = config.instruments[index] if index < len(config.instruments) else None
        self.symbol = known.symbol if known else "ALL" if index == ALL_INSTRUMENTS else f"instrument {index}"
        self.quantity = str(known.quantity(lots)) if known else f"{lots} lots"
        price = str(known.price(ticks)) if known else f"{ticks} ticks"
        is_market = record["order_type"] == OrderType.MARKET
        self.limit = ["@", price] if not is_market or ticks else []
        if record["order_type"] != OrderType.LIMIT:
            self.limit.insert(0, _word(OrderType, record["order_type"]))


def _target(record: np.void) -> list[str]:
    return ["order", str(int(record["order_id"]))] if record["order_id"] else _client(record)


def _client(record: np.void) -> list[str]:
    return ["client", str(int(record["client_order_id"]))] if record["client_order_id"] else []


def _word(words: type[IntEnum | IntFlag], number: Any) -> str:
    try:
        return words(int(number)).name or str(number)
    except ValueError:
        return f"{words.__name__} {int(number)}"


assert set(_RAW) < set(COMMAND.names or ()) & set(LOG_RECORD.names or ())
