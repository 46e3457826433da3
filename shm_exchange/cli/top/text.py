"""The bricks of every picture: colours, numbers, bars and columns, as lines of rich Text that are exactly as wide as asked. Pure.

What a colour says is also said by a word or a sign: with NO_COLOR nothing is lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple, TypeAlias

from rich.style import Style
from rich.text import Span, Text

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


_Part: TypeAlias = "tuple[str | Text, int, bool]"
"""A content, its width, and whether it leans to the right."""


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


def cell(content: str | Text, width: int, *, right: bool = False, style: str = "") -> Text:
    """Exactly `width` characters of it; what is cut away leaves an ellipsis. Its own style comes above `style`."""
    return _joined([(content, width, right)], style or (content.style if isinstance(content, Text) else ""))


def row(columns: Sequence[Column], cells: Sequence[str | Text], style: str = "") -> Text:
    """Cells side by side, with a margin on the left."""
    parts: list[_Part] = [("", 1, False)]
    for column, content in zip(columns, cells, strict=True):
        parts += [(content, column.width, column.right), ("", GAP, False)]
    return _joined(parts[:-1], style)


def _joined(parts: Iterable[_Part], style: str | Style) -> Text:
    """Contents in their widths. Made by hand, because a frame has hundreds of cells and Text copies at every step.

    Every character counts as one column: names are ASCII, and all signs used here are narrow.
    """
    texts, spans, end = [], [], 0
    for content, width, right in parts:
        text = content if isinstance(content, str) else content.plain
        room = width - len(text)
        if room < 0:
            text = text[: max(0, width - 1)] + "…"[:width]
        first = end + (room if right and room > 0 else 0)
        if not isinstance(content, str):
            if content.style and content.style != style:
                spans.append(Span(first, first + len(text), content.style))
            spans += [Span(first + start, min(first + stop, end + width), kind) for start, stop, kind in content.spans if first + start < end + width]
        texts.append(text if room <= 0 else " " * room + text if right else text + " " * room)
        end += width
    return Text("".join(texts), style, spans=spans, end="")


def heading(columns: Sequence[Column], width: int) -> Text:
    """The titles of columns as a bar."""
    return cell(row(columns, [column.title for column in columns], HEADING), width)


def clock_text(nanoseconds: int, *, digits: int = 3) -> str:
    """Local time of day."""
    text = datetime.fromtimestamp(nanoseconds / 1e9).astimezone().strftime("%H:%M:%S.%f")
    return text[: 9 + digits] if digits else text[:8]


def bar_line(left: str | Text, right: str | Text, width: int, style: str = HEADING) -> Text:
    """A bar over the whole width with words on both ends; the right ones give way."""
    room = width - len(left) - len(right) - 2
    if room < 1 or not len(right):
        return _joined([("", 1, False), (left, width - 1, False)], style)
    return _joined([("", 1, False), (left, len(left) + room, False), (right, len(right), False), ("", 1, False)], style)


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
