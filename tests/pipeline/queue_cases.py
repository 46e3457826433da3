"""Every queue with every policy, and items that fit all of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

from shm_exchange.pipeline import FifoQueue, Figures, LocalQueue, Policy, Queue, RingQueue

RECORD = np.dtype([("key", "i8"), ("number", "i8"), ("tag", "S3")])
"""Of 19 bytes: its last word is not whole."""


class Item(NamedTuple):
    """What a fifo and a local queue carry; a ring takes it for a record."""

    key: int
    number: int
    tag: bytes = b"abc"


class Case(NamedTuple):
    """One implementation with one policy."""

    kind: str
    policy: Policy

    def make(self, maxsize: int, *, write_timeout: float = 0.0, **options: Any) -> Queue[Any]:
        key = "key" if self.policy is Policy.CONFLATE else None
        options |= {"policy": self.policy, "write_timeout": write_timeout, "key": key}
        if self.kind == "ring":
            return RingQueue("numbers", RECORD, maxsize, **options)
        options.pop("producers", None)
        return FifoQueue("numbers", maxsize, max_bytes=8192, **options) if self.kind == "fifo" else LocalQueue("numbers", maxsize, **options)

    @property
    def waits(self) -> bool:
        """Whether `put` waits for as long as it takes."""
        return self.policy in (Policy.BLOCK, Policy.CREDIT)


def number(item: Any) -> int:
    """Which item it is; and a look at whether it is whole."""
    if isinstance(item, Item):
        assert item.tag == b"abc"
        return item.number
    assert item["tag"] == b"abc"
    return int(item["number"])


CASES = [Case(kind, policy) for kind in ("ring", "fifo", "local") for policy in Policy]


def cases(wanted: Callable[[Case], bool] = lambda _: True) -> pytest.MarkDecorator:
    chosen = [case for case in CASES if wanted(case)]
    return pytest.mark.parametrize("case", chosen, ids=[f"{case.kind}-{case.policy}" for case in chosen])


def assert_balanced(figures: Figures) -> None:
    """Everything that was produced is somewhere."""
    assert figures.produced == figures.consumed + figures.in_hand + figures.size + figures.dropped + figures.conflated, figures


def until(condition: Callable[[], bool]) -> None:
    """Wait for what must come; the watchdog of the run ends a wait for what does not."""
    while not condition():
        time.sleep(0.001)


class Thread(threading.Thread):
    """Hands on what its function returned or raised."""

    def __init__(self, function: Callable[[], Any]) -> None:
        super().__init__(daemon=True)
        self._function = function
        self._result: Any = None
        self._error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self._result = self._function()
        except BaseException as error:  # noqa: BLE001 (it is raised again by who joins)
            self._error = error

    def result(self) -> Any:
        self.join()
        if self._error is not None:
            raise self._error
        return self._result


def is_blocked(queue: Queue[Any]) -> bool:
    """Whether a put is seen to wait."""
    if isinstance(queue, LocalQueue):
        return bool(queue._shelf.room_sleepers._threads._waiters)  # type: ignore[attr-defined]
    return queue.figures().blocked_seconds > 0
