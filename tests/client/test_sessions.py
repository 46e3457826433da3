"""Who has a session: one living process at a time. What was submitted and what was not delivered stays with its name."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator

import pytest

from shm_exchange import ExchangeError, Gateway, Side
from shm_exchange.domain.enums import EventKind, RejectReason
from shm_exchange.domain.errors import HandleClosed, NoFreeSession, SessionInUse
from shm_exchange.supervisor.supervisor import Supervisor
from tests.litmus import programs
from tests.litmus.children import Child
from tests.litmus.exchanges import await_quiet, cancel_all, check_replicas, running, take
from tests.litmus.waiting import await_that, state_of

Attach = Callable[..., Gateway]

BUY, SELL = Side


@pytest.fixture
def small() -> Iterator[Supervisor]:
    """An exchange with room for two sessions."""
    with running(max_sessions=2) as supervisor:
        yield supervisor


def abandon(gateway: Gateway) -> None:
    """What a kill leaves of a gateway: its lock is gone, and nothing else was done."""
    gateway._segment.close()
    gateway._disable("it was abandoned")


def test_a_session_is_held_by_one_process(exchange: Supervisor, attach: Attach) -> None:
    gateway = attach("alice")
    with pytest.raises(SessionInUse, match=f"session 'alice' is held by process {os.getpid()}, which is alive"):
        attach("alice")
    gateway.close()
    child = Child(programs.hold_session, exchange.name, "alice")
    try:
        assert child.hear() == gateway.__dict__["number"]
        with pytest.raises(SessionInUse, match=f"session 'alice' is held by process {child.pid}"):
            attach("alice")
        child.kill()
        assert attach("alice").number == gateway.__dict__["number"]
    finally:
        child.close()


def test_an_account_is_shared_by_sessions_and_bound_while_orders_are_open(attach: Attach) -> None:
    one, other = attach("one", account="fund"), attach("two", account="fund")
    one.limit("ACME", BUY, "1.00", 1)
    other.limit("ACME", BUY, "1.00", 1)
    accounts = {report.account for report in take(one, 1) + take(other, 1)}
    assert len(accounts) == 1
    one.close()
    again = attach("one", account="fund")
    cancel_all(again)
    again.close()
    assert attach("one", account="another").account == "another"


def test_another_account_is_refused_while_orders_are_open(attach: Attach) -> None:
    gateway = attach("bound", account="mine")
    gateway.limit("ACME", BUY, "1.00", 1)
    take(gateway, 1)
    gateway.close()
    try:
        with pytest.raises(ExchangeError, match=f"session 'bound' was refused for account 'yours': {RejectReason.ACCOUNT_IN_USE.name}"):
            attach("bound", account="yours")
    finally:
        attach("bound", account="mine")


def test_undelivered_reports_come_again_under_the_same_numbers(attach: Attach) -> None:
    """A report is delivered at the next poll, or by ack."""
    gateway = attach("careful")
    ids = [gateway.limit("ACME", BUY, "1.00", 1) for _ in range(6)]
    await_that(lambda: gateway._tail["tail"][0] == 8, "all are answered")
    first = gateway.poll()
    assert [report.order_id for report in first] == ids
    abandon(gateway)
    gateway = attach("careful")
    again = take(gateway, 8)
    assert [(report.number, report.order_id) for report in again[:6]] == [(report.number, report.order_id) for report in first]
    then = first[-1].number + 1
    assert [(report.kind, report.number) for report in again[6:]] == [(EventKind.DISCONNECTED, then), (EventKind.LOGGED_ON, then + 1)]
    gateway.ack()
    abandon(gateway)
    gateway = attach("careful")
    last = gateway.limit("ACME", BUY, "1.00", 1)
    assert last > ids[-1]
    answers = [(report.kind, report.order_id, report.number) for report in take(gateway, 3)]
    assert answers == [(EventKind.DISCONNECTED, 0, then + 2), (EventKind.LOGGED_ON, 0, then + 3), (EventKind.ACCEPTED, last, then + 4)]


def test_commands_of_a_dead_gateway_are_matched_and_its_orders_can_be_canceled_by_its_successor(attach: Attach) -> None:
    gateway = attach("dies")
    order_id = gateway.limit("ACME", BUY, "1.00", 5, client_order_id=3)
    abandon(gateway)
    gateway = attach("dies")
    gateway.cancel(client_order_id=3)
    kinds = [(report.kind.name, report.order_id) for report in take(gateway, 5)]
    assert kinds == [("LOGGED_ON", 0), ("ACCEPTED", order_id), ("DISCONNECTED", 0), ("LOGGED_ON", 0), ("CANCELED", order_id)]


def test_a_session_with_half_a_ring_of_undelivered_reports_can_be_taken_up_again(attach: Attach) -> None:
    gateway, other = attach("absent"), attach()
    for _ in range(3):
        for _ in range(24):
            gateway.limit("ACME", SELL, "2.00", 1)
        take(gateway, 24)
    gateway.ack()
    abandon(gateway)
    for _ in range(72):
        other.limit("ACME", BUY, "2.00", 1)
        take(other, 2)
    gateway = attach("absent", timeout=1.0)
    assert [report.kind.name for report in take(gateway, 74)] == ["EXECUTED"] * 72 + ["DISCONNECTED", "LOGGED_ON"]


def test_what_a_closed_gateway_has_left_in_its_lane_is_taken_although_its_reports_are_unread(exchange: Supervisor, attach: Attach) -> None:
    gateway = attach("leaver")
    number = gateway.number
    for _ in range(100):
        gateway.limit("ACME", BUY, "0.01", 1)
    gateway.close()
    tails = exchange.segment.array("report_tails")
    await_that(lambda: not tails[number].logged_on, "the last command of the lane is taken")
    attach("leaver")


def test_a_settled_lane_passes_on_and_the_next_session_sees_nothing_of_the_last(small: Supervisor) -> None:
    keeper = Gateway.attach(small.name, session="keeper")
    first = Gateway.attach(small.name, session="first")
    with pytest.raises(NoFreeSession, match=r"all 2 sessions .* are taken, by living gateways or by open orders"):
        Gateway.attach(small.name, session="third")
    ids = [first.limit("ACME", BUY, "1.00", 1) for _ in range(3)]
    take(first, 3)
    number, submitted = first.number, first.submitted
    first.close()
    with pytest.raises(NoFreeSession):
        Gateway.attach(small.name, session="third")
    first = Gateway.attach(small.name, session="first")
    cancel_all(first)
    first.close()
    await_quiet(small, number)
    second = Gateway.attach(small.name, session="second")
    assert second.number == number
    order_id = second.limit("ACME", BUY, "1.00", 1)
    assert order_id > max(ids) + submitted - 3
    answers = take(second, 1)
    assert [(report.order_id, report.kind.name) for report in answers] == [(order_id, "ACCEPTED")]
    with pytest.raises(NoFreeSession):
        Gateway.attach(small.name, session="first")
    check_replicas(small)
    keeper.close()
    second.close()


def test_a_closed_gateway_refuses_everything(attach: Attach) -> None:
    gateway = attach()
    gateway.close()
    gateway.close()
    verbs: list[Callable[[], object]] = [
        lambda: gateway.limit("ACME", BUY, "1.00", 1),
        lambda: gateway.market("ACME", BUY, 1),
        lambda: gateway.cancel(1),
        lambda: gateway.wait(0),
        lambda: gateway.number,
        *(programs.gateway_call(gateway, name) for name in ("poll", "poll_array", "ack", "mass_cancel", "rings")),
    ]
    for verb in verbs:
        with pytest.raises(HandleClosed, match="this gateway cannot be used: it was closed"):
            verb()
    with gateway:
        pass


def test_orders_stay_when_a_gateway_closes(attach: Attach) -> None:
    gateway, other = attach("leaves"), attach()
    gateway.limit("ACME", SELL, "3.00", 5)
    take(gateway, 1)
    gateway.close()
    other.limit("ACME", BUY, "3.00", 2)
    assert [report.kind.name for report in take(other, 2)] == ["ACCEPTED", "EXECUTED"]
    gateway = attach("leaves")
    assert sorted(report.kind.name for report in take(gateway, 3)) == ["EXECUTED", "LOGGED_OFF", "LOGGED_ON"]


def test_a_forked_child_has_no_part_in_its_parents_gateway(exchange: Supervisor, attach: Attach) -> None:
    """It neither submits nor reads nor holds the session: that is free when the parent is killed, though the child lives."""
    parent = Child(programs.fork_a_gateway, exchange.name, "forks")
    forked = 0
    try:
        forked, said = parent.hear()
        assert {kind for kind, _ in said} == {"HandleClosed"}
        assert all("belongs to the parent process; attach a gateway of your own" in text for _, text in said)
        with pytest.raises(SessionInUse):
            attach("forks")
        parent.kill()
        assert state_of(forked)
        gateway = attach("forks")
        assert [report.kind.name for report in take(gateway, 4)] == ["LOGGED_ON", "ACCEPTED", "DISCONNECTED", "LOGGED_ON"]
    finally:
        if forked:
            os.kill(forked, signal.SIGKILL)
        parent.close()


def test_a_forked_child_cannot_write_into_its_parents_lane(exchange: Supervisor) -> None:
    """Not even through the address that it has inherited: the pages are not there, and it dies of it."""
    parent = Child(programs.write_in_a_forked_child, exchange.name, "raw")
    try:
        assert parent.hear() == -signal.SIGSEGV
    finally:
        parent.close()
