"""A process that writes whatever it likes into the pages it may write: it is answered, and nobody else is touched."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal

import numpy as np
import pytest

from shm_exchange import Gateway, MarketView, Side
from shm_exchange.domain.enums import EventKind, RejectReason
from shm_exchange.domain.limits import POSITION_BITS
from shm_exchange.layout.records import REPORT
from shm_exchange.shm import attach
from shm_exchange.supervisor.supervisor import Supervisor
from tests.litmus import garbage, programs
from tests.litmus.children import Child
from tests.litmus.exchanges import running, take
from tests.litmus.waiting import await_that
from tests.matcher.rig import RawGateway, orders

Spawn = Callable[..., Child]

HOSTILE, HONEST = 1, 2
SYMBOL = "FINE"
RING = 4096


@pytest.fixture(scope="module")
def exchange() -> Iterator[Supervisor]:
    with running(report_capacity=RING, max_sessions=2, session_pages=200) as supervisor:
        yield supervisor


@pytest.fixture(scope="module")
def hostile(exchange: Supervisor) -> RawGateway:
    """A session of its own, with all its pages writable and no library in between."""
    return RawGateway(attach(exchange.name, write=True), HOSTILE)


@pytest.fixture(scope="module")
def honest(exchange: Supervisor, hostile: RawGateway) -> Iterator[Gateway]:
    """Somebody else, with two orders in the book of an instrument that garbage does not name."""
    with Gateway.attach(exchange.name, session="honest") as gateway:
        assert gateway.number == HONEST
        gateway.limit(SYMBOL, Side.BUY, "1.000", 3)
        gateway.limit(SYMBOL, Side.SELL, "2.000", 4)
        take(gateway, 2)
        yield gateway


def _serve(honest: Gateway) -> None:
    """Orders can be entered and canceled, and nothing else is reported."""
    order_id = honest.limit(SYMBOL, Side.BUY, "1.500", 1)
    honest.cancel(order_id)
    assert [(report.kind, report.order_id) for report in take(honest, 2)] == [(EventKind.ACCEPTED, order_id), (EventKind.CANCELED, order_id)]
    assert not honest.wait(0)


def _check_honest(exchange: Supervisor, honest: Gateway) -> None:
    """The book holds, and the orders in it stand."""
    _serve(honest)
    assert exchange.verify().holds
    with MarketView.attach(exchange.name, SYMBOL) as view:
        depth = view.depth()
        assert depth.bids == [(Decimal("1.000"), Decimal(3))]
        assert depth.asks == [(Decimal("2.000"), Decimal(4))]
        assert depth.last is None


def _pour(exchange: Supervisor, hostile: RawGateway, commands: np.ndarray) -> np.ndarray:
    """Write commands under the right numbers, as many as fit at a time, and take what they are answered with."""
    collected, done = [np.zeros(0, REPORT)], 0
    while done < len(commands):
        done += hostile.submit(commands[done:])
        collected.append(hostile.reports())
    await_that(lambda: not hostile.waiting, "the lane is empty", lambda: f"{hostile.waiting} wait, matcher: {exchange.matcher_death!r}")
    assert exchange.verify().holds
    while len(more := hostile.reports()):
        collected.append(more)
    return np.concatenate(collected)


@pytest.mark.parametrize("count", [2000, pytest.param(200_000, marks=pytest.mark.long)])
@pytest.mark.parametrize("logged_on", [False, True])
@pytest.mark.parametrize("kind", garbage.ALL)
def test_every_piece_of_garbage_is_answered(
    exchange: Supervisor, hostile: RawGateway, honest: Gateway, kind: str, logged_on: bool, count: int
) -> None:
    if logged_on:
        hostile.log_on()
        assert EventKind.LOGGED_ON in _pour(exchange, hostile, orders(0))["kind"]
    first = int(hostile.producer[0].position)
    reports = _pour(exchange, hostile, garbage.ALL[kind](np.random.default_rng(5), count))
    expected = HOSTILE << POSITION_BITS | np.arange(first, first + count)
    answers = reports[reports["kind"] != EventKind.EXECUTED]
    assert np.isin(expected, answers["cause_id"]).all()
    assert (np.diff(reports["number"]) == 1).all()
    rejected = reports[reports["kind"] == EventKind.REJECTED]
    assert len(rejected) >= count // 2
    assert set(rejected["reason"].tolist()) <= {int(reason) for reason in RejectReason}
    if kind == "edges" and logged_on:
        assert len(set(rejected["reason"].tolist())) >= 7
    _check_honest(exchange, honest)


def test_numbers_that_are_not_the_position_submit_nothing(exchange: Supervisor, hostile: RawGateway, honest: Gateway) -> None:
    lane, position = hostile.own["lane"], int(hostile.producer[0].position)
    slot = position & (len(lane) - 1)
    draw = np.random.default_rng(6)
    for number in (0, -1, position - 1, position + 1, position + len(lane), position - len(lane), -position, 2**63 - 1, *draw.integers(0, 2**62, 50)):
        lane[slot] = garbage.random_bytes(draw, 1)[0]
        lane["number"][slot] = number
        hostile.own["activity"]["bits"] = 2**64 - 1
        _serve(honest)
        assert int(exchange.segment.array("lane_heads")[HOSTILE].head) == position
    assert len(_pour(exchange, hostile, orders(1, price_ticks=0))) == 1
    _check_honest(exchange, honest)


@pytest.mark.parametrize("head", [-(2**63), -1, 0, 1, 2**40, 2**63 - 1])
def test_a_report_head_that_lies(exchange: Supervisor, hostile: RawGateway, honest: Gateway, head: int) -> None:
    """It may lose its own reports, or be swept no more until it says something better; that is all."""
    truth = int(hostile.own["report_head"][0].head)
    hostile.submit(orders(60, price_ticks=0))
    hostile.own["report_head"][0].head = head
    for _ in range(3):
        hostile.submit(orders(60, price_ticks=0))
        _serve(honest)
    hostile.own["report_head"][0].head = truth
    _pour(exchange, hostile, orders(1, price_ticks=0))
    _check_honest(exchange, honest)


def test_hints_that_lie(exchange: Supervisor, hostile: RawGateway, honest: Gateway) -> None:
    """Bits of lanes that do not exist, bits taken from lanes that do, and sleepers that do not sleep."""
    draw = np.random.default_rng(7)
    for bits in (0, 2**64 - 1, *draw.integers(0, 2**63, 20, np.uint64)):
        hostile.own["activity"]["bits"] = bits
        hostile.own["parked"]["parked"] = draw.integers(-2, 3)
        _serve(honest)
    hostile.own["parked"]["parked"] = 0
    _check_honest(exchange, honest)


@pytest.mark.parametrize("count", [20_000, pytest.param(2_000_000, marks=pytest.mark.long)])
def test_bytes_that_change_while_they_are_read(spawn: Spawn, count: int) -> None:
    """Its process rewrites the whole lane without a pause: the matcher reads each word once and judges its copy."""
    with running(lane_capacity=1024, report_capacity=RING, max_sessions=2) as supervisor:
        scribbler = spawn(programs.scribble, supervisor.name, HOSTILE)
        assert scribbler.hear() == "ready"
        with Gateway.attach(supervisor.name, session="honest") as gateway:
            gateway.limit(SYMBOL, Side.BUY, "1.000", 3)
            gateway.limit(SYMBOL, Side.SELL, "2.000", 4)
            take(gateway, 2)
            scribbler.tell("go")
            head = supervisor.segment.array("lane_heads")[HOSTILE]
            while head.head < count:
                _serve(gateway)
            scribbler.kill()
            _check_honest(supervisor, gateway)
