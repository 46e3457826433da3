"""Signals as bytes in a pipe, for loops that poll several things. No handler of ours ever interrupts work that is half done."""

from __future__ import annotations

import os
import signal
from types import FrameType
from typing import Any, Self

_BYTES = 512


class SignalPipe:
    """While open, the given signals no longer end or interrupt the process: they make this readable. Main thread only."""

    def __init__(self, *numbers: signal.Signals) -> None:
        self.seen: set[signal.Signals] = set()
        """Everything that `taken` ever returned: what a program's exit status may depend on."""
        self._reader, self._writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._before: dict[signal.Signals, Any] = {number: signal.signal(number, self._note) for number in numbers}

    def fileno(self) -> int:
        """What to poll."""
        return self._reader

    def taken(self) -> set[signal.Signals]:
        """The signals that came since the last call."""
        try:
            news = {signal.Signals(number) for number in os.read(self._reader, _BYTES)}
        except BlockingIOError:
            return set()
        self.seen = self.seen | news
        return news

    def close(self) -> None:
        """Put the former handlers back. Again is harmless."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self._before:
            os.close(self._reader)
            os.close(self._writer)
        self._before.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _note(self, number: int, _frame: FrameType | None) -> None:
        try:
            os.write(self._writer, bytes([number]))
        except BlockingIOError:  # full of the same news
            return
