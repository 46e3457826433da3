"""One gateway, one feed, one view over three matchers: the same as over one, only that every shard counts for itself."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import count
from random import Random

import numpy as np
import pytest

from shm_exchange.client import BookReplica, EventFeed, Gateway, MarketView, Report, ShardedFeed, ShardedGateway
from shm_exchange.domain.enums import CommandKind, EventKind, OrderType, RejectReason, SelfTradePrevention, Side, TimeInForce
from shm_exchange.domain.errors import ConfigError, ExchangeNotFound, HandleClosed, PriceError, ProcessDied, ReportsLost, SessionInUse, UnknownSymbol
from shm_exchange.layout.records import ALL_INSTRUMENTS, COMMAND, EVENT
from shm_exchange.shm import attach as attach_segment
from shm_exchange.supervisor import Exchange, ShardedExchange
from tests.client.sharded import INSTRUMENTS, SHARD_OF, SHARDS, SIZES, SYMBOLS, check_gapless, events_until, numbers_by_shard, poll_and_die, take

_sessions = count(1)


@pytest.fixture(scope="module")
def exchange() -> Iterator[ShardedExchange]:
    with Exchange.start(f"test-{os.getpid()}-shards", INSTRUMENTS, shards=SHARDS, **(SIZES | {"max_sessions": 40})) as started:
        assert isinstance(started, ShardedExchange)
        yield started
        assert started.verify().holds


@pytest.fixture
def name(exchange: ShardedExchange) -> str:
    return exchange.name


@pytest.fixture
def gateway(name: str) -> Iterator[ShardedGateway]:
    with Gateway.attach(name, session=f"s{next(_sessions)}") as attached:
        assert isinstance(attached, ShardedGateway)
        yield attached
        _cancel_all(attached)


def _cancel_all(gateway: Gateway) -> None:
    gateway.mass_cancel()
    done = 0
    while done < SHARDS and gateway.wait(10):
        done += sum(report.kind is EventKind.MASS_CANCELED for report in gateway.poll())


def _until(gateway: Gateway, is_wanted: Callable[[Report], bool], count: int = 1) -> list[Report]:
    """All reports up to the one that is wanted, or the last of so many; that one alone where it is one."""
    reports: list[Report] = []
    while sum(map(is_wanted, reports)) < count:
        reports += take(gateway, 1)
    return reports if count > 1 else reports[-1:]


def _enter(instrument: int, client_order_id: int = 0) -> np.void:
    row = np.zeros(1, COMMAND)
    row["kind"], row["side"], row["order_type"], row["time_in_force"] = CommandKind.ENTER, Side.BUY, OrderType.LIMIT, TimeInForce.GTC
    row["self_trade"] = SelfTradePrevention.NONE
    row["instrument"], row["price_ticks"], row["quantity"], row["client_order_id"] = instrument, 100, 1, client_order_id
    return row[0]


def test_ids_say_the_shard_and_fit_a_double(gateway: ShardedGateway) -> None:
    ids = {symbol: [gateway.limit(symbol, Side.BUY, "1.00", 1) for _ in range(3)] for symbol in SYMBOLS}
    everything = [each for some in ids.values() for each in some]
    assert len(set(everything)) == len(everything)
    assert max(everything) < 1 << 53
    for symbol, some in ids.items():
        assert {each >> 50 for each in some} == {SHARD_OF[symbol]}
        assert {each & (1 << 50) - 1 for each in some} == {each & (1 << 50) - 1 for each in some if each & (1 << 40) - 1}
    reports = take(gateway, len(everything))
    assert {report.order_id for report in reports} == {report.command_id for report in reports} == set(everything)
    assert all(report.shard == SHARD_OF[report.symbol] for report in reports)
    check_gapless(reports)
    lane = gateway.shards[0].number
    assert ids["AAA"][0] >> 40 == lane, "the ids of shard 0 are what they would be without shards"


def test_what_names_an_order_reaches_its_shard(gateway: ShardedGateway) -> None:
    for symbol in SYMBOLS:
        first = gateway.limit(symbol, Side.BUY, "5.00", 10, client_order_id=9)
        second = gateway.limit(symbol, Side.SELL, price_ticks=600, quantity=10)
        commands = [
            gateway.reduce(first, 3),
            gateway.replace(second, price="6.50", quantity=8),
            gateway.replace(client_order_id=9, price_ticks=499, quantity=9, symbol=symbol),
            gateway.market(symbol, Side.SELL, 2),
            gateway.cancel(client_order_id=9, symbol=symbol),
            gateway.cancel(second),
        ]
        reports = take(gateway, 10)
        assert {report.symbol for report in reports} == {symbol}
        kinds = [report.kind for report in reports]
        assert EventKind.REJECTED not in kinds
        assert [report.order_id for report in reports if report.kind is EventKind.CANCELED] == [first, second]
        assert [report.command_id for report in reports if report.kind in (EventKind.REDUCED, EventKind.REPLACED)] == commands[:3]
        assert [report.leaves_lots for report in reports if report.kind is EventKind.REDUCED] == [7]


def test_a_client_order_id_goes_where_it_was_used_last(name: str) -> None:
    with Gateway.attach(name, session="clients") as gateway:
        with pytest.raises(ConfigError, match=r"client order id 7 was used is not known here \(any more\): say symbol=…"):
            gateway.cancel(client_order_id=7)
        ids = {symbol: gateway.limit(symbol, Side.BUY, "1.00", 1, client_order_id=7) for symbol in ("AAA", "BBB", "CCC")}
        gateway.limit("BBB", Side.BUY, "1.00", 1, client_order_id=8)
        gateway.cancel(client_order_id=7)
        assert [report.order_id for report in take(gateway, 5) if report.kind is EventKind.CANCELED] == [ids["CCC"]]
        gateway.cancel(client_order_id=7, symbol="AAA")
        assert [report.order_id for report in take(gateway, 1)] == [ids["AAA"]]
    with Gateway.attach(name, session="clients") as again:
        again.cancel(client_order_id=8)
        (report,) = _until(again, lambda report: report.kind is EventKind.CANCELED)
        assert (report.symbol, report.client_order_id) == ("BBB", 8), "its lanes remember what is unambiguous"
        with pytest.raises(ConfigError):
            again.cancel(client_order_id=7)
        _cancel_all(again)


def test_a_mass_cancel_is_of_one_symbol_or_of_all_shards(gateway: ShardedGateway) -> None:
    for symbol in SYMBOLS:
        gateway.limit(symbol, Side.BUY, "1.00", 1)
    take(gateway, len(SYMBOLS))
    one = gateway.mass_cancel("BBB")
    assert [(report.kind, report.symbol) for report in take(gateway, 2)] == [(EventKind.CANCELED, "BBB"), (EventKind.MASS_CANCELED, "BBB")]
    assert one >> 50 == SHARD_OF["BBB"]
    every = gateway.mass_cancel()
    reports = take(gateway, len(SYMBOLS) - 1 + SHARDS)
    assert sorted(report.symbol for report in reports if report.kind is EventKind.CANCELED) == ["AAA", "CCC", "DDD", "EEE"]
    assert sorted(report.shard for report in reports if report.kind is EventKind.MASS_CANCELED) == list(range(SHARDS))
    assert every in {report.command_id for report in reports}


def test_a_batch_is_dealt_in_order(gateway: ShardedGateway) -> None:
    rng = Random(5)
    chosen = [rng.randrange(len(SYMBOLS)) for _ in range(200)]
    batch = gateway.submit_many(np.array([_enter(number) for number in chosen], COMMAND))
    assert batch.submitted == gateway.submitted - SHARDS == 200
    assert batch.first_id == batch.ids[0]
    reports = take(gateway, 200)
    check_gapless(reports)
    for number, symbol in enumerate(SYMBOLS):
        wanted = [int(order_id) for order_id, each in zip(batch.ids, chosen, strict=True) if each == number]
        assert [report.order_id for report in reports if report.symbol == symbol] == wanted
    records = gateway.submit_many(np.zeros(0, COMMAND))
    assert (records.first_id, records.submitted, len(records.ids)) == (0, 0, 0)


def test_a_batch_may_cancel_what_it_enters_and_everything(gateway: ShardedGateway) -> None:
    batch = np.zeros(5, COMMAND)
    batch[0], batch[1], batch[2] = _enter(1, 77), _enter(2), _enter(60_000)
    batch["kind"][3], batch["client_order_id"][3] = CommandKind.CANCEL, 77
    batch["kind"][4], batch["instrument"][4] = CommandKind.MASS_CANCEL, ALL_INSTRUMENTS
    done = gateway.submit_many(batch)
    assert done.submitted == 5
    reports = take(gateway, 5 + SHARDS)
    assert [report.order_id for report in reports if report.kind is EventKind.CANCELED and report.symbol == "BBB"] == [done.ids[0]]
    assert [report.order_id for report in reports if report.kind is EventKind.CANCELED and report.symbol == "CCC"] == [done.ids[1]]
    order_id = gateway.limit("CCC", Side.BUY, "1.00", 1)
    batch["kind"], batch["client_order_id"], batch["order_id"] = CommandKind.CANCEL, 0, order_id
    gateway.submit_many(batch[:1])
    assert [(report.kind, report.order_id) for report in take(gateway, 2)] == [(EventKind.ACCEPTED, order_id), (EventKind.CANCELED, order_id)]
    (refused,) = (report for report in reports if report.kind is EventKind.REJECTED)
    assert (refused.reason, refused.order_id) == (RejectReason.UNKNOWN_INSTRUMENT, done.ids[2])


def test_what_is_no_command_is_refused_and_nothing_sent(gateway: ShardedGateway) -> None:
    foreign = np.zeros(2, COMMAND)
    foreign[0] = _enter(0)
    foreign["kind"][1], foreign["order_id"][1] = CommandKind.CANCEL, 7 << 50 | 1 << 40 | 1
    for wrong, error, words in (
        (lambda: gateway.limit("AAB", Side.BUY, "1", 1), UnknownSymbol, f"exchange '{gateway.name}' has no instrument 'AAB'; did you mean"),
        (lambda: gateway.limit("AAA", Side.BUY, "1.001", 1), PriceError, "multiple of the tick"),
        (lambda: gateway.mass_cancel("ZZZ"), UnknownSymbol, "it has AAA, BBB, CCC, DDD, EEE"),
        (lambda: gateway.cancel(7 << 50), ConfigError, "is of no shard"),
        (lambda: gateway.cancel(-1), ConfigError, "is of no shard"),
        (lambda: gateway.submit_many(foreign), ConfigError, "is of no shard"),
        (lambda: gateway.submit_many(np.zeros(2, EVENT)), ConfigError, "array of COMMAND records"),
        (gateway.rings, ConfigError, r"use gateway.shards\[k\].rings"),
        (gateway.waiting_words, ConfigError, r"use gateway.shards\[k\].waiting_words"),
    ):
        with pytest.raises(error, match=words):
            wrong()
    assert gateway.submitted == SHARDS, "the logons"


def test_reports_come_again_until_they_are_delivered(exchange: ShardedExchange) -> None:
    (child,) = exchange.spawn(poll_and_die, len(SYMBOLS), session="again")
    with pytest.raises(ProcessDied, match="killed by SIGKILL"):
        child.wait(60)
    with Gateway.attach(exchange.name, session="again", resume_from=[2, 3, 2]) as gateway:
        reports = _until(gateway, lambda report: report.kind is EventKind.DISCONNECTED, SHARDS)
        check_gapless(reports)
        assert [numbers[0] for _, numbers in sorted(numbers_by_shard(reports).items())] == [2, 3, 2]
        assert sorted(report.symbol for report in reports if report.kind is EventKind.ACCEPTED) == ["AAA", "CCC", "DDD", "EEE"]
        _cancel_all(gateway)
    for wrong in (3, [1, 1], [1, 1, 10**6]):
        with pytest.raises(ConfigError, match="resume_from"):
            Gateway.attach(exchange.name, session="again", resume_from=wrong)


def test_a_gap_on_one_shard_does_not_lose_what_the_others_said(gateway: ShardedGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    for symbol in SYMBOLS:
        gateway.limit(symbol, Side.BUY, "1.00", 1)
    for part in gateway.shards:
        assert part.wait(10)
    broken, gateway._turn = gateway.shards[1], SHARDS - 1  # shard 0 is asked first

    def lose(_limit: int) -> np.ndarray:
        monkeypatch.undo()
        raise ReportsLost(4, 5)

    monkeypatch.setattr(broken, "poll_array", lose)
    reports: list[Report] = []
    lost = []
    while len(reports) < len(SYMBOLS):
        try:
            reports += gateway.poll()
        except ReportsLost as error:
            lost.append((error.shard, error.first, error.last, error.__notes__))
    assert lost == [(1, 4, 5, ["these are numbers of shard 1"])]
    assert sorted(report.symbol for report in reports) == sorted(SYMBOLS)


def test_all_shards_are_attached_or_none(name: str) -> None:
    with Gateway.attach(f"{name}@1of3", session="partly"):
        with pytest.raises(SessionInUse):
            Gateway.attach(name, session="partly")
        with Gateway.attach(f"{name}@0of3", session="partly"), Gateway.attach(f"{name}@2of3", session="partly"):
            pass
    with Gateway.attach(name, session="partly") as gateway:
        assert gateway.matcher_alive
        assert not gateway.matcher_lost
        with pytest.raises(SessionInUse):
            Gateway.attach(f"{name}@2of3", session="partly")


def test_a_closed_gateway_and_a_forked_one_are_unusable(gateway: ShardedGateway, name: str) -> None:
    if not (child := os.fork()):
        code = 1
        try:
            gateway.limit("AAA", Side.BUY, "1.00", 1)
        except HandleClosed as error:
            code = 0 if "before a fork" in str(error) else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    gateway.limit("AAA", Side.BUY, "1.00", 1)
    with Gateway.attach(name, session="closed") as closed:
        pass
    for use in (lambda: closed.poll(1), lambda: closed.limit("AAA", Side.BUY, "1", 1), lambda: closed.submitted, lambda: closed.wait(0)):
        with pytest.raises(HandleClosed, match="it was closed"):
            use()
    closed.close()


def test_an_event_loop_gets_the_reports_of_all(gateway: ShardedGateway) -> None:
    async def trade() -> list[str]:
        symbols = []
        for symbol in SYMBOLS:
            gateway.limit(symbol, Side.BUY, "1.00", 1)
        async for report in gateway.reports():
            symbols.append(report.symbol)
            if len(symbols) == len(SYMBOLS):
                break
        return symbols

    assert sorted(asyncio.run(trade())) == sorted(SYMBOLS)
    assert not gateway.wait(0.01)


@pytest.mark.parametrize("merged", [False, True])
def test_the_feed_keeps_the_order_of_every_symbol(gateway: ShardedGateway, name: str, merged: bool) -> None:
    rng = Random(3)
    with EventFeed.attach(name, merged=merged) as feed:
        assert isinstance(feed, ShardedFeed)
        sent = [(symbol, gateway.limit(symbol, Side.BUY, price_ticks=rng.randrange(1, 50), quantity=1)) for symbol in rng.choices(SYMBOLS, k=150)]
        events = events_until(feed, lambda events: len(events) == len(sent))
        for symbol in SYMBOLS:
            assert [event.order_id for event in events if event.symbol == symbol] == [order_id for each, order_id in sent if each == symbol]
        assert all(event.shard == SHARD_OF[event.symbol] for event in events)
        check_gapless(events)
        assert feed.next_event == feed.tail
        if merged:
            moments = [(event.time_ns, event.shard, event.number) for event in events]
            assert moments == sorted(moments)
        rests = gateway.limit("EEE", Side.BUY, price_ticks=60, quantity=1)
        comes = gateway.market("EEE", Side.SELL, 1)
        *_, trade = events_until(feed, lambda events: len(events) == 3)
        assert (trade.kind, trade.order_id, trade.resting_order_id, trade.shard) == (EventKind.EXECUTED, comes, rests, SHARD_OF["EEE"])
        for wrong in (lambda: feed.term, lambda: feed.seek(1)):
            with pytest.raises(ConfigError, match=r"runs in shards|counts its own"):
                wrong()
        feed.seek(events[0].number, shard=events[0].shard)
        again = events_until(feed, lambda events: len(events) > 0)
        assert again[0].order_id == events[0].order_id
        assert all(shard.term.number == 1 for shard in feed.shards)


def test_a_stopped_matcher_holds_up_the_merged_feed_and_no_other(gateway: ShardedGateway, exchange: ShardedExchange) -> None:
    stopped = exchange.shards[1].status()["matcher_pid"]
    with EventFeed.attach(exchange.name, merged=True) as merged, EventFeed.attach(exchange.name) as plain:
        os.kill(stopped, signal.SIGSTOP)
        try:
            gateway.limit("BBB", Side.BUY, "1.00", 1)
            for _ in range(20):
                gateway.limit("AAA", Side.BUY, "1.00", 1)
                gateway.limit("CCC", Side.BUY, "1.00", 1)
            assert {event.symbol for event in events_until(plain, lambda events: len(events) == 40)} == {"AAA", "CCC"}
            held = merged.poll()
        finally:
            os.kill(stopped, signal.SIGCONT)
        events = held + events_until(merged, lambda events: len(held) + len(events) == 41)
    assert len(held) < 40
    moments = [(event.time_ns, event.shard, event.number) for event in events]
    assert moments == sorted(moments)
    take(gateway, 41)


def test_views_find_the_shard_of_their_symbol(gateway: ShardedGateway, name: str) -> None:
    for number, symbol in enumerate(SYMBOLS, 1):
        order_id = gateway.limit(symbol, Side.BUY, price_ticks=100 * number, quantity=number)
        take(gateway, 1)
        with MarketView.attach(name, symbol) as view, BookReplica.attach(name, symbol) as replica:
            assert view.best_bid() == (Decimal(number), Decimal(number))
            assert [order.order_id for order in replica.orders(f"{number}.00")] == [order_id]
    for attach in (MarketView.attach, BookReplica.attach):
        with pytest.raises(UnknownSymbol, match="it has AAA, DDD, BBB, EEE, CCC"):
            attach(name, "ZZZ")
    with pytest.raises(ConfigError, match="say which symbol"):
        BookReplica.attach(name)
    with pytest.raises(ExchangeNotFound, match=r"runs in shards, and this deals with one matcher only: name one of .*@0of3, .*@1of3, .*@2of3"):
        attach_segment(name)
