"""Looks and figures as lines of text: every panel of the screen is a function of what was read and of its size. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from rich.text import Text

from shm_exchange.cli.screen import bytes_text, duration_text
from shm_exchange.cli.top.alarms import Alarm, Severity, age_text
from shm_exchange.cli.top.figures import Figures
from shm_exchange.cli.top.probe import RoundTrips
from shm_exchange.cli.top.reading import Reading
from shm_exchange.cli.top.tape import Trade
from shm_exchange.cli.top.text import (
    BAD,
    BANNER,
    BUY,
    BUY_BAR,
    DIM,
    GOOD,
    SELL,
    SELL_BAR,
    TITLE,
    WARN,
    Column,
    bar_line,
    block,
    cell,
    chart,
    heading,
    number,
    percent,
    row,
    spark,
)
from shm_exchange.client import Depth
from shm_exchange.client.view import Level
from shm_exchange.domain.enums import Side

Lines = list[Text]
HEADLINE_HEIGHT = 3
_MIDDLE = Text("│", style=DIM)
_FIGURE_WIDTH = 9
_ROOMY = 100
"""Columns from which there is room for more than the most important."""
_SIGNS = {Severity.ERROR: "✖ ", Severity.WARNING: "▲ ", Severity.NOTE: "· "}
_STYLES = {Severity.ERROR: BANNER, Severity.WARNING: WARN, Severity.NOTE: DIM}
_STATES = {"running": ("● running", GOOD), "starting": ("◌ starting", WARN), "stopped": ("■ ended", WARN), "dead": ("✖ dead", BAD)}


class Shown(NamedTuple):
    """What the user has chosen to see."""

    symbol: str
    all_trades: bool = False
    paused: bool = False
    first_row: int = 0
    """Of the participants."""


def state_of(reading: Reading) -> tuple[str, str]:
    """The exchange's state as a word, and its colour."""
    if not reading.is_current:
        return "✖ gone", BAD
    matcher = reading.processes.get(reading.status["matcher_pid"])
    if matcher is not None and matcher.state == "stopped":
        return "✖ matcher stopped", BAD
    return _STATES.get(reading.status["matcher"], ("? unknown", BAD))


def title(reading: Reading, shown: Shown, width: int) -> Text:
    """The name, the state, the time of the look."""
    state, _ = state_of(reading)
    left = Text("shm-exchange top  ").append(reading.config.name).append(f"   {state}")
    if reading.is_live:
        left.append(f"   up {age_text((reading.clock_ns - reading.started_ns) / 1e9)}", style="not bold")
    if width >= _ROOMY:
        left.append(f"   {bytes_text(reading.status['memory_bytes'])} of shared memory", style="not bold")
    if shown.paused:
        left.append("   ‖ paused")
    own = f"this screen: {percent(reading.own_cpu)} cpu   " if reading.own_cpu is not None and width >= _ROOMY else ""
    right = Text(f"{own}{clock_text(reading.clock_ns, digits=0)} ", style="not bold")
    return bar_line(left, right, width, TITLE if reading.is_live else BANNER)


def headline(reading: Reading, figures: Figures, trips: RoundTrips | None, width: int) -> Lines:
    """The most important figures with their words below, and a line with the last minutes and the round trip."""
    items = _headline_items(reading, figures)
    air = 1 if width < _ROOMY else 4
    while len(items) > 3 and sum(_figure_width(item) + air for item in items) > width - 2:
        items.pop()
    spare = max(0, width - 2 - sum(_figure_width(item) + 1 for item in items)) // len(items)
    columns = [Column("", _figure_width(item) + spare, right=True) for item in items]
    values = row(columns, [value for value, _ in items], "bold")
    words = row(columns, [word for _, word in items], DIM)
    latency = _latency(reading, trips)
    room = max(0, width - 2 - latency.cell_len)
    line = Text(" ").append_text(_pulse(reading, figures, room)).append_text(latency)
    return [cell(values, width), cell(words, width), cell(line, width)]


def _figure_width(item: tuple[str, str]) -> int:
    """Of a figure and its word; it does not change with every digit."""
    return max(_FIGURE_WIDTH, *(len(text) for text in item))


