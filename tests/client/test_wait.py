"""Waiting: asleep until there is something, awake at once when there is."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from shm_exchange import Gateway, Side
from shm_exchange.supervisor.supervisor import Supervisor
from tests.litmus.exchanges import take
from tests.litmus.waiting import PATIENCE, await_that

Attach = Callable[..., Gateway]


@pytest.fixture
def nobody_spins(exchange: Supervisor) -> None:
    """As on a machine with fewer cores than processes: whoever has nothing to do sleeps."""
    exchange.control.set_spin_polls(0)


def test_nothing_to_wait_for(attach: Attach) -> None:
    gateway = attach()
    assert not gateway.wait(0)
    assert not gateway.wait(0.02)
    assert gateway.poll() == []
    assert len(gateway.poll_array()) == 0


def test_what_is_there_needs_no_waiting(attach: Attach) -> None:
    gateway = attach()
    gateway.limit("ACME", Side.BUY, "1.00", 1)
    assert gateway.wait()
    assert gateway.wait(0)
    assert len(gateway.poll()) == 1
    assert not gateway.wait(0)


def test_a_sleeper_is_woken_by_a_trade_of_somebody_elses_making(exchange: Supervisor, attach: Attach, nobody_spins: None) -> None:
    """The matcher wakes who sleeps, and only them; its counter says so."""
    maker, taker = attach(), attach()
    maker.limit("ACME", Side.SELL, "8.00", 100)
    take(maker, 1)
    counters, parked = exchange.segment.array("counters"), exchange.segment.array("parked")
    woken = []
    for _ in range(10):
        before = int(counters[0].wakes)
        waiter = threading.Thread(target=lambda: woken.append(maker.wait(PATIENCE)))
        waiter.start()
        await_that(lambda: parked[maker.number].parked, "the maker sleeps")
        taker.limit("ACME", Side.BUY, "8.00", 1)
        waiter.join(PATIENCE)
        assert not waiter.is_alive()
        assert len(maker.poll()) == 1
        assert before < counters[0].wakes <= before + 2
        take(taker, 2)
    assert woken == [True] * 10


def test_waiting_for_an_answer_after_a_large_poll(attach: Attach) -> None:
    """One poll may take a whole ring of reports; the next command must be answered though nothing has been polled since."""
    maker, taker = attach(), attach()
    maker.limit("ACME", Side.SELL, "9.00", 1000)
    for _ in range(100):
        taker.limit("ACME", Side.BUY, "9.00", 1)
        take(taker, 2)
    assert len(maker.poll()) == 101
    maker.cancel(1)
    assert maker.wait(PATIENCE)


def test_poll_takes_no_more_than_asked(attach: Attach) -> None:
    gateway = attach()
    for _ in range(5):
        gateway.limit("ACME", Side.BUY, "1.00", 1)
    assert gateway.wait()
    numbers: list[int] = []
    while len(numbers) < 5:
        part = gateway.poll(2)
        assert len(part) <= 2
        numbers += [report.number for report in part]
    assert numbers == [2, 3, 4, 5, 6]


def test_an_array_of_reports_is_ours_to_keep(attach: Attach) -> None:
    gateway = attach()
    kept = []
    for _ in range(3):
        gateway.limit("ACME", Side.BUY, "1.00", 1)
        assert gateway.wait()
        kept.append(gateway.poll_array())
    assert [int(part["number"][0]) for part in kept] == [2, 3, 4]
