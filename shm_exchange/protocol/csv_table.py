"""A CSV file of our form as columns of text, and the errors that name its lines. What the columns mean stands in `csv_flow`."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from shm_exchange.domain.errors import ConfigError, ExchangeError
from shm_exchange.domain.names import nearest
from shm_exchange.protocol.flow import Numbers

TIME_NS, TIME = "time_ns", "time"
COLUMNS = (
    TIME_NS,
    "session",
    "action",
    "client_order_id",
    "symbol",
    "side",
    "price",
    "quantity",
    "order_type",
    "time_in_force",
    "self_trade",
    "flags",
)
"""In the order in which they are written; `time` may stand for `time_ns`."""
_HEADER_LINES = 1

T = TypeVar("T")


class CsvTable:
    """A file of our form as columns of text. Raises ConfigError, which names the line."""

    def __init__(self, content: bytes, name: str, rows: int | None = None) -> None:
        self.name = name
        try:
            lines = [[field.strip() for field in line] for line in csv.reader(io.StringIO(content.decode("utf-8-sig")), strict=True)]
        except (UnicodeDecodeError, csv.Error) as error:
            raise ConfigError(f"{name} is no CSV in UTF-8: {error}; see `shm-exchange replay --help` for the form") from None
        header = lines[0] if lines else []
        self._check_header(header)
        lines = lines[_HEADER_LINES:] if rows is None else lines[_HEADER_LINES : _HEADER_LINES + rows]
        for index, line in enumerate(lines):
            if len(line) != len(header):
                raise self.bad_row(index, f"it has {len(line)} columns and the header has {len(header)}")
        self.rows = len(lines)
        self._columns = dict(zip(header, zip(*lines, strict=True), strict=False)) if lines else {}

    def _check_header(self, header: Sequence[str]) -> None:
        known = (*COLUMNS, TIME)
        for column in header:
            if column not in known:
                raise ConfigError(f"{self.name}: there is no column {column!r}{nearest(column, known)}; the header row may have {', '.join(known)}")
        if len(set(header)) != len(header) or {TIME_NS, TIME} <= set(header):
            raise ConfigError(f"{self.name}: the header row names a column twice (time and time_ns are one)")
        if "action" not in header:
            raise ConfigError(f"{self.name}: the header row has no column 'action'; it is the one that must be there")

    def texts(self, column: str) -> Sequence[str]:
        """The fields of a column; empty ones where it is not there."""
        return self._columns.get(column) or ("",) * self.rows

    def read(self, column: str, meaning: Callable[[str], T], among: Sequence[int] | None = None) -> list[T]:
        """What the fields of a column (among these rows) mean. Each distinct text is asked for once; a ValueError becomes the line's error."""
        texts = self.texts(column)
        if among is not None:
            texts = [texts[index] for index in among]
        meanings: dict[str, T] = {}
        for text in dict.fromkeys(texts):
            try:
                meanings[text] = meaning(text)
            except (ValueError, ExchangeError) as error:
                index = texts.index(text)
                raise self.bad_row(index if among is None else among[index], f"{column} {text!r}: {error}") from None
        return [meanings[text] for text in texts]

    def given(self, column: str) -> Numbers:
        """bool[rows]: where a column says something."""
        return np.array(self.read(column, bool), np.bool_)

    def refuse(self, wrong: Numbers, why: str) -> None:
        """Raise ConfigError about the first row (of bool[rows]) that is wrong."""
        if wrong.any():
            raise self.bad_row(int(np.flatnonzero(wrong)[0]), why)

    def bad_row(self, index: int, why: str) -> ConfigError:
        """The error about a row (from 0)."""
        return ConfigError(f"{self.name}, line {index + 1 + _HEADER_LINES}: {why}")
