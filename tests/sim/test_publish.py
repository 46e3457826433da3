"""The order of publishing on the memory model: whoever has seen report or event n reads a snapshot at least as new."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from shm_exchange.layout.headers import PARKED
from shm_exchange.matcher import step
from shm_exchange.ring.broadcast import FEED
from shm_exchange.ring.reports import READER
from shm_exchange.snapshot import book_top
from tests.litmus.interleave import nothing
from tests.sim.events import ModelEvents
from tests.sim.explore import Executions, Forbidden, explore
from tests.sim.processor import Processor, private
from tests.sim.reports import SESSION, ModelReports
from tests.sim.snapshots import ModelSnapshots

BUSY = -1


class Batch:
    """One batch of a matcher: a snapshot, event 2 and report 1, let out by its `publish`. late: a broken one, that lets the snapshot out last."""

    def __init__(self, *, late: bool) -> None:
        self.processor = Processor()
        self.snapshots = ModelSnapshots(processor=self.processor)
        self.reports = ModelReports(processor=self.processor)
        self.events = ModelEvents(1, processor=self.processor)
        self._parked = self.processor.shared("parked", PARKED, SESSION + 1)
        texts = self.snapshots.texts
        self._publish_due = texts(book_top.publish_due)
        self._late = late
        if late:
            texts.replace("publish_due", nothing)
        self._publish = texts(step.publish)

    def write(self) -> None:
        """The matcher's side."""
        book, outputs = self.reports.writing()
        outputs = outputs._replace(events=self.events.events)  # type: ignore[arg-type]
        self.events.emit(book, outputs)
