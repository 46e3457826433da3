"""The order in which a batch becomes visible (I7), looked at after every store: who sees a record finds a book at least as new, and every name."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from shm_exchange._jit import INTERPRETED
from shm_exchange.domain.names import name_words
from shm_exchange.layout.headers import PRICE_LEVEL, SNAPSHOT
from shm_exchange.layout.records import LOGON
from shm_exchange.matcher import step, sweep
from shm_exchange.ring import publish
from shm_exchange.snapshot import book_top, slots
from tests.litmus.interleave import Recording, nothing, plain
from tests.matcher.rig import RawGateway, Rig, orders, rigged

pytestmark = pytest.mark.skipif(INTERPRETED, reason="a matcher is never interpreted")

BATCH = 6


def _process(recording: Recording) -> Any:
    """`step.process` as plain Python: whatever it stores for others to see is recorded. The rules of the engine stay compiled."""
    hooks: dict[str, Any] = dict.fromkeys(("store_relaxed", "store_release"), recording.store)
    hooks |= {"fence_release": nothing, "fence_full": nothing, "load_relaxed": lambda record, field: int(record[field])}
    writing = {name: plain(getattr(slots, name), **hooks) for name in ("begin_version", "put_level", "end_version")}
    put_side = plain(book_top._put_side, **writing)
    publish_instrument = plain(book_top.publish_instrument, **writing, **hooks, _put_side=put_side)
    publish_all = plain(
        step.publish,
        _publish_accounts=plain(step._publish_accounts, **hooks),
        publish_due=plain(book_top.publish_due, publish_instrument=publish_instrument),
        publish_events=plain(publish.publish_events, **hooks),
        publish_reports=plain(publish.publish_reports, **hooks),
        _wake_parked=nothing,
    )
    return plain(step.process, publish=publish_all)


def _batch_of_a_new_account(rig: Rig, gateway: RawGateway) -> SimpleNamespace:
    """A logon under a new account and orders at the top of the book, swept and matched in one batch, store by store."""
    logon = np.zeros(1, LOGON)
    logon["kind"] = 6
    logon["session_low"], logon["session_high"] = name_words("s1")
    logon["account_low"], logon["account_high"] = name_words("fresh")
    gateway.submit(logon.view(orders(0).dtype))
    gateway.submit(orders(BATCH))
    bundles = rig.bundles
    shared = (bundles.snapshots.latest, bundles.snapshots.heads, bundles.snapshots.levels, bundles.memory.words, bundles.memory.accounts)
    recording = Recording(*shared, bundles.outputs.events, bundles.outputs.reports, bundles.memory.report_tails)
    assert sweep.sweep(bundles.memory, bundles.policy, bundles.outputs, bundles.log) == 1 + BATCH
    _process(recording)(bundles.memory, bundles.book, bundles.outputs, bundles.log, bundles.snapshots, bundles.memory.words[0].log_tail)
    return SimpleNamespace(recording=recording, bundles=bundles)


def _newest_event_in_the_snapshot(bundles: Any) -> int:
    head, levels = np.zeros(1, SNAPSHOT).view(np.recarray), np.zeros(2 * 10, PRICE_LEVEL).view(np.recarray)
    assert slots.read_snapshot(bundles.snapshots, 0, head, levels) == 1
    return int(head[0].event_number)


def test_after_every_store_of_a_batch_the_book_is_as_new_as_what_can_be_seen() -> None:
    with rigged(max_sessions=1) as rig:
        [gateway] = rig.gateways(1)
        reports_before = int(rig.segment.array("report_tails")[1].tail)
        batch = _batch_of_a_new_account(rig, gateway)
        bundles, stages = batch.bundles, []
        for index in range(len(batch.recording.pictures)):
            batch.recording.show(index)
            events = int(bundles.outputs.events["number"].max())
            tail = int(bundles.memory.words[0].event_tail)
            reports = int(bundles.outputs.reports["number"].max())
            reports_tail = int(bundles.memory.report_tails[1].tail)
            snapshot = _newest_event_in_the_snapshot(bundles)
            assert snapshot >= max(events, tail - 1)
            assert tail - 1 <= events
            assert reports_tail - 1 <= reports
            if reports >= reports_before:
                assert (snapshot, tail) == (BATCH, BATCH + 1)
            if events or reports >= reports_before:
                assert bundles.memory.words[0].account_count == 2
                assert (bundles.memory.accounts[2].low, bundles.memory.accounts[2].high) == name_words("fresh")
            stages.append((snapshot, events, tail, reports, reports_tail))
        assert stages == sorted(stages)
        assert stages[-1] == (BATCH, BATCH, BATCH + 1, reports_before + BATCH, reports_before + BATCH + 1)
