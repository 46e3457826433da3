"""A CSV file of our form as columns of text, and the errors that name its lines. What the columns mean stands in `csv_flow`.

A column is kept as its distinct texts and a number for every row: each text is understood once, and the rest is numpy.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from itertools import islice

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
_ROWS_AT_ONCE = 1 << 14


class CsvTable:
    """A file of our form as columns of text. Raises ConfigError, which names the line."""

    def __init__(self, content: bytes, name: str, rows: int | None = None, tell: Callable[[int], None] = lambda _: None) -> None:
        """rows: at most so many; tell: hears now and then how many are read."""
        self.name = name
        self.rows = 0
        self._places: dict[str, dict[str, int]] = {}
        self._codes: dict[str, list[Numbers]] = {}
        try:
            lines = csv.reader(io.StringIO(content.decode("utf-8-sig")), strict=True)
            header = [field.strip() for field in next(lines, [])]
            self._check_header(header)
            wanted = islice(lines, rows)
            while chunk := list(islice(wanted, _ROWS_AT_ONCE)):
                self._take(header, chunk)
                tell(self.rows)
        except (UnicodeDecodeError, csv.Error) as error:
            raise ConfigError(f"{name} is no CSV in UTF-8: {error}; see `shm-exchange replay --help` for the form") from None

    def _take(self, header: Sequence[str], lines: Sequence[Sequence[str]]) -> None:
        """Turn some rows into numbers of texts, so that the texts themselves can be forgotten."""
        for index, line in enumerate(lines, self.rows):
            if len(line) != len(header):
                raise self.bad_row(index, f"it has {len(line)} columns and the header has {len(header)}")
        for column, texts in zip(header, zip(*lines, strict=True), strict=True):
            places = self._places.setdefault(column, {})
            distinct = dict.fromkeys(texts)
            for text in distinct:
                places.setdefault(text, len(places))
            if len(distinct) == 1:
                codes = np.full(len(texts), places[texts[0]])
            else:
                codes = np.fromiter(map(places.__getitem__, texts), np.int64, len(texts))
            self._codes.setdefault(column, []).append(codes)
        self.rows += len(lines)

    def _check_header(self, header: Sequence[str]) -> None:
        known = (*COLUMNS, TIME)
        for column in header:
            if column not in known:
                raise ConfigError(f"{self.name}: there is no column {column!r}{nearest(column, known)}; the header row may have {', '.join(known)}")
        if len(set(header)) != len(header) or {TIME_NS, TIME} <= set(header):
            raise ConfigError(f"{self.name}: the header row names a column twice (time and time_ns are one)")
        if "action" not in header:
            raise ConfigError(f"{self.name}: the header row has no column 'action'; it is the one that must be there")

    def column(self, name: str) -> tuple[list[str], Numbers]:
        """The distinct texts of a column, in order of appearance, and for each row (i8) which of them it has. A column that is not there is empty."""
        if name not in self._places:
            return [""], np.zeros(self.rows, np.int64)
        self._codes[name] = [np.concatenate(self._codes[name])]
        return [text.strip() for text in self._places[name]], self._codes[name][0]

    def read(self, column: str, meaning: Callable[[str], int], among: Numbers | None = None, dtype: type[np.generic] = np.int64) -> Numbers:
        """What the fields of a column mean; `among`, bool[rows]: only those of these rows. A ValueError becomes the error of its line."""
        texts, codes = self.column(column)
        own = codes if among is None else codes[among]
        meanings = np.zeros(len(texts), dtype)
        for place in np.unique(own).tolist():
            try:
                meanings[place] = meaning(texts[place])
            except (ValueError, ExchangeError) as error:
                wrong = codes == place if among is None else among & (codes == place)
                raise self.bad_row(int(np.flatnonzero(wrong)[0]), f"{column} {texts[place]!r}: {error}") from None
        found: Numbers = meanings[own]
        return found

    def given(self, column: str) -> Numbers:
        """bool[rows]: where a column says something."""
        return self.read(column, bool).astype(np.bool_)

    def refuse(self, wrong: Numbers, why: str) -> None:
        """Raise ConfigError about the first row (of bool[rows]) that is wrong."""
        if wrong.any():
            raise self.bad_row(int(np.flatnonzero(wrong)[0]), why)

    def bad_row(self, index: int, why: str) -> ConfigError:
        """The error about a row (from 0)."""
        return ConfigError(f"{self.name}, line {index + 1 + _HEADER_LINES}: {why}")
