"""Records of the rings in words. The memory is not trusted: a number without a word is shown as it is, with a question mark."""

from __future__ import annotations

from datetime import datetime
from enum import IntEnum
from typing import Any

import numpy as np

from shm_exchange.domain.enums import (
    REASONS,
    CommandKind,
    EventKind,
    Flag,
    OrderType,
    Role,
    SelfTradePrevention,
    Side,
    TimeInForce,
)
from shm_exchange.domain.instrument import Instrument
from shm_exchange.domain.limits import POSITION_BITS
from shm_exchange.domain.names import words_name
from shm_exchange.layout.records import ALL_INSTRUMENTS, LOGON

Words = dict[str, Any]
Instruments = tuple[Instrument, ...]


def command_words(record: np.void, instruments: Instruments) -> Words:
    """A COMMAND or LOG_RECORD."""
    raw = _fields(record)
    kind = word(CommandKind, raw["kind"])
    found = {"command_id": raw.get("command_id", raw.get("number")), "kind": kind, "time_ns": raw["time_ns"]}
    if raw["kind"] == CommandKind.LOGON:
        names = np.array([record]).view(LOGON)[0]
        session, account = (words_name(names[f"{what}_low"], names[f"{what}_high"]) for what in ("session", "account"))
        return found | {"session": session, "account": account}
    found |= {"symbol": _symbol(raw["instrument"], instruments), "side": word(Side, raw["side"])}
    found |= _amounts(raw, instruments)
    found |= {
        "order_type": word(OrderType, raw["order_type"]),
        "time_in_force": word(TimeInForce, raw["time_in_force"]),
        "self_trade": word(SelfTradePrevention, raw["self_trade"]),
        "modifiers": _flags(raw["modifiers"]),
    }
    return found | {name: raw[name] for name in ("order_id", "client_order_id", "price_ticks", "quantity", "terms")}


def event_words(record: np.void, instruments: Instruments) -> Words:
    """An EVENT or a REPORT."""
    raw = _fields(record)
    reasons = REASONS.get(raw["kind"])
    found = {"number": raw["number"], "kind": word(EventKind, raw["kind"]), "reason": word(reasons, raw["reason"]) if reasons else None}
    found |= {"symbol": _symbol(raw["instrument"], instruments), "side": word(Side, raw["side"])} | _amounts(raw, instruments)
    if "role" in raw:
        found["role"] = word(Role, raw["role"])
    if "order_type" in raw:
        found["order_type"] = word(OrderType, raw["order_type"])
    return found | {name: value for name, value in raw.items() if name not in found and name != "instrument"}


def command_text(words: Words) -> str:
    """A command on one line."""
    kind = words["kind"]
    if kind == "LOGON":
        return f"LOGON {words['session']} for account {words['account']}"
    if kind == "LOGOFF":
        return "LOGOFF"
    terms = (words["order_type"], words["time_in_force"], words["modifiers"], stp if (stp := words["self_trade"]) != "NONE" else None)
    price = None if words["order_type"] == "MARKET" and not words["price_ticks"] else words["price_text"]
    parts = {
        "ENTER": (words["side"], words["quantity_text"], words["symbol"], price and f"@ {price}", *terms),
        "CANCEL": (_target(words),),
        "REDUCE": (_target(words), f"by {words['quantity_text']}"),
        "REPLACE": (_target(words), f"{words['quantity_text']} @ {words['price_text']}", words["modifiers"]),
        "MASS_CANCEL": (words["side"], words["symbol"], words["modifiers"]),
    }.get(kind, (f"order {words['order_id']}, {words['quantity']} @ {words['price_ticks']}",))
    return " ".join(str(part) for part in (kind, *parts) if part)


def event_text(words: Words) -> str:
    """An event or report on one line."""
    kind = words["kind"]
    if kind in ("LOGGED_ON", "LOGGED_OFF"):
        return str(kind)
    if kind == "MASS_CANCELED":
        return f"MASS_CANCELED {words['quantity']} orders"
    parts = [kind, words["reason"], words["side"], words["quantity_text"], words["symbol"], f"@ {words['price_text']}", words.get("order_type")]
    order = f"order {id_text(words['order_id'])}"
    if words.get("resting_order_id"):
        order += f" met {id_text(words['resting_order_id'])}"
    if words.get("role"):
        order += f" {words['role']}"
    if "leaves_quantity" in words:
        order += f", leaves {words['leaves_text']}"
    return " ".join(str(part) for part in parts if part) + f", {order}"


def id_text(number: int) -> str:
    """An order or command id as lane:position."""
    return f"{number >> POSITION_BITS}:{number & ((1 << POSITION_BITS) - 1)}"


def time_of_day(time_ns: int) -> str:
    """A moment of the sequenced time, to the microsecond."""
    try:
        return datetime.fromtimestamp(time_ns // 1_000_000_000).astimezone().strftime("%H:%M:%S") + f".{time_ns // 1000 % 1_000_000:06}"
    except (OverflowError, ValueError, OSError):
        return f"?{time_ns}"


def word(words: type[IntEnum], number: int) -> str | None:
    """The name of a number; None for 0, which is never a word."""
    try:
        return words(number).name if number else None
    except ValueError:
        return f"?{number}"


def _target(words: Words) -> str:
    if words["order_id"]:
        return f"order {id_text(words['order_id'])}"
    return f"client order {words['client_order_id']}"


def _flags(bits: int) -> str | None:
    known = [flag.name for flag in Flag if bits & flag]
    rest = bits & ~sum(Flag)
    return "|".join([name for name in known if name] + ([f"?{rest}"] if rest else [])) or None


def _symbol(index: int, instruments: Instruments) -> str | None:
    if index == ALL_INSTRUMENTS:
        return "ALL"
    return instruments[index].symbol if index < len(instruments) else f"?{index}"


def _amounts(raw: Words, instruments: Instruments) -> Words:
    """Prices and quantities as decimals; those of an unknown instrument as ticks and lots."""
    index = raw["instrument"]
    instrument = instruments[index] if index < len(instruments) else None
    price = str(instrument.price(raw["price_ticks"])) if instrument else f"{raw['price_ticks']} ticks"
    found = {"price_text": price}
    for name in ("quantity", "leaves_quantity"):
        if name in raw:
            text = name.replace("_quantity", "") + "_text"
            found[text] = str(instrument.quantity(raw[name])) if instrument else f"{raw[name]} lots"
    return found


def _fields(record: np.void) -> Words:
    return {name: int(record[name]) for name in record.dtype.names or ()}
