"""An exchange in three shards, and what tests ask of its reports and events."""

from __future__ import annotations

import os
import signal
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from shm_exchange.client import Event, EventFeed, Gateway, Report, ShardedGateway
from shm_exchange.domain.enums import Side
from shm_exchange.domain.instrument import Instrument
from tests.litmus.waiting import PATIENCE, await_that

SYMBOLS = ("AAA", "BBB", "CCC", "DDD", "EEE")
INSTRUMENTS = [Instrument(symbol) for symbol in SYMBOLS]
SHARDS = 3
SHARD_OF = {symbol: number % SHARDS for number, symbol in enumerate(SYMBOLS)}
SIZES: dict[str, Any] = {
    "max_orders": 4096,
    "max_sessions": 8,
    "lane_capacity": 256,
    "report_capacity": 1024,
    "event_capacity": 4096,
    "log_capacity": 4096,
}


def take(gateway: Gateway, wanted: int, *, limit: int = 4096) -> list[Report]:
    """The next so many reports; they are delivered when more are taken."""
    reports: list[Report] = []
    while len(reports) < wanted:
        assert gateway.wait(PATIENCE), f"{wanted - len(reports)} reports are missing; so far {reports}"
        reports += gateway.poll(min(limit, wanted - len(reports)))
    return reports


def events_until(feed: EventFeed, is_enough: Callable[[list[Event]], bool]) -> list[Event]:
    """What a feed gives until that is enough."""
    events: list[Event] = []

    def is_there() -> bool:
        events.extend(feed.poll())
        return is_enough(events)

    await_that(is_there, "the feed gives all events")
    return events


def numbers_by_shard(records: Iterable[Report | Event]) -> dict[int, list[int]]:
    numbers: dict[int, list[int]] = defaultdict(list)
    for record in records:
        numbers[record.shard].append(record.number)
    return numbers


def check_gapless(records: Iterable[Report | Event]) -> None:
    """Every shard's numbers go on without a gap."""
    for shard, numbers in numbers_by_shard(records).items():
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), f"shard {shard}: {numbers}"


def poll_and_die(gateway: Gateway, count: int) -> None:
    """Killed while it handles what it polled: nothing of it is delivered."""
    for symbol in SYMBOLS[:count]:
        gateway.limit(symbol, Side.BUY, "1.00", 1)
    assert all(part.wait(PATIENCE) for part in sharded(gateway).shards)
    assert gateway.poll()
    os.kill(os.getpid(), signal.SIGKILL)


def trade_once(gateway: Gateway, symbol: str) -> int:
    """In a spawned process; the shard that answered."""
    gateway.cancel(gateway.limit(symbol, Side.BUY, "1.00", 1))
    shard, _ = (report.shard for report in take(gateway, 2))
    return shard


def sharded(gateway: Gateway) -> ShardedGateway:
    assert isinstance(gateway, ShardedGateway)
    return gateway
