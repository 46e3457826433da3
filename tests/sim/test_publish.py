"""The order of publishing on the memory model: whoever has seen report or event n reads a snapshot at least as new."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from shm_exchange.layout.headers import COUNTERS, PARKED
from shm_exchange.layout.records import EVENT, REPORT
from shm_exchange.matcher import step
from shm_exchange.ring import broadcast
from shm_exchange.ring import reports as ring_reports
from shm_exchange.snapshot import book_top
from tests.litmus.interleave import nothing
from tests.sim.events import ModelEvents
from tests.sim.explore import Executions, Forbidden, explore
from tests.sim.processor import private, privates
from tests.sim.reports import SESSION, ModelReports
from tests.sim.snapshots import ModelSnapshots

VERSION = 2


def _book(snapshots: ModelSnapshots, sessions: Any) -> SimpleNamespace:
    """After a command that caused event 2 and report 1, and changed the snapshot."""
    book = snapshots.book(VERSION)
    counts = dict.fromkeys(("account_count", "sequence", "trades", "rejects", "open_orders", "pages"), 0)
    book.state = [SimpleNamespace(**vars(book.state[0]), **counts, snapshots_due=1)]
    book.due, book.sessions = [0], sessions
    return book


def _executions(seen: str, *, last: bool = False) -> Executions:
    """The matcher's `publish`, and a reader that looks for the new report or event, then at the snapshot. last: broken, the snapshot comes last."""
    replaced: dict[str, Any] = {"publish_due": nothing} if last else {}
    snapshots = ModelSnapshots(**replaced)
    texts, processor = snapshots.texts, snapshots.processor
    reports, events = ModelReports(processor=processor), ModelEvents(VERSION - 1, processor=processor)
    parked = processor.shared("parked", PARKED, SESSION + 1)
    publish, publish_instrument = texts(step.publish), texts(book_top.publish_instrument)
    take_reports, take_events = texts(ring_reports.take_reports), texts(broadcast.take_events)

    def matcher() -> None:
        report_book, outputs = reports.writing()
        book = _book(snapshots, report_book.sessions)
        book.sessions[SESSION].next_report = 2
        outputs.state[0].events_unpublished, outputs.state[0].touched, outputs.touched[0] = VERSION, 1, SESSION
        memory = SimpleNamespace(words=events.words, accounts=[], report_tails=reports.tails, parked=parked, counters=[private(COUNTERS)])
        memory.private = [SimpleNamespace(applied=0, hot_count=0)]
        bundle: Any = events.events
        publish(memory, book, outputs._replace(events=bundle), snapshots.bundle)
        if last:
            publish_instrument(book, snapshots.bundle, 0)

    def reader() -> tuple[int, int]:
        if seen == "report":
            own = private(ring_reports.READER, next_report=1)
            count = take_reports([own], reports.reports, reports.tail, privates(REPORT, 1))
        else:
            count = take_events([private(broadcast.FEED, next_event=VERSION)], events.events, events.words, privates(EVENT, 1))
        return count, snapshots.read()[1]

    def check(_: None, found: tuple[int, int]) -> None:
        count, version = found
        assert version >= VERSION - 1 + count, f"the {seen} was seen, and then snapshot {version}, which is older"

    return explore(processor, check, matcher=matcher, reader=reader)


@pytest.mark.parametrize("seen", ["report", "event"])
def test_a_snapshot_is_never_older_than_what_was_seen_before(seen: str) -> None:
    assert {found for _, found in _executions(seen).outcomes} == {(0, 1), (0, 2), (1, 2)}


@pytest.mark.parametrize("seen", ["report", "event"])
def test_a_snapshot_that_is_published_last_is_caught(seen: str) -> None:
    with pytest.raises(Forbidden, match=f"the {seen} was seen, and then snapshot 1"):
        _executions(seen, last=True)
