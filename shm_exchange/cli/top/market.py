"""The panels of the market: the ladder of one book, the last trades, and the best prices of all books. Pure."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from rich.text import Text

from shm_exchange.cli.top.alarms import age_text
from shm_exchange.cli.top.panels import Lines, Shown
from shm_exchange.cli.top.reading import Reading
from shm_exchange.cli.top.tape import Trade
from shm_exchange.cli.top.text import BUY, BUY_BAR, DIM, SELL, SELL_BAR, Column, bar_line, block, cell, clock_text, heading, number, row
from shm_exchange.client import Depth
from shm_exchange.client.view import Level
from shm_exchange.domain.enums import Side

_MIDDLE = Text("│", style=DIM)


def ladder(reading: Reading, shown: Shown, size: tuple[int, int]) -> Lines:
    """The book of the chosen instrument: bids and asks side by side, the best on top, with bars of what is open there."""
    width, height = size
    symbols = [instrument.symbol for instrument in reading.config.instruments]
    place = f" {symbols.index(shown.symbol) + 1}/{len(symbols)}" if len(symbols) > 1 else ""
    book = reading.books.get(shown.symbol)
    if book is None:
        why = "not read yet" if shown.symbol not in reading.busy else "overwritten while it was read"
        return [bar_line(f"{shown.symbol}{place}", "", width), cell(f" {why}", width, style=DIM)]
    lines = [bar_line(Text(f"{shown.symbol}{place}").append(_market(book), style="not bold"), Text(_age(reading, book), style="not bold"), width)]
    if not book.bids and not book.asks:
        return [*lines, cell(" the book is empty", width, style=DIM)]
    levels = max(len(book.bids), len(book.asks))
    sizes = _ladder_sizes(book, width)
    highest = max((level.quantity for level in (*book.bids, *book.asks)), default=Decimal(1)) or Decimal(1)
    columns = _ladder_columns(sizes)
    for index in range(min(levels, height - 1)):
        bid, ask = (side[index] if index < len(side) else None for side in (book.bids, book.asks))
        bids, asks = (_half(level, highest, sizes.bar, is_bid=level is bid, is_best=not index) for level in (bid, ask))
        lines.append(cell(row(columns, [*bids, _MIDDLE, *reversed(asks)]), width))
    return lines


def _market(book: Depth) -> str:
    last = f"   last {book.last.price} × {amount(book.last.quantity)}" if book.last else ""
    spread = f"   spread {book.ask.price - book.bid.price}" if book.bid and book.ask else ""
    return last + spread


def _age(reading: Reading, book: Depth) -> str:
    """How old the newest change of the visible book is; of a book that no longer changes: when that was."""
    if not book.time_ns:
        return ""
    seconds = max(0, reading.clock_ns - book.time_ns) / 1e9
    return f"{age_text(seconds)} old" if reading.is_live else f"at {clock_text(book.time_ns, digits=0)}"


class _Sizes(NamedTuple):
    price: int
    quantity: int
    bar: int


def _ladder_sizes(book: Depth, width: int) -> _Sizes:
    levels = [*book.bids, *book.asks]
    price = max(len(str(level.price)) for level in levels)
    quantity = max(len(amount(level.quantity)) for level in levels)
    return _Sizes(price, quantity, max(0, (width - 8 - 2 * (price + quantity + 2)) // 2))


def _ladder_columns(sizes: _Sizes) -> list[Column]:
    bids = [Column("", sizes.bar), Column("", sizes.quantity + 1, right=True), Column("", sizes.price + 1, right=True)]
    return [*bids, Column("", 1), Column("", sizes.price), Column("", sizes.quantity + 1, right=True), Column("", sizes.bar + 1, right=True)]


def _half(level: Level | None, highest: Decimal, width: int, *, is_bid: bool, is_best: bool) -> list[str | Text]:
    """Bar, quantity and price of one level of one side."""
    if level is None:
        return ["", "", ""]
    style = BUY if is_bid else SELL
    shade = block(float(level.quantity / highest), width, BUY_BAR if is_bid else SELL_BAR, leans_right=is_bid)
    return [shade, amount(level.quantity), Text(str(level.price), style=f"bold {style}" if is_best else style)]


def amount(quantity: Decimal) -> str:
    """A quantity with all its digits."""
    return f"{quantity:,}"


def tape(reading: Reading, shown: Shown, size: tuple[int, int]) -> Lines:
    """The last trades, the newest on top; the side is the incoming order's."""
    width, height = size
    trades = reading.trades.get(None if shown.all_trades else shown.symbol, [])[: max(0, height - 1)]
    unseen = f"{number(reading.events_unseen)} events unseen" if reading.events_unseen else ""
    what = "trades of all" if shown.all_trades else "trades"
    lines = [bar_line(what, Text(unseen, style="not bold"), width)]
    if not trades:
        return [*lines, cell(" none seen yet" if reading.is_live else " none in the last events", width, style=DIM)]
    digits = 3 if width >= 34 else 0
    price = max(len(str(trade.price)) for trade in trades)
    quantity = max(len(amount(trade.quantity)) for trade in trades)
    symbol = max(len(trade.symbol) for trade in trades) if shown.all_trades else 0
    columns = [Column("", 12 if digits else 8), *([Column("", symbol)] if symbol else []), Column("", 4), Column("", price, right=True)]
    columns.append(Column("", max(quantity, min(quantity + 2, width - sum(c.width + 1 for c in columns) - 1)), right=True))
    return [*lines, *(cell(row(columns, _trade_cells(trade, digits, with_symbol=bool(symbol))), width) for trade in trades)]


def _trade_cells(trade: Trade, digits: int, *, with_symbol: bool) -> list[Text]:
    word, style = ("buy", BUY) if trade.side is Side.BUY else ("sell", SELL)
    cells = [Text(clock_text(trade.time_ns, digits=digits), style=DIM)]
    cells += [Text(trade.symbol)] if with_symbol else []
    return [*cells, Text(word, style=style), Text(str(trade.price), style=style), Text(amount(trade.quantity))]


def tops(reading: Reading, shown: Shown, size: tuple[int, int]) -> Lines:
    """The best prices of all books that were read; the chosen one is marked and always in sight."""
    width, height = size
    symbols = list(reading.books)
    room = max(1, height - 1)
    first = max(0, min(symbols.index(shown.symbol) - room // 2, len(symbols) - room)) if shown.symbol in symbols else 0
    each = max(6, (width - 24) // 5)
    titles = ("bid size", "bid", "ask", "ask size", "last")
    columns = [Column("books", 18), *(Column(text, each - 1, right=True) for text in titles)]
    lines = [heading(columns, width)]
    for symbol in symbols[first : first + room]:
        book, mark = reading.books[symbol], "▸ " if symbol == shown.symbol else "  "
        cells = [Text(mark + symbol, style="bold" if symbol == shown.symbol else ""), *_top_cells(book)]
        lines.append(cell(row(columns, cells), width))
    return lines


def _top_cells(book: Depth) -> list[Text]:
    bid, ask = book.bid, book.ask
    return [
        Text(amount(bid.quantity) if bid else "-"),
        Text(str(bid.price) if bid else "-", style=BUY),
        Text(str(ask.price) if ask else "-", style=SELL),
        Text(amount(ask.quantity) if ask else "-"),
        Text(str(book.last.price) if book.last else "-"),
    ]
