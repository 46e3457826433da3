"""The bricks of every picture: colours, numbers, bars and columns, as lines of rich Text that are exactly as wide as asked. Pure.

What a colour says is also said by a word or a sign: with NO_COLOR nothing is lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from rich.text import Text

BUY, SELL = "#4fc98e", "#f0716a"
BUY_BAR, SELL_BAR = "#2b6b50", "#85423f"
GOOD, WARN, BAD = "#4fc98e", "#e5b454", "#f0716a"
ACCENT, DIM, TRACK = "#4a86c5", "#8b98a8", "#3c4859"
HEADING = "bold #dbe4ee on #253141"
BANNER = "bold #ffffff on #b3261e"
TITLE = "bold #ffffff on #1f4a7a"
GAP = 1
_EIGHTHS = " ▁▂▃▄▅▆▇█"
_COMPACT_FROM = 10_000_000


class Column(NamedTuple):
    """One column of a table: its heading, its width in characters, and on which side its cells lean."""

    title: str
    width: int
    right: bool = False


def number(value: float | None) -> str:
    """A count or a rate: all digits while they are few."""
    if value is None:
        return "-"
    if value < _COMPACT_FROM:
        return f"{value:,.0f}"
    return f"{value / 1e6:,.1f} M" if value < 1e10 else f"{value / 1e9:,.1f} G"


def percent(share: float | None) -> str:
    """A share from 0 to 1."""
    return "-" if share is None else f"{share:.0%}"


def cell(text: str | Text, width: int, *, right: bool = False, style: str = "") -> Text:
    """Exactly `width` characters of it; what is cut away leaves an ellipsis."""
    shown = Text(text, style=style) if isinstance(text, str) else text.copy()
    shown.truncate(max(0, width), overflow="ellipsis")
    room = max(0, width - shown.cell_len)
    if right:
        shown.pad_left(room)
    else:
        shown.pad_right(room)
    return shown


def row(columns: Sequence[Column], cells: Sequence[str | Text], style: str = "") -> Text:
    """Cells side by side, with a margin on the left."""
    shown = Text(" ", style=style)
    for index, (column, content) in enumerate(zip(columns, cells, strict=True)):
        shown.append_text(cell(content, column.width, right=column.right))
        if index < len(columns) - 1:
            shown.append(" " * GAP)
    return shown


def heading(columns: Sequence[Column], width: int) -> Text:
    """The titles of columns as a bar."""
    return cell(row(columns, [column.title for column in columns], HEADING), width)


def bar_line(left: str | Text, right: str | Text, width: int, style: str = HEADING) -> Text:
    """A bar over the whole width with words on both ends; the right ones give way."""
    shown = Text(" ", style=style).append_text(Text(left) if isinstance(left, str) else left)
    end = Text(right) if isinstance(right, str) else right
    room = width - shown.cell_len - end.cell_len - 1
    if room >= 1 and end.cell_len:
        shown.append(" " * room).append_text(end)
    return cell(shown, width)


def bar(share: float, width: int, style: str) -> Text:
    """How much of something is used: a thick line on a thin one."""
    full = min(width, max(int(share > 0), round(share * width)))
    return Text("━" * full, style=style).append("─" * (width - full), style=TRACK)


def block(share: float, width: int, style: str, *, leans_right: bool) -> Text:
    """A solid bar that grows from the middle of a ladder, in steps of half a character."""
    halves = max(int(share > 0), round(share * width * 2))
    whole, half = divmod(min(halves, 2 * width), 2)
    if leans_right:
        return Text(" " * (width - whole - half) + "▐" * half + "█" * whole, style=style)
    return Text("█" * whole + "▌" * half + " " * (width - whole - half), style=style)


def spark(values: Sequence[float], width: int) -> Text:
    """The newest values as a line of small bars, the newest on the right."""
    return chart(values, width, 1)[0]


def chart(values: Sequence[float], width: int, height: int) -> list[Text]:
    """The newest values as bars, in steps of an eighth of a line; what is not 0 is seen."""
    newest = values[-width:] if width > 0 else ()
    highest = max(newest, default=0) or 1
    eighths = [max(int(value > 0), round(value / highest * height * 8)) for value in newest]
    lines = ("".join(_EIGHTHS[min(8, max(0, count - 8 * level))] for count in eighths) for level in reversed(range(height)))
    return [Text(" " * (width - len(newest)) + line, style=ACCENT) for line in lines]
