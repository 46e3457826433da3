"""What a ready pipeline looks like: the picture that moves, the line a second, and the report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import ConsoleDimensions, Group, RenderableType
from rich.text import Text

from shm_exchange.cli.screen import table
from shm_exchange.pipeline.monitor import HEADER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shm_exchange.cli.pipeline_run import Ready
    from shm_exchange.pipeline.monitor import Row

_WIDE = 110
_NARROW = ("stage", "handled", "dropped", "waiting", "average", "state")
_LEFT = ("stage", "state")


def line(ready: Ready, seconds: float) -> str:
    """Progress as one line of text."""
    return f"{seconds:5.1f} s  " + "  ".join(f"{name} {value}" for name, value in ready.lines())


def picture(ready: Ready, rows: Sequence[Row], seconds: float, size: ConsoleDimensions) -> RenderableType:
    """Progress as tables, within a terminal of that size."""
    head = Text(f"{ready.name}: {seconds:.1f} s; Ctrl-C drains and ends it", style="bold")
    return Group(head, Text(), stages(rows, size.width), Text(), table("", "", rows=ready.lines()))


def stages(rows: Sequence[Row], width: int) -> RenderableType:
    """A row a stage. What a narrow terminal has no room for is left out."""
    shown = [index for index, heading in enumerate(HEADER) if width >= _WIDE or heading in _NARROW]
    headings = [HEADER[index] if HEADER[index] in _LEFT else f">{HEADER[index]}" for index in shown]
    return table(*headings, rows=([row[index] for index in shown] for row in rows))


def report(checked: dict[str, bool], rows: Sequence[Row], lines: Sequence[tuple[str, str]]) -> list[RenderableType]:
    """Stages, figures, and the verdict of every check."""
    checks = table("", "")
    for name, holds in checked.items():
        mark = Text("✔", style="green") if holds else Text("✘ FAILED", style="bold red")
        checks.add_row(mark, Text(name.replace("_", " ")))
    return [stages(rows, _WIDE), Text(), table("", "", rows=lines), Text(), checks]


def problems(figures: dict[str, Any]) -> list[str]:
    """What does not hold, and what handlers raised last."""
    failed = [name for name, holds in figures["checks"].items() if not holds]
    said = [
        f"{worker['name']}: {worker['error'].strip().splitlines()[-1]}"
        for stage in figures["metrics"]["stages"]
        for worker in stage["workers"]
        if worker["error"]
    ]
    return [f"this must not be: {', '.join(failed)} failed", *said] if failed else said
