"""Where things are said. Results go to standard output: as text, or with --json as one object. Everything else goes to standard error.

On a terminal progress moves in place; elsewhere it is a plain line now and then. Colours follow NO_COLOR.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Self

import typer
from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

_WIDE = 200
_QUIET_SECONDS = 1.0
_AGAIN_SECONDS = 5.0


class Screen:
    """Standard output and standard error of one command."""

    quiet = False
    """Of the whole program: no progress and no news. Errors are raised, and said where the program ends."""

    def __init__(self, *, as_json: bool = False) -> None:
        self.as_json = as_json
        self.out = _console(stderr=False)
        self.err = _console(stderr=True)
        self.moving = sys.stderr.isatty() and not self.err.is_dumb_terminal and not self.quiet
        """Whether progress can move in place."""

    def show(self, *renderables: RenderableType) -> None:
        """Results for people; nothing with --json."""
        if not self.as_json:
            for renderable in renderables:
                self.out.print(renderable)

    def say(self, text: str) -> None:
        """News on the way."""
        if not self.quiet:
            typer.echo(text, err=True)

    def result(self, figures: dict[str, Any]) -> None:
        """The one JSON object, if it was asked for."""
        if self.as_json:
            typer.echo(json.dumps(figures, ensure_ascii=False))

    def live(self) -> Live:
        """A picture on standard error that is redrawn by `update`."""
        return Live(console=self.err, auto_refresh=False, transient=True)


def _console(*, stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, highlight=False, soft_wrap=False, width=None if stream.isatty() or "COLUMNS" in os.environ else _WIDE)


def table(*columns: str, rows: Iterable[Iterable[object]] = (), title: str = "") -> Table:
    """Plain columns; those whose heading begins with ">" are flush right."""
    named = any(columns)
    made = Table(title=title or None, title_justify="left", title_style="bold", box=None, pad_edge=False, show_header=named, header_style="dim")
    for column in columns:
        made.add_column(column.removeprefix(">"), justify="right" if column.startswith(">") else "left", no_wrap=True)
    for row in rows:
        made.add_row(*(cell if isinstance(cell, Text) else Text(str(cell)) for cell in row))
    return made


def bytes_text(count: int) -> str:
    """Bytes as people say them."""
    if count < 10_000:
        return f"{count:,} B"
    return f"{count / 1e3:,.0f} kB" if count < 10_000_000 else f"{count / 1e6:,.1f} MB"


def duration_text(nanoseconds: int) -> str:
    """A duration as people say it, with three digits."""
    if nanoseconds < 1000:
        return f"{nanoseconds} ns"
    amount, unit = (
        (nanoseconds / 1e3, "µs") if nanoseconds < 999_500 else (nanoseconds / 1e6, "ms") if nanoseconds < 999_500_000 else (nanoseconds / 1e9, "s")
    )
    return f"{amount:,.{2 if amount < 9.995 else 1 if amount < 99.95 else 0}f} {unit}"


class Compiling:
    """Shows what `ensure_warm` compiles: call it with a step, how many are done, and how many there are."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._started = time.monotonic()
        self._said = ("", 0.0)
        self._bar: Progress | None = None
        self._task = TaskID(0)

    def __call__(self, step: str, done: int, total: int) -> None:
        """Show one step."""
        if self._screen.moving:
            self._draw(step, done, total)
        else:
            self._tell(step, done, total)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.stop()

    def _draw(self, step: str, done: int, total: int) -> None:
        if self._bar is None:
            columns = (TextColumn("compiling kernels, once:"), BarColumn(12), TextColumn("{task.description}"), TimeElapsedColumn())
            self._bar = Progress(*columns, console=self._screen.err, transient=True)
            self._bar.start()
            self._task = self._bar.add_task(step, total=total or None)
        self._bar.update(self._task, description=step, completed=done, total=total or None)

    def _tell(self, step: str, done: int, total: int) -> None:
        seconds = time.monotonic() - self._started
        last, when = self._said
        if seconds < _QUIET_SECONDS or (step == last and seconds < when + _AGAIN_SECONDS):
            return
        self._said = (step, seconds)
        self._screen.say(f"compiling kernels, once for this machine: {f'{done}/{total} ' if total else ''}{step} ({seconds:.0f} s)")
