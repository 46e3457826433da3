"""Looks and figures as lines of text: every panel of the screen is a function of what was read and of its size. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import NamedTuple

from rich.text import Text

from shm_exchange.cli.screen import bytes_text, duration_text
from shm_exchange.cli.top.alarms import Alarm, Severity, age_text
from shm_exchange.cli.top.figures import Figures
from shm_exchange.cli.top.probe import RoundTrips
from shm_exchange.cli.top.reading import Reading
from shm_exchange.cli.top.text import (
    BAD,
    BANNER,
    DIM,
    GOOD,
    TITLE,
    WARN,
    Column,
    bar_line,
    cell,
    chart,
    clock_text,
    number,
    percent,
    row,
    spark,
)

Lines = list[Text]
HEADLINE_HEIGHT = 3
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
