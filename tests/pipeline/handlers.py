"""What workers in processes run in these tests: importable, as every handler must be. An item says what becomes of it."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

RECORD = np.dtype([("number", "i8"), ("action", "S16"), ("path", "S128"), ("sent_ns", "i8")])

UNWOUND = -1
"""Noted by an item that hangs, when it ends in an orderly way."""

if "SHM_EXCHANGE_CHILD" in os.environ and "TESTS_BREAK_CHILDREN" in os.environ:
    raise ImportError("this module does not like children")


class Item(NamedTuple):
    """path: where it leaves its traces."""

    number: int
    action: str = "note"
    path: str = ""
    sent_ns: int = 0

    def record(self) -> np.ndarray[Any, np.dtype[np.void]]:
        return np.array([(self.number, self.action.encode(), self.path.encode(), self.sent_ns)], RECORD)


def of(given: Any) -> Item:
    """The item, whether it came as an object or as a record."""
    if isinstance(given, Item):
        return given
    number, action, path, sent_ns = given.item()
    return Item(number, action.decode(), path.decode(), sent_ns)


def work(given: Any) -> None:
    """Do as the item says."""
    item = of(given)
    note(item)
    if item.action == "fail":
        raise ValueError(f"item {item.number} is not wanted")
    if item.action == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if item.action == "hang" or (item.action == "hang once" and notes(item.path).count(item.number) == 1):
        try:
            Path(f"{item.path}.fifo").write_text(str(os.getpid()))
            while True:
                signal.pause()
        finally:
            note(Item(UNWOUND, path=item.path))


def note(item: Item) -> None:
    """Append number and process to the file of the item, in one write."""
    if item.path:
        fd = os.open(item.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(fd, f"{item.number} {os.getpid()}\n".encode())
        os.close(fd)


def notes(path: str | Path) -> list[int]:
    """The numbers, in the order in which they were begun."""
    return [number for number, _ in traces(path)]


def traces(path: str | Path) -> list[tuple[int, int]]:
    """Number and process of each item that was begun."""
    if not Path(path).exists():
        return []
    return [(int(number), int(pid)) for number, pid in map(str.split, Path(path).read_text().splitlines())]


class Account:
    """A handler with a state: one for each worker, its sum written when it is closed."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._sum = 0

    def __call__(self, number: int) -> None:
        self._sum += number

    def close(self) -> None:
        """Leave the sum."""
        note(Item(self._sum, path=self._path))


def doubled(number: int) -> int:
    """A stage."""
    return 2 * number


def upwards(count: int) -> Iterator[int]:
    """A source."""
    yield from range(count)


def for_ever(put: Callable[[int], object]) -> None:
    """A source that ends only when it is told to."""
    number = 0
    while True:
        put(number)
        number += 1


async def upwards_async(count: int) -> AsyncIterator[int]:
    """A source in an event loop."""
    for number in range(count):
        yield number


def kept(path: str, number: int) -> None:
    """A sink."""
    note(Item(number, path=path))


def kept_or_hang_once(path: str, number: int) -> int:
    """A stage whose first worker hangs at item 3 until it is killed."""
    work(Item(number, "hang once" if number == 3 else "note", path))
    return number


def numbered(first: int, count: int, path: str) -> Iterator[np.ndarray[Any, np.dtype[np.void]]]:
    """A source of records."""
    for number in range(first, first + count):
        yield Item(number, path=path).record()


def passed_on(record: Any) -> Any:
    """A stage of records."""
    work(record)
    return record
