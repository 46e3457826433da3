"""Opens the files that can be replayed: finds out which form one has, and the LOBSTER book file that lies beside it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from shm_exchange.domain.errors import ConfigError
from shm_exchange.domain.instrument import Instrument
from shm_exchange.domain.names import nearest
from shm_exchange.protocol.csv_flow import decode_flow, instruments_of
from shm_exchange.protocol.csv_table import CsvTable
from shm_exchange.protocol.flow import Flow
from shm_exchange.protocol.lobster import decode_book, decode_messages, is_messages
from shm_exchange.protocol.lobster_day import Day, day_of, instrument_for
from shm_exchange.protocol.lobster_flow import plan
from shm_exchange.protocol.referee import TICK, decode_orders, is_orders, orders_flow

FORMS = ("auto", "referee", "csv", "lobster")
_MESSAGE, _BOOK = "_message_", "_orderbook_"
_SYMBOL = "REPLAY"

Tell = Callable[[str, int, int], None]
"""Hears what is being done, how much of it is, and how much there is (0: not known)."""


class Source(NamedTuple):
    """A file, understood."""

    form: str
    rows: int
    flow: Flow
    day: Day | None  # of a LOBSTER file
    book: Path | None  # the book file beside it


class Wish(NamedTuple):
    """How a file is to be understood."""

    form: str = "auto"
    session: str = "replay"
    """Of commands for which the file names none."""
    symbol: str | None = None
    """Likewise. Without one: the only instrument."""
    instruments: tuple[Instrument, ...] | None = None
    """Of the exchange it will be replayed on; None: make up what fits the file."""
    rows: int | None = None
    """Only the first rows."""
    book: Path | None = None
    """LOBSTER's book file; None: the one that lies beside the message file, if any."""


def read_content(path: Path) -> bytes:
    """All bytes of a file. Raises ConfigError."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}; give a file that can be replayed") from error


def read_source(path: Path, wish: Wish, tell: Tell = lambda *_: None) -> Source:
    """Open and understand a file. Raises ConfigError, PriceError, QuantityError."""
    tell(f"reading {path.name}", 0, 0)
    content = read_content(path)
    form = _form_of(content) if wish.form == "auto" else wish.form
    if wish.book is not None and form != "lobster":
        raise ConfigError(f"{path} is of form {form}, and only LOBSTER files have a book file; leave --book out")
    if form == "lobster":
        return _lobster(path, content, wish, tell)
    if form == "referee":
        return _referee(path, content, wish)
    return _csv(path, content, wish, tell)


def book_beside(path: Path) -> Path | None:
    """The book file of a message file: LOBSTER names it alike."""
    if _MESSAGE not in path.name:
        return None
    book = path.with_name(_BOOK.join(path.name.rsplit(_MESSAGE, 1)))
    return book if book.is_file() else None


def _form_of(content: bytes) -> str:
    if is_orders(content):
        return "referee"
    return "lobster" if is_messages(content) else "csv"


def _referee(path: Path, content: bytes, wish: Wish) -> Source:
    messages = decode_orders(content, str(path))[: wish.rows]
    instruments = wish.instruments or (Instrument(wish.symbol or _SYMBOL, TICK),)
    if len(messages) and not messages["order_id"].all():
        raise ConfigError(f"{path} has an order with the id 0, which stands for no id here; write the file with ids from 1 on")
    flow = orders_flow(messages, _index(instruments, wish.symbol), wish.session, instruments)
    return Source("referee", len(messages), flow, None, None)


def _csv(path: Path, content: bytes, wish: Wish, tell: Tell) -> Source:
    total = content.count(b"\n")
    table = CsvTable(content, str(path), wish.rows, lambda rows: tell(f"reading {path.name}", rows, total))
    instruments = wish.instruments or instruments_of(table, wish.symbol or _SYMBOL)
    symbol = wish.symbol if wish.instruments else wish.symbol or (_SYMBOL if len(instruments) > 1 else None)
    return Source("csv", table.rows, decode_flow(table, instruments, wish.session, symbol), None, None)


def _lobster(path: Path, content: bytes, wish: Wish, tell: Tell) -> Source:
    messages = decode_messages(content, str(path), wish.rows)
    beside = wish.book or book_beside(path)
    book = None
    if beside is not None:
        tell(f"reading {beside.name}", 0, 0)
        book = decode_book(read_content(beside), str(beside), wish.rows)
        if len(book) != len(messages):
            raise ConfigError(
                f"{path} has {len(messages)} rows and {beside} {len(book)}: they are not of one day; give the right --book, or equal --rows"
            )
    instruments = wish.instruments or (instrument_for(wish.symbol or _symbol_of(path), messages, book),)
    planned = plan(messages, book, lambda row: tell("planning", row, len(messages)))
    day = day_of(messages, book, planned, _index(instruments, wish.symbol), wish.session, instruments)
    return Source("lobster", len(messages), day.flow, day, beside)


def _symbol_of(path: Path) -> str:
    """LOBSTER's files are named by the symbol first."""
    word = path.name.split("_")[0]
    return word if _MESSAGE in path.name and word.isalnum() and word.isascii() and len(word) <= 16 else _SYMBOL


def _index(instruments: tuple[Instrument, ...], symbol: str | None) -> int:
    """Which instrument a file without symbols is about."""
    symbols = [instrument.symbol for instrument in instruments]
    if symbol is None:
        if len(symbols) > 1:
            raise ConfigError(f"the exchange has several instruments, and the file names none: say --symbol, one of {', '.join(symbols)}")
        return 0
    if symbol not in symbols:
        raise ConfigError(f"the exchange has no instrument {symbol!r}{nearest(symbol, symbols)}; it has {', '.join(symbols)}")
    return symbols.index(symbol)
