"""The panel of those who take part: a row a process, as many columns as there is room for. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from rich.text import Text

from shm_exchange.cli.top.figures import Figures
from shm_exchange.cli.top.rows import Lane, Participant
from shm_exchange.cli.top.text import BAD, DIM, GAP, GOOD, WARN, Column, bar, cell, heading, number, percent, row

_HOT = 0.9
_STATE_STYLES = {"runs": GOOD, "stopped": f"bold {BAD}", "traced": f"bold {BAD}", "gone": DIM}
_NAME_WIDTHS = (10, 18)
_LANE_WIDTHS = (10, 30)


class _Kind(NamedTuple):
    """A column that may be shown."""

    column: Column
    of_lane: Callable[[Lane], Text] | None
    min_width: int = 0
    """Of the panel."""


def _share(share: float, words: str, *, limit: float = _HOT) -> Text:
    return Text(words, style=BAD if share >= limit else WARN if share >= limit / 2 else "")


_LANE_KINDS = (
    _Kind(Column("commands/s", 10, right=True), lambda lane: Text(number(lane.rate))),
    _Kind(Column("open", 6, right=True), lambda lane: Text(number(lane.open_orders))),
    _Kind(Column("unread", 6, right=True), lambda lane: _share(lane.unread_share, number(lane.unread), limit=0.5)),
    _Kind(Column("waiting", 7, right=True), lambda lane: Text(number(lane.waiting)), 92),
    _Kind(Column("skipped", 7, right=True), lambda lane: Text(number(lane.skipped), style=WARN if lane.skipped else ""), 100),
    _Kind(Column("commands", 12, right=True), lambda lane: Text(number(lane.commands)), 116),
    _Kind(Column("account", 16), lambda lane: Text(lane.account), 140),
)


def crowd(rows: Sequence[Participant], figures: Figures, size: tuple[int, int | None], first: int = 0) -> list[Text]:
    """A heading and the rows from `first` on; where there are more than the height allows, the last line says how many."""
    width, height = size
    kinds = [kind for kind in _LANE_KINDS if width >= kind.min_width]
    columns = _columns(rows, kinds, width)
    room = len(rows) if height is None else max(1, height - 1)
    first = max(0, min(first, len(rows) - room))
    shown = rows[first : first + room]
    lines = [heading(columns, width), *(cell(row(columns, _cells(each, kinds, columns, figures)), width) for each in shown)]
    hidden = len(rows) - len(shown)
    if hidden:
        lines[-1] = cell(f" … {hidden + 1} more, ↑ ↓ to see them" if first + room < len(rows) else f" ↑ {hidden + 1} more above", width, style=DIM)
    return lines


def _columns(rows: Sequence[Participant], kinds: list[_Kind], width: int) -> list[Column]:
    fixed = [Column("pid", 7, right=True), Column("cpu", 4, right=True), Column("core", 5, right=True), Column("state", 7)]
    others = sum(column.width + GAP for column in (*fixed, *(kind.column for kind in kinds)))
    left = width - 2 - others - GAP
    longest = max(len(each.name) for each in rows)
    name = min(max(_NAME_WIDTHS[0], longest), _NAME_WIDTHS[1], max(_NAME_WIDTHS[0], left - _LANE_WIDTHS[0]))
    lane = min(max(_LANE_WIDTHS[0], left - name), _LANE_WIDTHS[1])
    return [Column("process", name), *fixed, Column("lane used", lane), *(kind.column for kind in kinds)]


def _cells(each: Participant, kinds: list[_Kind], columns: list[Column], figures: Figures) -> list[str | Text]:
    process, style = each.process, "" if each.alive else DIM
    core = "-" if process.core is None else f"{process.core}{' pin' if process.pinned else ''}"
    cells: list[str | Text] = [
        Text(each.name, style="bold" if each.alive else DIM),
        Text(str(each.pid or "-"), style=style),
        Text(percent(process.cpu), style=style),
        Text(core, style=style),
        Text(process.state, style=_STATE_STYLES.get(process.state, "")),
    ]
    if each.lane is not None:
        return [*cells, _lane_bar(each.lane, columns[len(cells)].width), *(kind.of_lane(each.lane) for kind in kinds if kind.of_lane)]
    total = number(figures.commands) if each.role == "matcher" and each.alive else ""
    return [*cells, "", *(total if kind.column.title == "commands/s" else "" for kind in kinds)]


def _lane_bar(lane: Lane, width: int) -> Text:
    style = BAD if lane.share >= _HOT else WARN if lane.share >= _HOT / 2 else GOOD
    words = percent(lane.share)
    return bar(lane.share, width - 5, style).append(f"{words:>5}", style=style if lane.share >= _HOT / 2 else "")
