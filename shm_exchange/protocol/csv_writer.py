"""A flow as a file of our CSV form; `csv_flow` says what the columns mean, and reads them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from enum import IntEnum

import numpy as np

from shm_exchange.domain.enums import CommandKind, Flag, OrderType, SelfTradePrevention, Side, TimeInForce
from shm_exchange.layout.records import ALL_INSTRUMENTS
from shm_exchange.protocol.csv_flow import ENTER, FLAGS, REDUCE, REPLACE
from shm_exchange.protocol.csv_table import COLUMNS, TIME_NS
from shm_exchange.protocol.flow import Flow, Numbers


def encode_flow(flow: Flow) -> bytes:
    """The file that says a flow; columns that would be empty are left out. Reading it again with the same instruments gives the same flow."""
    commands, instruments = flow.commands, flow.instruments
    kinds, market = commands["kind"], commands["order_type"] == OrderType.MARKET
    priced = ((kinds == ENTER) & (~market | (commands["modifiers"] & Flag.PROTECTED != 0))) | (kinds == REPLACE)
    sized = np.isin(kinds, (ENTER, REDUCE, REPLACE))
    everywhere = commands["instrument"] == ALL_INSTRUMENTS
    indexes = commands["instrument"].tolist()
    texts: dict[str, Sequence[str]] = {
        TIME_NS: [] if flow.time_ns is None else list(map(str, flow.time_ns.tolist())),
        "session": [flow.sessions[number] for number in flow.session_of.tolist()],
        "action": _names(kinds, CommandKind),
        "client_order_id": [str(number) if number else "" for number in commands["client_order_id"].tolist()],
        "symbol": ["" if all_of_them else instruments[index].symbol for index, all_of_them in zip(indexes, everywhere.tolist(), strict=True)],
        "side": _names(commands["side"], Side),
        "price": _decimals(indexes, commands["price_ticks"], priced, [instrument.price for instrument in instruments]),
        "quantity": _decimals(indexes, commands["quantity"], sized, [instrument.quantity for instrument in instruments]),
        "order_type": _names(commands["order_type"], OrderType),
        "time_in_force": _names(commands["time_in_force"], TimeInForce),
        "self_trade": _names(commands["self_trade"], SelfTradePrevention),
        "flags": [" ".join(flag.name.lower() for flag in FLAGS if number & flag and flag.name) for number in commands["modifiers"].tolist()],
    }
    kept = [column for column in COLUMNS if column == "action" or any(texts[column])]
    rows = zip(*(texts[column] for column in kept), strict=True)
    return "".join(",".join(map(_quoted, row)) + "\n" for row in [kept, *rows]).encode()


def _names(numbers: Numbers, words: type[IntEnum]) -> list[str]:
    names = {0: ""} | {int(word): word.name.lower() for word in words}
    return [names[number] for number in numbers.tolist()]


def _decimals(indexes: list[int], numbers: Numbers, meant: Numbers, convert: Sequence[Callable[[int], Decimal]]) -> list[str]:
    """Each distinct number is converted once."""
    said: dict[tuple[int, int], str] = {}
    texts = []
    for index, number, means_something in zip(indexes, numbers.tolist(), meant.tolist(), strict=True):
        if not means_something:
            texts.append("")
            continue
        key = index, number
        if key not in said:
            said[key] = f"{convert[index](number):f}"
        texts.append(said[key])
    return texts


def _quoted(text: str) -> str:
    """A name may hold a comma or a quotation mark."""
    return f'"{text.replace(chr(34), 2 * chr(34))}"' if "," in text or '"' in text else text