def _headline_items(reading: Reading, figures: Figures) -> list[tuple[str, str]]:
    """Live: rates; else what it came to. Values and their words, the most important first."""
    status = reading.status
    times = [
        (_duration(figures.command_ns), "a command"),
        (_duration(figures.sweep_ns), "a sweep"),
        ("-" if figures.batch is None else f"{figures.batch:,.1f}", "in a sweep"),
    ]
    totals = [(number(status[name]), name) for name in ("commands", "trades", "rejects")]
    if not reading.is_live:
        return [*totals, (number(status["open_orders"]), "open"), *times, (number(status["events"]), "events")]
    return [
        (number(figures.commands), "commands/s"),
        (number(figures.trades), "trades/s"),
        (number(figures.rejects), "rejects/s"),
        (number(status["open_orders"]), "open"),
        (percent(figures.busy), "matcher busy"),
        *times[:2],
        *totals[:2],
        times[2],
        (number(figures.parks), "sleeps/s"),
        (number(figures.events), "events/s"),
    ]


def _duration(nanoseconds: float | None) -> str:
    if nanoseconds is None:
        return "-"
    return f"{nanoseconds:,.0f} ns" if nanoseconds < 1000 else duration_text(round(nanoseconds))


def _pulse(reading: Reading, figures: Figures, width: int) -> Text:
    """Commands a second of the last seconds, as far as there is room."""
    if not reading.is_live:
        return cell("its book, lanes and counters as they were last", width, style=DIM)
    if not any(figures.history):
        return cell("no commands yet" if not reading.status["commands"] else "no commands lately", width, style=DIM)
    bars = min(len(figures.history), 60, max(0, width - 18))
    highest = f" peak {number(max(figures.history[-bars:], default=0))}/s"
    return cell(spark(figures.history, bars).append(highest, style=DIM), width)


def _latency(reading: Reading, trips: RoundTrips | None) -> Text:
    if trips is None:
        return Text("round trip: --probe measures it" if reading.is_live else "", style=DIM)
    if not trips.measured:
        return Text("round trip: no answer yet", style=DIM)
    words = "  ".join(f"{word} {duration_text(value)}" for word, value in trips.words())
    return Text("round trip ", style=DIM).append(words, style="bold").append(f"  of {trips.measured:,}", style=DIM)


def alarm_lines(found: Sequence[Alarm], width: int, limit: int | None = None) -> Lines:
    """Alarms, wrapped; at most `limit` lines, the last of which says how many are not shown."""
    if not found:
        return [cell(" no warnings", width, style=DIM)]
    lines: Lines = []
    for index, alarm in enumerate(found):
        wrapped = textwrap.wrap(alarm.text, max(20, width - 4), break_on_hyphens=False)
        is_last = index == len(found) - 1
        if limit is not None and index and len(lines) + len(wrapped) + (not is_last) > limit:
            rest = f" … and {len(found) - index} more: w shows all"
            return [*lines, cell(rest, width, style=DIM)] if len(lines) < limit else [*lines[:-1], cell(f"{rest}", width, style=DIM)]
        for part, text in enumerate(wrapped):
            lines.append(cell(f" {'  ' if part else _SIGNS[alarm.severity]}{text}", width, style=_STYLES[alarm.severity]))
    return lines[:limit]


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


def pace(reading: Reading, figures: Figures, size: tuple[int, int]) -> Lines:
    """Commands a second of the last minutes as a chart."""
    width, height = size
    values = figures.history[-max(1, width - 2) :]
    lines = [bar_line("commands/s", Text(f"peak {number(max(values, default=None))}" if values else "", style="not bold"), width)]
    if not reading.is_live:
        return [bar_line("commands/s", "", width), cell(" it has come to an end", width, style=DIM)]
    if height < 3 or not values:
        return lines
    bars = (Text(" ").append_text(line) for line in chart(values, width - 2, height - 2))
    return [*lines, *bars, cell(f"{_span(len(values))} ", width, right=True, style=DIM)]


def _span(seconds: int) -> str:
    return f"the last {seconds} s" if seconds < 120 else f"the last {seconds // 60} min"


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


def clock_text(nanoseconds: int, *, digits: int = 3) -> str:
    """Local time of day."""
    text = datetime.fromtimestamp(nanoseconds / 1e9).astimezone().strftime("%H:%M:%S.%f")
    return text[: 9 + digits] if digits else text[:8]
