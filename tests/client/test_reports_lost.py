"""A session that does not read loses reports of others' doing, and is told which; nobody waits for it. One that reads loses nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from shm_exchange import Gateway, Side
from shm_exchange.domain.enums import EventKind, Role
from shm_exchange.domain.errors import ReportsLost
from shm_exchange.supervisor.supervisor import Supervisor
from tests.litmus.exchanges import check_replicas, take
from tests.litmus.waiting import PATIENCE, await_that

Attach = Callable[..., Gateway]

BUY, SELL = Side
RING = 128


def _trade(taker: Gateway, times: int) -> None:
    """Buy one lot at a time from whoever rests, and read all about it."""
    for _ in range(times):
        taker.limit("ACME", BUY, "7.00", 1)
        assert [report.kind.name for report in take(taker, 2)] == ["ACCEPTED", "EXECUTED"]


def test_a_ring_that_overflows_tells_exactly_what_is_lost(exchange: Supervisor, attach: Attach) -> None:
    """Fills of an order that rests come without our asking, however many; they are no reason for the matcher to stop."""
    maker, taker = attach(), attach()
    maker.limit("ACME", SELL, "7.00", 1000)
    _trade(taker, RING + 75)
    assert [report.number for report in take(maker, RING - 1)] == list(range(2, RING + 1))
    last = RING + 77
    with pytest.raises(ReportsLost, match=f"reports {RING + 1} to {last} were overwritten before they were read; the next poll goes on at") as lost:
        maker.poll()
    assert (lost.value.first, lost.value.last) == (RING + 1, last)
    assert not maker.wait(0)
    assert maker.poll() == []
    assert int(exchange.segment.array("report_tails")[maker.number].skipped) == 77
    maker.cancel(1)
    assert take(maker, 1)[0].number == last + 1
    _trade(taker, 3)
    rest = take(maker, 3)
    assert [(report.number, report.role) for report in rest] == [(last + 2 + number, Role.RESTING) for number in range(3)]
    assert [report.leaves_lots for report in rest] == [1000 - RING - 76 - number for number in range(3)]
    check_replicas(exchange)


def test_what_comes_behind_a_gap_is_delivered(attach: Attach) -> None:
    """The ring overflows, is read, and fills again before the reader meets the gap."""
    maker, taker = attach(), attach()
    maker.limit("ACME", SELL, "7.00", 1000)
    _trade(taker, RING + 10)
    taken = [report.number for report in take(maker, RING - 1)]
    maker.ack()
    maker.cancel(1)
    assert maker.wait(PATIENCE)
    await_that(lambda: maker._tail["tail"][0] > RING + 13, "the refusal is out")
    _trade(taker, 5)
    gaps = []
    while maker.wait(0):
        try:
            taken += [report.number for report in maker.poll()]
        except ReportsLost as lost:
            gaps.append((lost.first, lost.last))
    assert gaps == [(RING + 1, RING + 12)]
    assert taken == [*range(2, RING + 1), *range(RING + 13, RING + 19)]


def test_a_session_that_reads_loses_nothing_however_long_it_submits_nothing(exchange: Supervisor, attach: Attach) -> None:
    maker, taker = attach(), attach()
    maker.limit("ACME", SELL, "7.00", 5000)
    take(maker, 1)
    maker.ack()
    _let_the_lane_cool(exchange, maker)
    for number in range(RING + 10):
        _trade(taker, 1)
        [fill] = take(maker, 1)
        assert (fill.kind, fill.number) == (EventKind.EXECUTED, number + 3)
        maker.ack()


def _let_the_lane_cool(exchange: Supervisor, gateway: Gateway) -> None:
    """Until the matcher no longer looks at the lane by itself."""
    activity = exchange.segment.array("activity")
    word, bit = divmod(gateway.number, 64)
    before = int(exchange.segment.array("control")[0].spin_polls)
    exchange.control.set_spin_polls(1 << 40)
    try:
        await_that(lambda: not int(activity[word].bits) >> bit & 1, f"lane {gateway.number} cools")
    finally:
        exchange.control.set_spin_polls(before)
