"""A replay on a real exchange: the book is the oracle's, the file's order and times are kept, others may trade meanwhile."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import count, pairwise

import numpy as np
import pytest

from shm_exchange.client import BookReplica, Gateway
from shm_exchange.domain.enums import CommandKind, EventKind, Role, Side
from shm_exchange.domain.errors import ConfigError
from shm_exchange.domain.limits import POSITION_BITS
from shm_exchange.domain.names import name_words
from shm_exchange.layout.records import LOG_RECORD, LOGON
from shm_exchange.participants.replay import Outcome, replay
from shm_exchange.protocol.csv_flow import decode_flow
from shm_exchange.protocol.csv_table import CsvTable
from shm_exchange.protocol.flow import Flow
from shm_exchange.supervisor.supervisor import Supervisor
from tests.litmus.exchanges import ACME, FINE, cancel_all, check_replicas, running, take
from tests.oracle.naive_exchange import NaiveExchange

_numbers = count(1)


@pytest.fixture(scope="module")
def exchange() -> Iterator[Supervisor]:
    """Its lanes hold 64 commands and its report rings 128: both fill up at once."""
    with running(max_sessions=40, event_capacity=65_536) as supervisor:
        yield supervisor


@pytest.fixture
def live(exchange: Supervisor) -> Iterator[Gateway]:
    with Gateway.attach(exchange.name, session=f"live{next(_numbers)}") as gateway:
        yield gateway
        cancel_all(gateway)


def flow_of(text: str) -> Flow:
    """Sessions of this text get names that no other test has."""
    number = next(_numbers)
    flow = decode_flow(CsvTable(text.encode(), "test.csv"), (ACME, FINE), "only", "ACME")
    return flow._replace(sessions=tuple(f"{name}{number}" for name in flow.sessions))


def cleared(exchange: Supervisor, flow: Flow) -> None:
    """Take away what a replay left in the book."""
    for name in flow.sessions:
        with Gateway.attach(exchange.name, session=name) as gateway:
            cancel_all(gateway)


def random_day(seed: int, rows: int) -> str:
    """Every action, by three sessions on two instruments around one price, so that most of it trades."""
    draw = random.Random(seed)
    lines = ["time_ns,session,action,client_order_id,symbol,side,price,quantity,order_type,time_in_force,self_trade,flags"]
    for row in range(rows):
        session, symbol, side = draw.choice("abc"), draw.choice(("ACME", "FINE")), draw.choice(("buy", "sell"))
        price, quantity, some_id = f"{5 + draw.randrange(-8, 9) / 20:.2f}", draw.randrange(1, 50), draw.randrange(max(1, row - 60), row + 2)
        start = f"{row * 1000},{session}"
        choice = draw.random()
        if choice < 0.6:
            tif, flags = draw.choice((("gtc", ""), ("gtc", "post_only"), ("gtc", "post_only slide"), ("ioc", ""), ("fok", "")))
            mode = draw.choice(("none", "cancel_incoming", "cancel_resting", "decrement"))
            lines.append(f"{start},enter,{row + 1},{symbol},{side},{price},{quantity},limit,{tif},{mode},{flags}")
        elif choice < 0.65:
            lines.append(f"{start},enter,,{symbol},{side},,{quantity},market,,,")
        elif choice < 0.8:
            lines.append(f"{start},cancel,{some_id},{symbol},,,,,,,")
        elif choice < 0.88:
            lines.append(f"{start},reduce,{some_id},{symbol},,,{quantity},,,,")
        elif choice < 0.99:
            lines.append(f"{start},replace,{some_id},{symbol},,{price},{quantity},,,,{draw.choice(('', 'reinsert'))}")
        else:
            lines.append(f"{start},mass_cancel,,{draw.choice(('', symbol))},{draw.choice(('', side))},,,,,,")
    return "\n".join(lines) + "\n"


def oracle_after(exchange: Supervisor, flow: Flow) -> NaiveExchange:
    """The same commands, told to the naive exchange."""
    oracle = NaiveExchange(exchange.segment.config)
    logons = np.zeros(len(flow.sessions), LOG_RECORD)
    logons["command_id"] = (1 + np.arange(len(logons))) << POSITION_BITS | 1
    logons["kind"] = CommandKind.LOGON
    for record, name in zip(logons.view(LOGON), flow.sessions, strict=True):
        record["session_low"], record["session_high"] = record["account_low"], record["account_high"] = name_words(name)
    records = flow.commands.view(LOG_RECORD).copy()
    records["command_id"] = (flow.session_of + 1) << POSITION_BITS | (2 + np.arange(len(records)))
    for part in (logons, records):
        oracle.apply([tuple(record) for record in part.tolist()])
    return oracle


def test_the_book_afterwards_is_the_oracles_order_by_order(exchange: Supervisor) -> None:
    flow = flow_of(random_day(1, 1500))
    outcome = replay(exchange.name, flow)
    oracle = oracle_after(exchange, flow)
    client_ids = dict(zip(outcome.command_ids.tolist(), flow.commands["client_order_id"].tolist(), strict=True))
    resting = 0
    with BookReplica.attach(exchange.name, "ACME") as replica:
        for index, instrument in enumerate((ACME, FINE)):
            for side in Side:
                book = oracle.books[index, side]
                prices = sorted((price for price in book if book[price]), reverse=side is Side.BUY)
                assert replica.levels(side, instrument.symbol) == [
                    (instrument.price(price), instrument.quantity(sum(order.leaves for order in book[price]))) for price in prices
                ]
                for price in prices:
                    queue = [order for order in replica.orders(instrument.price(price), instrument.symbol) if order.side is side]
                    expected = [(order.client_order_id, instrument.quantity(order.leaves)) for order in book[price]]
                    assert [(client_ids[order.order_id], order.quantity) for order in queue] == expected
                    resting += len(queue)
    assert resting > 20
    heard = [report for session in oracle.sessions.values() for report in session.reports if report.kind != EventKind.LOGGED_ON]
    assert outcome.reports == len(heard)
    assert outcome.kinds == {kind: told for kind in EventKind if (told := sum(report.kind == kind for report in heard))}
    assert outcome.trades == sum(report.kind == EventKind.EXECUTED and report.role == Role.INCOMING for report in heard) > 100
    assert sum(outcome.rejects.values()) == outcome.kinds[EventKind.REJECTED]
    assert outcome.lateness_ns is None
    check_replicas(exchange)
    cleared(exchange, flow)


def test_a_second_replay_cancels_what_the_first_left(exchange: Supervisor) -> None:
    flow = flow_of("action,client_order_id,side,price,quantity\nenter,1,buy,90,5\n")
    for _ in range(2):
        assert replay(exchange.name, flow).kinds == {EventKind.ACCEPTED: 1}
        with BookReplica.attach(exchange.name, "ACME") as replica:
            assert len(replica.orders("90")) == 1
    cleared(exchange, flow)


def timed(rows: int, gap_ns: int) -> Flow:
    """Each second row by another session, so that also turns are waited for."""
    lines = [f"{row * gap_ns},{'ab'[row // 2 % 2]},enter,{row + 1},buy,{1 + row}.00,1" for row in range(rows)]
    return flow_of("time_ns,session,action,client_order_id,side,price,quantity\n" + "\n".join(lines) + "\n")


def test_a_speed_keeps_the_order_and_nothing_comes_before_its_time(exchange: Supervisor) -> None:
    flow = timed(rows=30, gap_ns=40_000_000)
    outcome = replay(exchange.name, flow, speed=4.0, keep_fills=True)
    assert outcome.commands == 30
    assert outcome.lateness_ns is not None
    assert len(outcome.lateness_ns) == 30
    assert outcome.lateness_ns.min() >= 0
    assert outcome.seconds >= 29 * 0.040 / 4
    with BookReplica.attach(exchange.name, "ACME") as replica:
        replica.update()
        prices = [int(price) for price, _ in replica.levels(Side.BUY)]
    assert prices == list(range(30, 0, -1))
    for number in (0, 1):
        ids = outcome.command_ids[flow.session_of == number].tolist()
        assert all(later == earlier + 1 for earlier, later in pairwise(ids))
    cleared(exchange, flow)


def test_without_times_there_is_no_speed(exchange: Supervisor) -> None:
    with pytest.raises(ConfigError, match="tells no times"):
        replay(exchange.name, flow_of("action,client_order_id\ncancel,1\n"), speed=1.0)


def test_live_gateways_trade_with_the_file(exchange: Supervisor, live: Gateway) -> None:
    """The live one rests before, and takes between two rows."""
    live.limit("ACME", Side.SELL, price="50.00", quantity=4, client_order_id=77)
    assert [report.kind for report in take(live, 1)] == [EventKind.ACCEPTED]
    flow = flow_of("action,client_order_id,side,price,quantity\nenter,1,buy,50.00,10\nenter,2,buy,49.00,10\n")

    def interfere(row: int) -> None:
        if row == 0:
            live.limit("ACME", Side.SELL, price="50.00", quantity=5)
            assert live.wait(60.0)

    outcome: Outcome = replay(exchange.name, flow, after_row=interfere, rows=2, keep_fills=True)
    assert outcome.trades == 1
    assert outcome.fills[["client_order_id", "quantity", "role"]].tolist() == [(1, 4, Role.INCOMING), (1, 5, Role.RESTING)]
    assert [report.kind for report in take(live, 3)] == [EventKind.EXECUTED, EventKind.ACCEPTED, EventKind.EXECUTED]
    with BookReplica.attach(exchange.name, "ACME") as replica:
        assert [(int(price), int(quantity)) for price, quantity in replica.levels(Side.BUY)] == [(50, 1), (49, 10)]
    cleared(exchange, flow)


def test_rows_without_commands_are_looked_at_too(exchange: Supervisor) -> None:
    flow = flow_of("action,client_order_id,side,price,quantity\nenter,1,buy,1,1\nenter,2,buy,2,1\n")._replace(rows=np.array([-1, 2]))
    seen: list[int] = []
    outcome = replay(exchange.name, flow, after_row=seen.append, rows=5)
    assert seen == [0, 1, 2, 3, 4]
    assert outcome.commands == 1  # the other was there before the first row
    cleared(exchange, flow)


def test_who_is_silent_loses_no_report(exchange: Supervisor) -> None:
    """The second session trades with the first three hundred times without a pause, and the first one's ring holds 128 reports."""
    rows = [f"{session},enter,{row + 1},{side},5.00,1" for session, side in (("a", "buy"), ("b", "sell")) for row in range(300)]
    flow = flow_of("session,action,client_order_id,side,price,quantity\n" + "\n".join(rows) + "\n")
    assert replay(exchange.name, flow).kinds == {EventKind.ACCEPTED: 600, EventKind.EXECUTED: 600}
