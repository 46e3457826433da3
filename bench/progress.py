"""What goes on, on standard error: a bar where that is a terminal, else plain lines.

Nothing moves by itself: a bar that is redrawn by a thread would take the core from what is measured. It moves between two steps.
"""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn


class Steps:
    """Called with what is done next."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        self._bar: Progress | None = None
        self._begun = time.monotonic()
        self._total = self._done = 0
        if console.is_terminal and not console.is_dumb_terminal:
            columns = (BarColumn(16), MofNCompleteColumn(), TextColumn("{task.description}"))
            self._bar = Progress(*columns, console=console, auto_refresh=False, transient=True)
            self._task = self._bar.add_task("", total=None)
            self._bar.start()

    def expect(self, count: int) -> None:
        """So many steps more will come."""
        self._total += count

    def __call__(self, text: str) -> None:
        """Begin the next step."""
        self._done += 1
        if self._bar is not None:
            self._bar.update(self._task, description=text, completed=self._done - 1, total=max(self._total, self._done), refresh=True)
        else:
            counted = f"[{self._done}/{self._total}] " if self._total >= self._done else ""
            sys.stderr.write(f"{counted}{text} ({time.monotonic() - self._begun:.0f} s)\n")

    def say(self, text: str) -> None:
        """News that stay."""
        if self._bar is not None:
            self._bar.console.print(text, highlight=False)
        else:
            sys.stderr.write(text + "\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.stop()
