"""What the demo looks like, in 80 columns: the moving picture, the line a second, and the summary."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from shm_exchange.cli.screen import duration_text, table

if TYPE_CHECKING:
    from shm_exchange.cli.simulation import Moment, Plan
    from shm_exchange.client.view import Depth, Level

WIDTH = 80
_CHECKS = {
    "reports_gapless": "every session got its reports 1, 2, 3 … without a gap",
    "quantity_conserved": "every order: quantity = filled + canceled + still open",
    "both_sides_told": "every trade was told to both sides, bought = sold",
    "book_check": "the matcher's book: links, totals, indexes, not crossed",
    "replica_equals_engine": "the book rebuilt from events is the matcher's, order by order",
    "snapshot_equals_replica": "the snapshot shows the top of that very book",
    "snapshots_never_back": "no snapshot was older than one read before",
}


def line(moment: Moment, plan: Plan) -> str:
    """Progress as one line of text."""
    tops = "  ".join(f"{symbol} {_price(book.bid)}/{_price(book.ask)}" for symbol, book in moment.books.items())
    return f"{moment.seconds:5.1f} s  {moment.orders:>9,} of {plan.orders:,} orders  {_speed(moment):>7,.0f}/s  {moment.trades:>7,} trades  {tops}"


def picture(moment: Moment, plan: Plan) -> Panel:
    """Progress as a panel."""
    counts = Table.grid(padding=(0, 2), expand=True)
    figures = (moment.orders, moment.trades, moment.rejects, moment.open_orders, moment.behind)
    for _ in figures:
        counts.add_column(justify="right", ratio=1)
    counts.add_row(*(Text(f"{number:,}", style="bold") for number in figures))
    counts.add_row(*(Text(word, style="dim") for word in ("orders", "trades", "rejects", "open orders", "reader behind")))
    books = table("", ">bid", "", "ask", ">last trade")
    books.expand = True
    for symbol, book in moment.books.items():
        books.add_row(Text(symbol, style="bold"), _bid(book), Text("│", style="dim"), _ask(book), _price(book.last))
    bar = ProgressBar(total=plan.orders, completed=moment.orders, width=None)
    head = Table.grid(expand=True)
    head.add_column(ratio=1)
    head.add_column(justify="right", width=20)
    head.add_row(bar, Text(f"{_speed(moment):,.0f} orders/s"))
    title = f"shm-exchange demo: {plan.gateways} gateways, 1 matcher, 1 reader"
    return Panel(Group(head, Text(), counts, Text(), books), title=title, title_align="left", width=WIDTH, padding=(1, 2))


def _speed(moment: Moment) -> float:
    """Orders a second since the start."""
    return moment.orders / moment.seconds if moment.seconds else 0


def _bid(book: Depth) -> Text:
    return Text(f"{book.bid.quantity:,} @ {book.bid.price}" if book.bid else "-", style="green")


def _ask(book: Depth) -> Text:
    return Text(f"{book.ask.price} @ {book.ask.quantity:,}" if book.ask else "-", style="red")


def _price(level: Level | None) -> str:
    return str(level.price) if level else "-"


def summary(figures: dict[str, Any]) -> list[RenderableType]:
    """Figures, final ladders, and the verdict of every check."""
    pace = f"paced: at most {figures['rate']:,}/s" if figures["rate"] else "as fast as it goes"
    words = [
        ("orders", f"{figures['orders']:,} in {figures['seconds']:.2f} s: {figures['orders_per_second']:,}/s ({pace})"),
        ("commands", f"{figures['commands']:,}, with cancels and changes: {figures['commands_per_second']:,}/s"),
        ("outcome", f"{figures['trades']:,} trades, {figures['rejects']:,} rejects, {figures['open_orders']:,} orders still open"),
        (
            "order → report",
            "   ".join(f"p{percent} {duration_text(figures[f'latency_ns_p{key}'])}" for percent, key in ((50, 50), (99, 99), (99.9, 999))),
        ),
    ]
    checks = Table.grid(padding=(0, 1))
    for name, holds in figures["checks"].items():
        mark = Text("✔", style="green") if holds else Text("✘ FAILED", style="bold red")
        checks.add_row(mark, _CHECKS[name])
    ladders = [_ladder(symbol, ladder) for symbol, ladder in figures["ladders"].items()]
    return [table("", "", rows=words), Text(), Columns(ladders, padding=(0, 4)), Text(), checks]


def _ladder(symbol: str, ladder: dict[str, list[tuple[str, str, int]]]) -> Table:
    """Asks above bids, the best in the middle; quantity and number of orders at each price."""
    shown = table(">price", ">quantity", ">orders", title=symbol)
    _add_levels(shown, ladder["sell"][::-1], "red")
    if ladder["sell"] and ladder["buy"]:
        spread = Decimal(ladder["sell"][0][0]) - Decimal(ladder["buy"][0][0])
        shown.add_row(Text("spread", style="dim"), Text(str(spread), style="dim"), "")
    _add_levels(shown, ladder["buy"], "green")
    return shown


def _add_levels(shown: Table, levels: list[tuple[str, str, int]], style: str) -> None:
    for price, quantity, orders in levels:
        shown.add_row(Text(price, style=style), f"{Decimal(quantity):,}", str(orders))
