"""Readers against a writer at full speed in another process: none torn, none hung, none sent back (I8), none older than what was seen (I7)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from shm_exchange import EventFeed, Gateway, MarketView, Side
from shm_exchange.client.endpoint import POSITION_MASK
from shm_exchange.domain.enums import EventKind
from shm_exchange.layout.headers import PRICE_LEVEL, SNAPSHOT
from shm_exchange.layout.records import EVENT
from shm_exchange.ring.broadcast import FEED
from shm_exchange.shm import Segment, create
from shm_exchange.snapshot.slots import Snapshots
from tests.litmus import programs, speed
from tests.litmus.children import Child
from tests.litmus.exchanges import running, small_config, take
from tests.litmus.flow import commands_from, next_id
from tests.litmus.waiting import PATIENCE

Spawn = Callable[..., Child]

AT_ONCE = 50_000


@pytest.fixture(params=[1, 10], ids=["depth 1", "depth 10"])
def created(request: pytest.FixtureRequest) -> Iterator[Segment]:
    with create(small_config(depth=request.param, event_capacity=64, sweep_budget=32)) as segment:
        yield segment
        segment.destroy()


def _snapshots(segment: Segment) -> Snapshots:
    return Snapshots(*(segment.array(name) for name in ("snapshot_latest", "snapshots", "snapshot_levels")))


def _buffers(segment: Segment) -> tuple[np.recarray, np.recarray, np.recarray]:
    levels = np.zeros(2 * segment.config.depth, PRICE_LEVEL).view(np.recarray)
    return np.zeros(1, SNAPSHOT).view(np.recarray), levels, np.zeros(1, speed.TALLY).view(np.recarray)


@pytest.mark.parametrize("reads", [50_000, pytest.param(10_000_000, marks=pytest.mark.long)])
def test_snapshots_of_a_writer_at_full_speed(created: Segment, spawn: Spawn, reads: int) -> None:
    snapshots, (head, levels, tally) = _snapshots(created), _buffers(created)
    writer = spawn(programs.write_snapshots_and_events, created.name)
    assert writer.hear() == "ready"
    writer.tell("versions")
    while tally[0].reads < reads or tally[0].last < 2:  # a writer that has not begun yet would prove nothing
        speed.read_versions(snapshots, 0, head, levels, tally, AT_ONCE)
    writer.tell("enough")
    versions, _ = writer.hear()
    assert (tally[0].torn, tally[0].back) == (0, 0)
    assert 1 < tally[0].last <= versions
    assert tally[0].busy < tally[0].reads
    speed.read_versions(snapshots, 0, head, levels, tally, 1)
    assert tally[0].last == versions


@pytest.mark.parametrize("reads", [50_000, pytest.param(10_000_000, marks=pytest.mark.long)])
def test_events_of_a_writer_at_full_speed(created: Segment, spawn: Spawn, reads: int) -> None:
    feed, out = np.zeros(1, FEED).view(np.recarray), np.zeros(256, EVENT).view(np.recarray)
    feed[0].next_event = 1
    _, _, tally = _buffers(created)
    events, words = created.array("events"), created.array("matcher")
    writer = spawn(programs.write_snapshots_and_events, created.name)
    assert writer.hear() == "ready"
    writer.tell("events")
    while tally[0].reads < reads:
        speed.read_events(feed, events, words, out, tally, tally[0].reads + AT_ONCE)
    writer.tell("enough")
    _, tail = writer.hear()
    before = int(tally[0].reads)
    speed.read_events(feed, events, words, out, tally, before + 2 * len(events))
    assert (tally[0].torn, tally[0].back) == (0, 0)
    assert tally[0].last == tail - 1
    assert tally[0].reads + tally[0].lost == tail - 1


@pytest.mark.parametrize("rounds", [10, pytest.param(2000, marks=pytest.mark.long)])
def test_whoever_has_seen_an_event_finds_a_book_as_new(rounds: int) -> None:
    """Every command is a batch of its own and changes the top of the book; we look while the matcher works through a lane of them."""
    with (
        running(lane_capacity=2048, report_capacity=1 << 14, max_sessions=1, sweep_budget=1) as supervisor,
        Gateway.attach(supervisor.name, session="one") as gateway,
    ):
        segment = supervisor.segment
        snapshots, (head, levels, tally) = _snapshots(segment), _buffers(segment)
        for _ in range(rounds):
            commands = commands_from(next_id(gateway), 2000)
            last = gateway.submit_many(commands).first_id + len(commands) - 1
            while segment.array("lane_heads")[gateway.number].head <= last & POSITION_MASK:
                speed.compare_with_events(snapshots, 0, segment.array("matcher"), head, levels, tally, 500)
            reports = 0
            while not reports or last not in gateway.poll_array()["cause_id"]:
                assert gateway.wait(PATIENCE)
                reports += 1
        assert tally[0].back == 0
        assert tally[0].retries > 0


@pytest.mark.parametrize("orders", [500, pytest.param(100_000, marks=pytest.mark.long)])
def test_whoever_has_seen_a_report_finds_the_order_in_the_book(spawn: Spawn, orders: int) -> None:
    """While somebody else changes the other instrument all the time, which must not hide it."""
    with (
        running(report_capacity=1 << 14, event_capacity=1 << 16, max_sessions=2) as supervisor,
        Gateway.attach(supervisor.name, session="one") as gateway,
        MarketView.attach(supervisor.name, "FINE") as view,
        EventFeed.attach(supervisor.name) as feed,
    ):
        trader = spawn(programs.trade_until_told, supervisor.name, "two")
        assert trader.hear() == "ready"
        trader.tell("go")
        for number in range(orders):
            price_ticks, quantity = 100 + number % 7, 1 + number % 11
            order_id = gateway.limit("FINE", Side.BUY, price_ticks=price_ticks, quantity=quantity)
            take(gateway, 1)
            [bid] = view.depth_array()[0].tolist()
            assert bid == (price_ticks, quantity * 10)
            seen = view.depth().event_number
            gateway.cancel(order_id)
            [report] = take(gateway, 1)
            assert report.kind is EventKind.CANCELED
            depth = view.depth()
            assert depth.bids == []
            assert depth.event_number > seen
            events = feed.poll_array()
            own = events[events["instrument"] == 1]
            assert len(own) == 2
            assert view.depth().event_number >= own["number"][-1]
        trader.tell("stop")
        assert "trading" in (trader.hear(), trader.hear())
