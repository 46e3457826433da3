"""Every interleaving of a writer and a reader, in one thread: kernels as plain Python that can be stopped at each shared load and store.

The writer runs alone first, while a `Recording` keeps a picture of its memory after every store. Then the reader runs on that memory, and in front of
each of its loads a schedule says how many stores the writer gets ahead. A schedule that ends is a writer that was stopped, or killed, right there.
This explores orders of stores and loads, not the freedoms of a processor: those are the business of the fences (tests/matcher) and of real processes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import FunctionType
from typing import Any

import numpy as np

Store = Callable[[Any, str, int], None]


def plain(kernel: Any, **replaced: Any) -> Any:
    """A kernel as plain Python, compiled or not, with other functions in the place of some that it calls."""
    function = getattr(kernel, "py_func", kernel)
    return FunctionType(function.__code__, function.__globals__ | replaced, function.__name__, function.__defaults__)


def nothing(*_: Any) -> None:
    """A fence, a prefetch: no effect on what one thread sees."""


class Recording:
    """What the memory looked like after each store of a writer."""

    def __init__(self, *arrays: np.ndarray) -> None:
        self._arrays = [array.view(np.ndarray).view(np.uint8) for array in arrays]
        self.pictures = [self._picture()]

    def store(self, record: Any, field: str, value: int) -> None:
        """Stands for every kind of shared store while the writer runs."""
        record[field] = value
        self.pictures.append(self._picture())

    def show(self, index: int) -> None:
        """Let the memory look as it did after store `index`."""
        for array, picture in zip(self._arrays, self.pictures[index], strict=True):
            array[:] = picture

    def _picture(self) -> list[np.ndarray]:
        return [array.copy() for array in self._arrays]


class Replay:
    """Lets the recorded writer go on while a reader loads."""

    def __init__(self, recording: Recording, schedule: Iterable[int]) -> None:
        self._recording = recording
        self._schedule = iter(schedule)
        self.done = 0
        self.loads = 0
        recording.show(0)

    @property
    def finished(self) -> bool:
        """Whether the writer has made all its stores."""
        return self.done == len(self._recording.pictures) - 1

    def advance(self, stores: int) -> None:
        """Let the writer make so many more stores."""
        self.done = min(self.done + stores, len(self._recording.pictures) - 1)
        self._recording.show(self.done)

    def load(self, record: Any, field: str) -> int:
        """Stands for every kind of shared load while the reader runs."""
        self.loads += 1
        if stores := next(self._schedule, 0):
            self.advance(stores)
        return int(record[field])
