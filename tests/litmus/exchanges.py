"""Small exchanges of this process, and what tests ask of every one of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from itertools import count

from shm_exchange.client import BookReplica, Gateway, Report
from shm_exchange.domain.config import ExchangeConfig
from shm_exchange.domain.enums import EventKind
from shm_exchange.domain.errors import LaneFull, ReportsLost
from shm_exchange.domain.instrument import Instrument
from shm_exchange.runtime.warm import ensure_warm
from shm_exchange.shm import attach
from shm_exchange.supervisor.supervisor import Supervisor
from tests.litmus.waiting import PATIENCE, await_that

ACME = Instrument("ACME", tick_size="0.01", lot_size="1")
FINE = Instrument("FINE", tick_size="0.005", lot_size="0.1", min_price="-10", max_price="1000")

_SMALL = {
    "max_orders": 4096,
    "session_orders": 1024,
    "session_pages": 64,
    "max_sessions": 8,
    "lane_capacity": 64,
    "report_capacity": 128,
    "event_capacity": 4096,
    "log_capacity": 1024,
}
_numbers = count(1)


def small_config(**sizes: int) -> ExchangeConfig:
    """An exchange of two instruments with a name that nobody else has; its rings are small, so that they wrap and overflow soon."""
    return ExchangeConfig(f"test-{os.getpid()}-{next(_numbers)}", (ACME, FINE), **(_SMALL | sizes))


@contextmanager
def running(**sizes: int) -> Iterator[Supervisor]:
    """A matcher that runs until the end of the block. Unless the test has failed already, its book must hold then."""
    ensure_warm()
    with Supervisor(small_config(**sizes)) as supervisor:
        yield supervisor
        assert supervisor.verify(PATIENCE).holds
        assert supervisor.matcher_death == ""


def outgrow_the_log(name: str) -> None:
    """Let an exchange without a journal forget its beginning: a matcher that dies from now on cannot be replaced. Quickest with a small log."""
    with attach(name) as segment, Gateway.attach(name, session="outgrows", block_seconds=PATIENCE) as gateway:
        words, at_once = segment.array("matcher"), segment.config.lane_capacity // 2
        while not words[0].overwritten:
            for _ in range(at_once):
                gateway.cancel(1)
            take(gateway, at_once)


def take(gateway: Gateway, wanted: int) -> list[Report]:
    """The next so many reports, however long they take. They are delivered when more are taken."""
    reports: list[Report] = []
    while len(reports) < wanted:
        assert gateway.wait(PATIENCE), f"{wanted - len(reports)} reports are missing; so far {reports}"
        reports += gateway.poll(wanted - len(reports))
    return reports


def take_what_is_there(gateway: Gateway) -> list[Report]:
    """All reports that wait, however many were lost between them."""
    reports: list[Report] = []
    while gateway.wait(0):
        with suppress(ReportsLost):
            reports += gateway.poll()
    gateway.ack()
    return reports


def cancel_all(gateway: Gateway) -> None:
    """Cancel every order of a session, whatever waits in its lane and its report ring."""

    def is_done() -> bool:
        take_what_is_there(gateway)
        with suppress(LaneFull):
            if gateway.mass_cancel():
                gateway.wait(PATIENCE)
        return any(report.kind is EventKind.MASS_CANCELED and not report.quantity_lots for report in take_what_is_there(gateway))

    await_that(is_done, f"session {gateway.session} has nothing left to cancel")


def check_replicas(supervisor: Supervisor) -> None:
    """The book rebuilt from the events is the engine's, order by order. Call it when nobody submits."""
    assert supervisor.verify(PATIENCE).holds
    latest = supervisor.segment.array("snapshot_latest")
    with BookReplica.attach(supervisor.name) as replica:
        replica.update()
        for index, instrument in enumerate(supervisor.segment.config.instruments):
            assert replica.book_hash(instrument.symbol) == latest[index].book_hash


def await_quiet(supervisor: Supervisor, *sessions: int) -> None:
    """Until the matcher has taken and answered all that lies in these lanes."""
    segment = supervisor.segment
    heads = segment.array("lane_heads")

    def is_empty(session: int) -> bool:
        lane, position = segment.array("lane", session), int(heads[session].head)
        return int(lane[position & (len(lane) - 1)].number) != position

    for session in sessions:
        await_that(partial(is_empty, session), f"the matcher takes everything from lane {session}")
    assert supervisor.verify(PATIENCE).holds
