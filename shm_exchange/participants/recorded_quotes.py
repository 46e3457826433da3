"""Recorded quotes of several venues: CSV with a head, a row a quote, in the order of time.

timestamp,venue,symbol,bid,ask,bid_size,ask_size
2026-01-01T00:00:00Z,Binance,BTC,42000,42001,5,5
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from shm_exchange.domain.errors import ConfigError
from shm_exchange.participants.quote_book import VenueTick
from shm_exchange.pipeline.feed_wire import BadFrame, shown, tick_of

COLUMNS = ("timestamp", "venue", "symbol", "bid", "ask", "bid_size", "ask_size")
_VENUE_CHARACTERS = 32


def read_quotes(path: Path) -> Iterator[VenueTick]:
    """The quotes of a file, as they stand there. Raises ConfigError, with the line, when it comes to one that is wrong."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = csv.reader(file, strict=True)
            head = next(rows, [])
            if [column.strip() for column in head] != list(COLUMNS):
                raise ConfigError(f"{path}: the first line must be {','.join(COLUMNS)}, not {shown(','.join(head))}")
            for row in rows:
                if row:
                    yield _quote(row, f"{path}, line {rows.line_num}")
    except OSError as error:
        raise ConfigError(f"cannot read the quotes in {path}: {error.strerror}") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is no CSV: {error}") from error


def _quote(row: list[str], place: str) -> VenueTick:
    if len(row) != len(COLUMNS):
        raise ConfigError(f"{place}: {len(row)} values, where the head names {len(COLUMNS)}")
    values = dict(zip(COLUMNS, (value.strip() for value in row), strict=True))
    venue, moment = values.pop("venue"), values["timestamp"]
    if not venue or len(venue) > _VENUE_CHARACTERS or not venue.isprintable():
        raise ConfigError(f"{place}: venue must be 1 to {_VENUE_CHARACTERS} printable characters, not {shown(venue)}")
    try:
        is_number = moment.isascii() and moment.isdigit() and len(moment) < 20
        return VenueTick(venue, tick_of(values | {"timestamp": int(moment) if is_number else moment}))
    except BadFrame as error:
        raise ConfigError(f"{place}: {error}") from None
