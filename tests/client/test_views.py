"""Those who watch: the newest top, every event, and the whole book rebuilt from them. All of them agree with the engine."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from decimal import Decimal
from random import Random

import numpy as np
import pytest

from shm_exchange import BookReplica, EventFeed, Gateway, MarketView, Side
from shm_exchange.client import RestingOrder
from shm_exchange.domain.enums import CancelReason, CommandKind, EventKind, OrderType, SelfTradePrevention
from shm_exchange.domain.errors import EventsLost, HandleClosed, UnknownSymbol
from shm_exchange.layout.records import COMMAND
from shm_exchange.supervisor.supervisor import Supervisor
from tests.litmus.exchanges import await_quiet, check_replicas, outgrow_the_log, running, small_config, take, take_what_is_there
from tests.litmus.waiting import await_that

Attach = Callable[..., Gateway]

BUY, SELL = Side
EVENTS = 512


@pytest.fixture
def fresh() -> Iterator[Supervisor]:
    """An exchange of which nothing is known yet, with a short event ring."""
    with running(event_capacity=EVENTS, depth=3) as supervisor:
        yield supervisor


@pytest.fixture
def gateway(fresh: Supervisor) -> Iterator[Gateway]:
    with Gateway.attach(fresh.name, session="alice", account="fund") as gateway:
        yield gateway


def test_a_view_shows_the_best_levels(fresh: Supervisor, gateway: Gateway) -> None:
    with MarketView.attach(fresh.name, "FINE") as view:
        assert (view.best_bid(), view.best_ask()) == (None, None)
        empty = view.depth()
        assert (empty.bids, empty.asks, empty.last, empty.bid, empty.ask) == ([], [], None, None, None)
        for number in range(1, 6):
            gateway.limit("FINE", BUY, price_ticks=100 - number, quantity=f"{number}.5")
            gateway.limit("FINE", SELL, price_ticks=100 + number, quantity=number)
        take(gateway, 10)
        assert view.best_bid() == (Decimal("0.495"), Decimal("1.5"))
        assert view.best_ask() == (Decimal("0.505"), Decimal(1))
        depth = view.depth()
        assert depth.bids == [(Decimal("0.495"), Decimal("1.5")), (Decimal("0.490"), Decimal("2.5")), (Decimal("0.485"), Decimal("3.5"))]
        assert depth.asks == [(Decimal("0.505"), Decimal(1)), (Decimal("0.510"), Decimal(2)), (Decimal("0.515"), Decimal(3))]
        assert (view.depth(2).bids, view.top().asks) == (depth.bids[:2], depth.asks[:1])
        assert depth.version > empty.version
        gateway.limit("FINE", BUY, "0.505", "0.3")
        take(gateway, 2)
        newest = view.depth()
        assert newest.last == (Decimal("0.505"), Decimal("0.3"))
        assert newest.ask == (Decimal("0.505"), Decimal("0.7"))
        assert newest.time_ns >= depth.time_ns > 0
        bids, asks = view.depth_array()
        assert (bids.tolist(), asks["price_ticks"].tolist()) == ([(99, 15), (98, 25), (97, 35)], [101, 102, 103])
        assert view.writer_alive


def test_a_view_of_another_instrument_sees_nothing_of_it(fresh: Supervisor, gateway: Gateway) -> None:
    with MarketView.attach(fresh.name, "ACME") as view:
        version = view.depth().version
        gateway.limit("FINE", BUY, "1.00", 1)
        take(gateway, 1)
        assert view.depth().version == version
    with pytest.raises(UnknownSymbol, match="no instrument 'ACNE'; did you mean 'ACME'"):
        MarketView.attach(fresh.name, "ACNE")


def test_every_event_in_order_with_all_it_says(fresh: Supervisor, gateway: Gateway) -> None:
    with EventFeed.attach(fresh.name) as feed:
        resting = gateway.limit("ACME", SELL, "5.00", 10, client_order_id=1)
        incoming = gateway.limit("ACME", BUY, "5.50", 4)
        gateway.reduce(resting, 1)
        gateway.replace(resting, price="4.00", quantity=8)
        gateway.cancel(resting)
        gateway.cancel(resting)
        gateway.market("FINE", BUY, 1)
        fills = [report for report in take(gateway, 10) if report.kind is EventKind.EXECUTED]
        events = feed.poll()
    assert [event.number for event in events] == list(range(1, 9))
    assert [event.kind.name for event in events] == ["ACCEPTED", "ACCEPTED", "EXECUTED", "REDUCED", "REPLACED", "CANCELED", "ACCEPTED", "CANCELED"]
    sold, bought, traded, reduced, replaced, canceled, market, _ = events
    assert (sold.order_id, sold.symbol, sold.side, sold.price_ticks, sold.quantity_lots, sold.order_type) == (resting, "ACME", SELL, 500, 10, 1)
    assert (traded.order_id, traded.resting_order_id, traded.price_ticks, traded.quantity_lots, traded.side) == (incoming, resting, 500, 4, BUY)
    assert {traded.match_id} == {fill.match_id for fill in fills}
    assert traded.sequence == bought.sequence > sold.sequence
    assert (reduced.quantity_lots, replaced.price_ticks, replaced.quantity_lots, canceled.quantity_lots) == (1, 400, 4, 4)
    assert canceled.reason is CancelReason.USER
    assert (market.order_type, market.price_ticks, market.symbol) == (OrderType.MARKET, 0, "FINE")
    assert len({event.account for event in events}) == 1
    assert repr(traded) == f"<Event 3 EXECUTED ACME BUY order {incoming}: 4 @ 5.00>"


def test_a_feed_begins_with_what_comes_or_with_the_first(fresh: Supervisor, gateway: Gateway) -> None:
    gateway.limit("ACME", SELL, "5.00", 10)
    take(gateway, 1)
    with EventFeed.attach(fresh.name) as late, EventFeed.attach(fresh.name, from_start=True) as early:
        assert (late.poll(), late.next_event, late.tail) == ([], 2, 2)
        assert [event.number for event in early.poll()] == [1]
        gateway.mass_cancel()
        take(gateway, 2)
        assert early.poll_array()["number"].tolist() == late.poll_array()["number"].tolist() == [2]


def _flood(gateway: Gateway, events: int) -> None:
    for _ in range(events // 2):
        gateway.limit("ACME", SELL, "5.00", 1)
        gateway.mass_cancel()
        take(gateway, 3)


def test_a_lapped_feed_is_told_what_it_lost_and_goes_on(fresh: Supervisor, gateway: Gateway) -> None:
    with EventFeed.attach(fresh.name) as feed:
        _flood(gateway, EVENTS)
        assert [event.number for event in feed.poll()] == list(range(1, EVENTS + 1))
        _flood(gateway, EVENTS + 2)
        last = 2 * EVENTS + 2
        with pytest.raises(EventsLost, match=f"events {EVENTS + 1} to .* were overwritten before they were read; the next poll goes on at") as lost:
            feed.poll()
        assert lost.value.first == EVENTS + 1
        assert lost.value.last + 1 == feed.next_event
        assert [event.number for event in feed.poll()] == list(range(lost.value.last + 1, last + 1))
    with BookReplica.attach(fresh.name) as replica, pytest.raises(EventsLost, match="events 1 to"):
        replica.update()


def test_a_replica_knows_every_order(fresh: Supervisor, gateway: Gateway) -> None:
    with Gateway.attach(fresh.name, session="bob", account="bank") as other, BookReplica.attach(fresh.name, "ACME") as replica:
        first = gateway.limit("ACME", SELL, "5.00", 10)
        take(gateway, 1)
        second = other.limit("ACME", SELL, "5.00", 7)
        third = other.limit("ACME", BUY, "4.00", 3)
        other.limit("FINE", BUY, "4.00", "0.3")
        take(other, 3)
        assert replica.volume("5.00") == 17
        assert replica.volume("4.50") == 0
        assert replica.orders("5.00") == [RestingOrder(first, "fund", SELL, Decimal(10)), RestingOrder(second, "bank", SELL, Decimal(7))]
        assert replica.orders("4.00") == [RestingOrder(third, "bank", BUY, Decimal(3))]
        assert replica.orders("1.00") == []
        assert replica.levels(SELL) == [(Decimal("5.00"), Decimal(17))]
        assert replica.levels(BUY, "FINE") == [(Decimal("4.00"), Decimal("0.3"))]
        gateway.reduce(first, 4)
        take(gateway, 1)
        other.limit("ACME", BUY, "5.00", 8)
        take(other, 4)
        assert replica.orders("5.00") == [RestingOrder(second, "bank", SELL, Decimal(5))]
        assert replica.event_number == 8
    with BookReplica.attach(fresh.name) as both:
        assert both.volume("5.00", "ACME") == 5
        with pytest.raises(UnknownSymbol, match="say symbol="):
            both.volume("5.00")


def _random_commands(seed: int, count: int, first_id: int) -> np.ndarray:
    """Orders that cross now and then, of all kinds, over both instruments, and changes of earlier ones."""
    draw = Random(seed)
    commands = np.zeros(count, COMMAND)
    for number, command in enumerate(commands):
        kind = draw.choice([CommandKind.ENTER] * 3 + [CommandKind.CANCEL, CommandKind.REDUCE, CommandKind.REPLACE])
        command["kind"], command["self_trade"] = kind, draw.choice(list(SelfTradePrevention))
        command["quantity"], command["price_ticks"] = draw.randint(1, 50), draw.randint(90, 110)
        if kind is CommandKind.ENTER:
            command["order_type"], command["time_in_force"] = draw.choice([(1, 1)] * 6 + [(1, 2), (1, 3), (2, 2), (2, 3)])
            command["price_ticks"] *= command["order_type"] == OrderType.LIMIT
            command["side"], command["instrument"] = draw.choice(list(Side)), draw.randint(0, 1)
        else:
            command["order_id"] = first_id + draw.randint(max(0, number - 40), number)
            command["self_trade"] = SelfTradePrevention.NONE if kind is not CommandKind.REPLACE else command["self_trade"]
    return commands


@pytest.mark.parametrize("seed", range(2))
def test_replica_snapshot_and_engine_agree_after_a_random_flow(seed: int) -> None:
    with (
        running(event_capacity=1 << 14, report_capacity=4096, depth=5) as supervisor,
        Gateway.attach(supervisor.name, session="one") as gateway,
        Gateway.attach(supervisor.name, session="two") as other,
        BookReplica.attach(supervisor.name) as replica,
    ):
        levels = 0
        for step in range(4):
            for number, one in enumerate((gateway, other)):
                first_id = one.number << 40 | one.submitted + 1
                one.submit_many(_random_commands(100 * seed + 10 * step + number, 200, first_id))
                take_what_is_there(one)
            await_quiet(supervisor, gateway.number, other.number)
            check_replicas(supervisor)
            for symbol in ("ACME", "FINE"):
                with MarketView.attach(supervisor.name, symbol) as view:
                    depth = view.depth()
                assert (depth.bids, depth.asks) == (replica.levels(BUY, symbol)[:5], replica.levels(SELL, symbol)[:5])
                levels += len(depth.bids) + len(depth.asks)
        assert levels > 10
        assert supervisor.segment.array("counters")[0].trades > 100


def test_what_is_left_can_be_looked_at_when_the_matcher_is_gone() -> None:
    with Supervisor(small_config()) as supervisor:
        outgrow_the_log(supervisor.name)
        gateway = Gateway.attach(supervisor.name, session="alice")
        gateway.limit("ACME", BUY, "5.00", 1)
        take(gateway, 1)
        view = MarketView.attach(supervisor.name, "ACME")
        feed = EventFeed.attach(supervisor.name, from_start=True)
        os.kill(supervisor.matcher.pid, signal.SIGKILL)
        await_that(supervisor.matcher.has_ended, "the matcher dies")
        assert not view.writer_alive
        assert not gateway.matcher_alive
        assert gateway.matcher_lost
        best = (Decimal("5.00"), Decimal(1))
        assert view.best_bid() == best
        assert len(feed.poll()) == 1
        with MarketView.attach(supervisor.name, "ACME", dead_ok=True) as late:
            assert late.best_bid() == best
        view.close()
        with pytest.raises(HandleClosed):
            assert view.writer_alive
        supervisor.attend()
        assert "killed by SIGKILL; without a journal its book cannot be rebuilt" in supervisor.matcher_death
