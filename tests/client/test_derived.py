"""Reports and events that their rings had no room for come from the journal, byte for byte, and nobody is told that anything was lost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from shm_exchange import BookReplica, EventFeed, Exchange, Gateway, Side
from shm_exchange.domain.errors import ConfigError, EventsLost, ReportsLost
from tests.litmus.exchanges import small_config
from tests.litmus.waiting import await_that

SIZES: dict[str, Any] = {"max_sessions": 4, "lane_capacity": 1024, "report_capacity": 64, "event_capacity": 128, "log_capacity": 1024}
ORDERS = 100


@pytest.fixture(scope="module")
def exchange() -> Iterator[Exchange]:
    config = small_config()
    with Exchange.start(config.name, config.instruments, journal="async", **SIZES) as running:
        yield running


def _skip_reports(exchange: Exchange, maker: Gateway) -> int:
    """Trade so often with a maker who does not read that its ring is full; returns the number of its newest report."""
    for _ in range(ORDERS):
        maker.limit("ACME", Side.SELL, price_ticks=100, quantity=4)
        while maker.wait(0.01):
            maker.poll()
    before = _tail(exchange, maker)
    with Gateway.attach(exchange.name, session="taker", lane_full="block") as taker:
        for _ in range(ORDERS):
            taker.limit("ACME", Side.BUY, price_ticks=100, quantity=4)
            while taker.wait(0.01):
                taker.poll()
        await_that(lambda: _tail(exchange, maker) >= before + ORDERS, "all trades are reported")
    return _tail(exchange, maker) - 1


def _tail(exchange: Exchange, gateway: Gateway) -> int:
    return next(lane["reports"] for lane in exchange.status()["lanes"] if lane["session"] == gateway.session) + 1


def test_reports_that_were_skipped(exchange: Exchange) -> None:
    with Gateway.attach(exchange.name, session="maker") as maker:
        last = _skip_reports(exchange, maker)
        assert exchange.status()["reports_skipped"] > 0
        taken: list[np.ndarray] = []
        while not taken or taken[-1]["number"][-1] < last:
            taken.append(maker.poll_array(7).copy())  # in pieces: what is derived is delivered as any other report
        numbers = np.concatenate(taken)["number"]
        assert (np.diff(numbers) == 1).all()
        fills = np.concatenate(taken)
        assert (fills["quantity"][-ORDERS:] == 4).all()
        assert (np.diff(fills["cause_id"][-ORDERS:]) > 0).all()
    with Gateway.attach(exchange.name, session="maker", resume_from=int(numbers[0])) as again:
        once_more = again.poll_array(50)
        assert len(once_more)
        assert (once_more == fills[: len(once_more)]).all()


def test_a_number_that_is_still_to_come_cannot_be_resumed_from(exchange: Exchange) -> None:
    with pytest.raises(ConfigError, match="resume_from must be the number of a report that exists, or of the next one: 1 to"):
        Gateway.attach(exchange.name, session="early", resume_from=10_000)


def test_events_from_the_first_on(exchange: Exchange) -> None:
    with EventFeed.attach(exchange.name, from_start=True) as plain, pytest.raises(EventsLost):
        plain.poll_array()
    with EventFeed.attach(exchange.name, from_start=True, complete=True) as feed:
        events = []
        while feed.next_event < feed.tail:
            events.append(feed.poll_array(33).copy())
        assert np.concatenate(events)["number"].tolist() == list(range(1, feed.tail))


def test_a_replica_that_comes_late(exchange: Exchange) -> None:
    with BookReplica.attach(exchange.name, "ACME") as replica:
        replica.update()
        exchange.verify()
        assert replica.book_hash() == exchange._segment.array("snapshot_latest")[0].book_hash


def _take_up_to(gateway: Gateway, number: int) -> None:
    while gateway.poll_array()["number"][-1] < number:
        pass


@pytest.mark.long
def test_without_a_journal_they_are_lost() -> None:
    config = small_config()
    with Exchange.start(config.name, config.instruments, **SIZES) as plain, Gateway.attach(plain.name, session="maker") as maker:
        last = _skip_reports(plain, maker)
        with pytest.raises(ReportsLost):
            _take_up_to(maker, last)
