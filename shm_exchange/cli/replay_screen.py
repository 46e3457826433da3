"""How a replay looks: a bar while it goes on, and tables of what became of it."""

from __future__ import annotations

import time
from pathlib import Path
from threading import Timer
from types import TracebackType
from typing import Any, Self

from rich.console import RenderableType
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from shm_exchange.cli.screen import Screen, table

_QUIET_SECONDS = 1.0


class Advance:
    """Tells how far something is: call it with what is done, how much of it is, and how much there is (0: not known)."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._told = time.monotonic()
        self._alarm = Timer(_QUIET_SECONDS, screen.say, ("",))  # not started
        columns = (
            TextColumn("{task.description}"),
            BarColumn(30),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        self._bar = Progress(*columns, console=screen.err, transient=True)
        self._task = self._bar.add_task("", total=None, visible=False)

    def __call__(self, what: str, done: int, total: int) -> None:
        """Show it: in place, or as a line every second. What cannot say how far it is gets a line once it has taken a second."""
        self._alarm.cancel()
        if self._screen.moving:
            self._bar.update(self._task, description=what, completed=done, total=total or None, visible=True)
        elif not total:
            self._alarm = Timer(_QUIET_SECONDS, self._screen.say, (f"{what} …",))
            self._alarm.daemon = True
            self._alarm.start()
        elif time.monotonic() > self._told + _QUIET_SECONDS:
            self._told = time.monotonic()
            self._screen.say(f"{what}: {done:,} of {total:,}")

    def news(self, text: str) -> None:
        """Something worth a line of its own."""
        if self._screen.moving:
            self._bar.console.print(text)
        else:
            self._screen.say(text)

    def __enter__(self) -> Self:
        if self._screen.moving:
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._alarm.cancel()
        if self._screen.moving:
            self._bar.stop()  # it would end a line that was never begun


def summary(figures: dict[str, Any]) -> list[RenderableType]:
    """The figures of a replay for people."""
    reports = ", ".join(f"{count:,} {what}" for what, count in figures["reports_of"].items() if what != "rejected")
    rows = [
        ("file", f"{Path(figures['file']).name} ({figures['format']}, {figures['rows']:,} rows)"),
        ("exchange", f"{figures['exchange']}{', private' if figures['private'] else ''}"),
        ("commands", f"{figures['commands']:,} in {figures['seconds']:.3f} s, {figures['commands_per_second']:,.0f} a second"),
        ("reports", reports or "none"),
        ("rejects", ", ".join(f"{count:,} {reason}" for reason, count in figures["rejects"].items()) or "none"),
        ("trades", f"{figures['trades']:,} by incoming orders of the file, {figures['traded_lots']:,} lots"),
    ]
    if late := figures["lateness_ns"]:
        told = ", ".join(f"{name} {late[name] / 1e3:,.1f}" for name in ("p50", "p99", "max"))
        rows.append(("lateness", f"µs behind plan at {figures['speed']:g} ×: {told}"))
    shown: list[RenderableType] = [table("", "", rows=rows, title="replay")]
    if figures["lobster"] is not None:
        shown += [Text(), table("", "", rows=_lobster_rows(figures["lobster"]), title="against the file")]
    if figures["checks"]:
        marks = [(Text("✔", "green") if holds else Text("✘", "bold red"), name.replace("_", " ")) for name, holds in figures["checks"].items()]
        shown += [Text(), table("", "", rows=marks)]
    return shown


def _lobster_rows(found: dict[str, Any]) -> list[tuple[str, str]]:
    beside = Path(found["book_file"]).name if found["book_file"] else "none: what rested before the file is not known"
    rows = [("book file", beside)]
    if book := found.get("book"):
        least, mean = book["levels_compared_least"], book["levels_compared_mean"]
        rows += [
            ("rows equal", f"{book['rows_equal']:,} of {book['rows']:,}"),
            ("levels", f"{book['levels']} a side; compared at least {least}, {mean:.2f} on average"),
            ("scrolled in", f"{book['scrolled_in']:,} levels, taken from the file, compared from the next row on"),
        ]
        if book["first_difference"]:
            rows.append(("they part at", _difference(book["first_difference"])))
    if executions := found.get("executions"):
        met, total = executions["met_the_named_order"], executions["executions"]
        text = f"{met:,} of {total:,} met the very order that the file names"
        if executions["first_otherwise_row"] is not None:
            text += f"; the first that did not: row {executions['first_otherwise_row']:,}"
        rows.append(("executions", text))
    rows += [(f"{count:,} rows", what) for what, count in found["notes"].items()]
    return rows


def parting(figures: dict[str, Any]) -> str:
    """Where the books part first, for the line of the error; nothing where they do not."""
    first = ((figures["lobster"] or {}).get("book") or {}).get("first_difference")
    return f"; the books part at {_difference(first)}" if first else ""


def _difference(first: dict[str, Any]) -> str:
    where = f"row {first['row']:,}, {first['side']} level {first['level']}"
    return f"{where}: expected {_level(first['expected'])}, got {_level(first['got'])}"


def _level(level: list[str] | None) -> str:
    return f"{level[1]} at {level[0]}" if level else "no such level"
