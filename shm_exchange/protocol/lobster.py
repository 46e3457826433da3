"""LOBSTER's two files: messages of one stock's day, and the book after every one of them.

message file   time, type, order id, size, price, direction       time in seconds after midnight with up to 9 decimals; price × 10,000
book file      ask price, ask size, bid price, bid size, and so on for N levels; row k is the book after message k
direction      1 = buy, -1 = sell: the side of the RESTING order, also of an execution
empty level    price ±9999999999, size 0

Neither has a header. A message file tells only what changes the first N levels. Columns behind the sixth, where newer files name the
participant, are not read.
"""

from __future__ import annotations

import io
from enum import IntEnum

import numpy as np

from shm_exchange.domain.enums import Side
from shm_exchange.domain.errors import ConfigError
from shm_exchange.protocol.flow import Numbers, Records

UNITS_A_DOLLAR = 10_000
"""Prices are whole ten-thousandths."""
SECOND_NS = 1_000_000_000


class Happening(IntEnum):
    """Second column of a message."""

    NEW = 1
    PARTIAL_CANCEL = 2
    DELETE = 3
    EXECUTION = 4
    HIDDEN_EXECUTION = 5
    CROSS = 6
    HALT = 7


VISIBLE = (Happening.NEW, Happening.PARTIAL_CANCEL, Happening.DELETE, Happening.EXECUTION)
"""What changes the visible book."""

HAPPENED = np.dtype([("time_ns", "i8"), ("kind", "u1"), ("side", "u1"), ("order_id", "u8"), ("quantity", "i8"), ("price", "i8")])
"""One message: time after midnight, Happening, Side of the resting order (0 = none), price in ten-thousandths."""
_COLUMNS = np.dtype([("seconds", "f8"), ("kind", "i8"), ("order_id", "i8"), ("quantity", "i8"), ("price", "i8"), ("direction", "i8")])
_FIELDS = 6
_NUMBERS_A_LEVEL = 4
_WORD = 1 << 63
BOOK_LEVEL = np.dtype([("price", "i8"), ("quantity", "i8")])
"""Ten-thousandths and shares; quantity 0 = there is no such level."""


def is_messages(content: bytes) -> bool:
    """Whether the first line of a file looks like a message: six numbers or more."""
    fields = content.split(b"\n", 1)[0].split(b",")
    return len(fields) >= _FIELDS and all(_is_number(field) for field in fields[:_FIELDS])


def decode_messages(content: bytes, name: str, rows: int | None = None) -> Records:
    """HAPPENED records of a message file, at most `rows`. Raises ConfigError, which names the line."""
    table = _table(content, name, _COLUMNS, _FIELDS, rows)
    seconds, direction = table["seconds"], table["direction"]
    visible = np.isin(table["kind"], VISIBLE)
    for what, wrong in (
        ("its time is none of a day, or before the line above it", _is_no_time(seconds)),
        ("its type is none of 1 to 7", (table["kind"] < Happening.NEW) | (table["kind"] > Happening.HALT)),
        ("its direction is neither 1 nor -1", visible & (np.abs(direction) != 1)),
        ("its order id is not above 0", visible & (table["order_id"] <= 0)),
        ("its size is not above 0", visible & (table["quantity"] <= 0)),
        ("its price is not above 0", visible & (table["price"] <= 0)),
    ):
        if wrong.any():
            raise _bad_line(name, int(np.flatnonzero(wrong)[0]) + 1, what)
    messages = np.zeros(len(table), HAPPENED)
    messages["time_ns"] = np.rint(seconds * SECOND_NS)  # a day has 2^47 ns: a double holds them exactly
    messages["side"] = np.select([direction == 1, direction == -1], [Side.BUY, Side.SELL], 0)
    for column in ("kind", "order_id", "quantity", "price"):
        messages[column] = table[column]
    return messages


def decode_book(content: bytes, name: str, rows: int | None = None) -> Records:
    """The levels of a book file as BOOK_LEVEL[rows, 2, N], buy side first, best level first. Raises ConfigError, which names the line."""
    columns = content.split(b"\n", 1)[0].count(b",") + 1
    if columns % _NUMBERS_A_LEVEL:
        raise _bad_line(name, 1, f"{columns} columns are not four for every level")
    numbers = _table(content, name, np.dtype(np.int64), columns, rows).reshape(-1, columns // _NUMBERS_A_LEVEL, _NUMBERS_A_LEVEL)
    negative = (numbers[..., 1::2] < 0).any(axis=(1, 2))
    if negative.any():
        raise _bad_line(name, int(np.flatnonzero(negative)[0]) + 1, "a size is below 0")
    levels = np.zeros((len(numbers), 2, numbers.shape[1]), BOOK_LEVEL)
    for side, (price, quantity) in enumerate(((2, 3), (0, 1))):
        levels["price"][:, side] = np.where(numbers[..., quantity], numbers[..., price], 0)
        levels["quantity"][:, side] = numbers[..., quantity]
    return levels


def _is_no_time(seconds: Numbers) -> Numbers:
    wrong = ~((seconds >= 0) & (seconds < 2 * 86_400))
    wrong[1:] |= seconds[1:] < seconds[:-1]
    return wrong


def _table(content: bytes, name: str, dtype: np.dtype, columns: int, rows: int | None) -> Records:
    """All lines as records of numbers, read by numpy; only a file that it refuses is looked at line by line, to say which."""
    if not content.strip():
        raise ConfigError(f"{name} is empty; give a file of LOBSTER's form")
    lines = io.BytesIO(content)
    try:
        return np.loadtxt(lines, dtype, delimiter=",", comments=None, usecols=range(columns), ndmin=1, max_rows=rows, encoding="latin-1")
    except (ValueError, OverflowError):
        raise _first_bad_line(content, name, dtype, columns) from None


def _first_bad_line(content: bytes, name: str, dtype: np.dtype, columns: int) -> ConfigError:
    kinds = [dtype[column] for column in dtype.names] if dtype.names else [dtype] * columns
    for number, line in enumerate(content.splitlines(), 1):
        fields = line.split(b",")
        if len(fields) < columns:
            return _bad_line(name, number, f"it has {len(fields)} columns, and {columns} are needed")
        for column, (field, kind) in enumerate(zip(fields, kinds, strict=False), 1):
            if not _is_number(field, whole=kind.kind == "i"):
                text = field.decode("latin-1")
                return _bad_line(name, number, f"{text!r} in column {column} is no {'whole ' if kind.kind == 'i' else ''}number")
    return ConfigError(f"{name} cannot be read as numbers with commas between them; give a file of LOBSTER's form")


def _is_number(field: bytes, *, whole: bool = False) -> bool:
    try:
        number = int(field) if whole else float(field)
    except ValueError:
        return False
    return abs(number) < _WORD


def _bad_line(name: str, number: int, why: str) -> ConfigError:
    cure = f", or stop in front of it with --rows {number - 1}" if number > 1 else ""
    return ConfigError(f"{name}, line {number}: {why}; correct the line{cure}")
