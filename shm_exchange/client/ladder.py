"""A book's top for people: as a small HTML table (notebooks show it by themselves) and as a pandas DataFrame."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape
from itertools import zip_longest
from typing import TYPE_CHECKING, Protocol

from shm_exchange.domain.errors import missing_extra
from shm_exchange.domain.instrument import Number

if TYPE_CHECKING:
    from decimal import Decimal

    from pandas import DataFrame

_COLUMNS = ("bid_quantity", "bid_price", "ask_price", "ask_quantity")
_BID, _ASK = "rgba(38,160,110,.3)", "rgba(220,80,80,.3)"  # half transparent, so that they fit a light page and a dark one
_TABLE = "border-collapse:collapse;border:0;font:13px/1.5 ui-monospace,monospace;color:inherit;font-variant-numeric:tabular-nums"
_CELL = "border:0;padding:1px 10px;text-align:{align};background:{background}"
_ROW = "background:none;border:0"


class _Level(Protocol):
    @property
    def price(self) -> Decimal: ...
    @property
    def quantity(self) -> Decimal: ...


def ladder_html(title: str, bids: Iterable[_Level], asks: Iterable[_Level], last: _Level | None) -> str:
    """Asks above bids, as on a trading screen, with a bar for each quantity. Plain tags and inline styles: nothing leaks into the page."""
    bids, asks = list(bids), list(asks)
    most = max([level.quantity for level in (*bids, *asks)], default=1)
    rows = [
        _head(title),
        *(_row("", level, level.quantity, level.quantity / most) for level in reversed(asks)),
        _middle(bids, asks, last),
        *(_row(level.quantity, level, "", level.quantity / most) for level in bids),
    ]
    return f'<table style="{_TABLE}">{"".join(rows)}</table>'


def _head(title: str) -> str:
    cells = "".join(_cell(text, align) for text, align in (("bid", "right"), (f"<b>{escape(title)}</b>", "center"), ("ask", "left")))
    return f'<tr style="{_ROW}">{cells}</tr>'


def _row(bid: Number, level: _Level, ask: Number, share: Number) -> str:
    percent = f"{100 * float(share):.0f}%"
    bars = [f"linear-gradient(to {side},{colour} {percent},transparent {percent})" for side, colour in (("left", _BID), ("right", _ASK))]
    left = _cell(f"{bid:,}" if bid else "", "right", bars[0] if bid else "none")
    right = _cell(f"{ask:,}" if ask else "", "left", bars[1] if ask else "none")
    return f'<tr style="{_ROW}">{left}{_cell(f"{level.price:,}", "center")}{right}</tr>'


def _middle(bids: list[_Level], asks: list[_Level], last: _Level | None) -> str:
    """What stands between the sides: the spread and the last trade."""
    spread = f"spread {asks[0].price - bids[0].price:,}" if bids and asks else "no spread: a side is empty"
    traded = f"last {last.quantity:,} @ {last.price:,}" if last else "no trade yet"
    style = "border:0;padding:3px 10px;text-align:center;opacity:.65;background:none"
    return f'<tr style="{_ROW}"><td colspan="3" style="{style}">{spread} · {traded}</td></tr>'


def _cell(content: str, align: str, background: str = "none") -> str:
    return f'<td style="{_CELL.format(align=align, background=background)}">{content}</td>'


def ladder_frame(bids: Iterable[_Level], asks: Iterable[_Level]) -> DataFrame:
    """One row a level, best first; a level that one side does not have is NaN there. Raises MissingExtra."""
    try:
        from pandas import DataFrame, RangeIndex
    except ImportError as error:
        raise missing_extra("frame", error) from error
    rows = list(_rows(bids, asks))
    return DataFrame(rows, columns=list(_COLUMNS), index=RangeIndex(1, len(rows) + 1, name="level"), dtype="float64")


def _rows(bids: Iterable[_Level], asks: Iterable[_Level]) -> Iterator[tuple[Decimal | None, ...]]:
    for bid, ask in zip_longest(bids, asks):
        yield (
            bid.quantity if bid else None,
            bid.price if bid else None,
            ask.price if ask else None,
            ask.quantity if ask else None,
        )
