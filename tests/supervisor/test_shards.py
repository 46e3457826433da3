"""Three matchers behind one name: what one of them goes through is none of the others' business, and nothing is lost."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest

from shm_exchange.client import EventFeed, Gateway, Report
from shm_exchange.domain.enums import EventKind, Side
from shm_exchange.domain.errors import ConfigError, ExchangeNotFound, ExchangeRunning, HandleClosed, JournalError, LaneFull
from shm_exchange.domain.instrument import Instrument
from shm_exchange.domain.names import checked_whole_name, parsed_shard, shard_names, whole_name
from shm_exchange.shm import exchanges, reap, shards_of
from shm_exchange.supervisor import Exchange, ShardedExchange
from shm_exchange.supervisor.remote import stop_exchange
from shm_exchange.supervisor.sharding import core_of_each, dealt
from tests.client.sharded import INSTRUMENTS, SHARD_OF, SHARDS, SIZES, SYMBOLS, check_gapless, events_until, take, trade_once
from tests.litmus.waiting import await_that
from tests.supervisor.callers import has_files


@pytest.fixture(scope="module")
def exchange(warm: None) -> Iterator[ShardedExchange]:
    """With a journal: it survives whatever is done to its matchers."""
    with Exchange.start(f"t{os.getpid()}-shards", INSTRUMENTS, shards=SHARDS, journal="async", **SIZES) as started:
        assert isinstance(started, ShardedExchange)
        folders = [Path(journal["directory"]) for part in started.shards if (journal := part.status()["journal"])]
        assert len(set(folders)) == SHARDS
        yield started
        assert started.verify().holds
    assert not has_files(started.name)
    assert not any(map(Path.exists, folders)), "temporary journals go with it"
    with pytest.raises(HandleClosed):
        started.status()


def _standby(exchange: ShardedExchange, shard: int) -> int:
    """The process that waits for the matcher's death, asleep in the kernel."""
    supervisor = exchange.shards[shard].status()["supervisor_pid"]
    found: list[int] = []

    def is_there() -> bool:
        for task in Path(f"/proc/{supervisor}/task").glob("*/children"):
            for child in map(int, task.read_text().split()):
                with suppress(OSError):
                    if b"--standby" in Path(f"/proc/{child}/cmdline").read_bytes() and "flock" in _wchan(child):
                        found.append(child)
        return bool(found)

    await_that(is_there, f"shard {shard} has a standby that waits")
    return found[-1]


def _wchan(pid: int) -> str:
    """Where in the kernel it sleeps; "flock" where that is not told."""
    said = Path(f"/proc/{pid}/wchan").read_text()
    return said if said.strip("0") else "flock"


def test_a_shard_that_is_dead_for_a_while_stops_nobody_and_loses_nothing(exchange: ShardedExchange) -> None:
    sent: list[tuple[str, int]] = []
    with Gateway.attach(exchange.name, session="alice") as gateway, EventFeed.attach(exchange.name) as feed:
        standby = _standby(exchange, 1)
        os.kill(standby, signal.SIGSTOP)
        os.kill(exchange.shards[1].status()["matcher_pid"], signal.SIGKILL)
        try:
            for number in range(60):
                symbol = SYMBOLS[number % len(SYMBOLS)]
                sent.append((symbol, gateway.limit(symbol, (Side.BUY, Side.SELL)[number // len(SYMBOLS) % 2], "10.00", 2)))
            of_others = [order_id for symbol, order_id in sent if SHARD_OF[symbol] != 1]
            trades = len(of_others) // 2
            reports = take(gateway, len(of_others) + 2 * trades)
            assert {report.shard for report in reports} == {0, 2}
            assert {report.order_id for report in reports} == set(of_others)
            assert sum(report.kind is EventKind.EXECUTED for report in reports) == 2 * trades
            events = events_until(feed, lambda events: len(events) == len(of_others) + trades)
            assert exchange.shards[1].status()["events"] == 0
        finally:
            os.kill(standby, signal.SIGCONT)
        rest = take(gateway, 2 * (len(sent) - len(of_others)))
        assert {report.shard for report in rest} == {1}
        check_gapless(reports + rest)
        events += events_until(feed, lambda events: len(events) == (len(sent) - len(of_others)) * 3 // 2)
        check_gapless(events)
        for symbol in SYMBOLS:
            entered = [event.order_id for event in events if event.symbol == symbol and event.kind is EventKind.ACCEPTED]
            assert entered == [order_id for each, order_id in sent if each == symbol]
    assert exchange.shards[1].status()["matcher_lives"] == 2


def test_totals_are_the_sum_of_the_shards(exchange: ShardedExchange) -> None:
    with Gateway.attach(exchange.name, session="bob") as gateway:
        for symbol in SYMBOLS:
            gateway.limit(symbol, Side.BUY, "1.00", 1)
        take(gateway, len(SYMBOLS))
        total, rows = exchange.status(), [part.status() for part in exchange.shards]
        assert total["shards"] == rows or [row["name"] for row in total["shards"]] == list(shard_names(exchange.name, SHARDS))
        for key in ("commands", "events", "trades", "open_orders", "reports", "memory_bytes"):
            assert total[key] == sum(row[key] for row in rows)
        (lane,) = (lane for lane in total["lanes"] if lane["session"] == "bob")
        assert (lane["open_orders"], lane["alive"], lane["pid"]) == (len(SYMBOLS), True, os.getpid())
        assert (total["name"], total["matcher"], total["instruments"]) == (exchange.name, "running", list(SYMBOLS))
        assert total["journal"]
        verdict = exchange.verify()
        assert verdict.holds
        assert verdict.sequence == sum(part.verify().sequence for part in exchange.shards)
        gateway.mass_cancel()


def test_others_attach_spawn_and_may_not_take_the_name(exchange: ShardedExchange) -> None:
    with Exchange.attach(exchange.name) as other:
        assert isinstance(other, ShardedExchange)
        assert other.verify().holds
        assert [item.symbol for item in other.config.instruments] == list(SYMBOLS)
        (child,) = other.spawn(trade_once, "EEE", session="spawned")
        assert child.wait(60) == SHARD_OF["EEE"]
    for shards in (1, 2, SHARDS):
        with pytest.raises(ExchangeRunning, match=rf"exchange '{exchange.name}' is running.*stop {exchange.name}`"):
            Exchange.start(exchange.name, INSTRUMENTS, shards=shards)
    assert exchange.verify().holds


def test_what_is_not_complete_is_refused_in_words(name: str) -> None:
    with Exchange.start(name, INSTRUMENTS[:2], shards={"AAA": 1, "BBB": 0}, **SIZES) as started:
        assert [item.symbol for item in started.config.instruments] == ["BBB", "AAA"]
        with pytest.raises(ExchangeNotFound, match=rf"no exchange '{name}x'; did you mean"):
            Exchange.attach(f"{name}x")
        second = started.shards[1] if isinstance(started, ShardedExchange) else started
        os.kill(second.status()["supervisor_pid"], signal.SIGKILL)
        await_that(lambda: not any(info.is_alive for info in exchanges() if info.name == f"{name}@1of2"), "the shard has died")
        for attach in (lambda: Gateway.attach(name, session="a"), lambda: EventFeed.attach(name), lambda: Exchange.attach(name)):
            with pytest.raises(ExchangeNotFound, match=rf"exchange '{name}@1of2' is dead"):
                attach()
        with Gateway.attach(f"{name}@0of2", session="a", timeout=0.1):
            assert reap(f"{name}@1of2")
            with pytest.raises(
                ExchangeNotFound, match=rf"'{name}' is not complete: of its 2 shards there are only {name}@0of2; end .* `shm-exchange stop {name}`"
            ):
                Gateway.attach(name, session="b", timeout=0.05)
        with pytest.raises(Exception, match="was killed by SIGKILL"):
            started.verify()
    assert not has_files(name)


@pytest.mark.long
def test_what_a_dead_one_left_makes_way_for_another_number_of_shards(name: str) -> None:
    exchange = Exchange.start(name, INSTRUMENTS[:2], shards=2, **SIZES)
    for part in exchange.shards if isinstance(exchange, ShardedExchange) else ():
        os.kill(part.status()["supervisor_pid"], signal.SIGKILL)
    await_that(lambda: not any(info.is_alive for info in exchanges() if whole_name(info.name) == name), "all have died")
    with Exchange.start(name, INSTRUMENTS[:1], **SIZES):
        assert shards_of(name) == ()
        assert [info.name for info in exchanges() if whole_name(info.name) == name] == [name]
    exchange.stop()
    assert not stop_exchange(name)


def test_wishes_that_cannot_be_met_are_refused_before_anything_starts(name: str, tmp_path: Path) -> None:
    (tmp_path / "shard-0").mkdir()
    (tmp_path / "shard-0" / "segment-0000000000000000.log").touch()
    for wish, error, words in (
        ({"shards": 0}, ConfigError, "2 to 8 shards, or 1"),
        ({"shards": 9}, ConfigError, "2 to 8 shards"),
        ({"shards": 6}, ConfigError, "6 shards need an instrument each, and there are 5"),
        ({"shards": {"AAA": 0}}, ConfigError, "does not say where BBB, CCC, DDD, EEE goes"),
        ({"shards": dict.fromkeys([*SYMBOLS, "ABA"], 0)}, ConfigError, "names 'ABA', which is none of the instruments; did you mean"),
        ({"shards": dict.fromkeys(SYMBOLS, 1)}, ConfigError, "numbered 0, 1, 2 … without a gap"),
        ({"shards": 3, "core": 0}, ConfigError, "core names 1 for 3 matchers: give one for each"),
        ({"shards": 2, "core": [0, 999]}, ConfigError, "core 999 cannot be used"),
        ({"shards": 2, "journal": "async", "journal_directory": tmp_path}, JournalError, "holds a journal already"),
        ({"journal": "async", "journal_directory": tmp_path}, JournalError, "holds a journal already"),
    ):
        with pytest.raises(error, match=words):
            Exchange.start(name, INSTRUMENTS, **wish)
    with pytest.raises(ConfigError, match="is the name of a shard, and shards begin together: start 'demo' in 3 shards"):
        Exchange.start("demo@1of3", INSTRUMENTS)
    assert not has_files(name)


def test_names_and_deals() -> None:
    assert shard_names("demo", 3) == ("demo@0of3", "demo@1of3", "demo@2of3")
    assert parsed_shard("demo@1of3") == ("demo", 1, 3)
    assert parsed_shard("demo") is None
    assert (whole_name("demo@1of3"), whole_name("demo"), checked_whole_name("demo")) == ("demo", "demo", "demo")
    assert dealt(["A", "B", "C", "D"], 3) == [0, 1, 2, 0]
    assert dealt(["A", "B", "C"], {"C": 0, "B": 1, "A": 1}) == [1, 1, 0]
    assert core_of_each(None, 2) == [None, None]
    assert core_of_each([0, 0], 2) == [0, 0]


@pytest.mark.long
def test_fifty_kills_lose_nothing(name: str) -> None:
    rng = Random(11)
    sent: dict[int, str] = {}
    reports: list[Report] = []
    with Exchange.start(name, [Instrument(symbol) for symbol in SYMBOLS], shards=SHARDS, journal="async", **SIZES) as exchange:
        assert isinstance(exchange, ShardedExchange)
        with Gateway.attach(name, session="alice", block_seconds=30.0) as gateway, EventFeed.attach(name, from_start=True, complete=True) as feed:
            events = []
            for _ in range(50):
                shard = rng.randrange(SHARDS)
                kill_at = rng.randrange(200)
                for number in range(200):
                    if number == kill_at:
                        with suppress(ProcessLookupError):
                            os.kill(exchange.shards[shard].status()["matcher_pid"], signal.SIGKILL)
                    symbol = rng.choice(SYMBOLS)
                    with suppress(LaneFull):
                        sent[gateway.limit(symbol, rng.choice(list(Side)), price_ticks=rng.randrange(90, 110), quantity=rng.randrange(1, 9))] = symbol
                    reports += gateway.poll()
                    events += feed.poll()
                exchange.shards[shard].verify()
            while {report.order_id for report in reports if report.kind in (EventKind.ACCEPTED, EventKind.REJECTED)} != sent.keys():
                reports += take(gateway, 1)
            assert exchange.verify().holds
            reports += gateway.poll()
            events += events_until(feed, lambda _: feed.next_event == feed.tail)
            check_gapless(reports)
            check_gapless(events)
            for symbol in SYMBOLS:
                entered = [event.order_id for event in events if event.symbol == symbol and event.kind is EventKind.ACCEPTED]
                answered = {report.order_id for report in reports if report.kind is EventKind.ACCEPTED}
                assert entered == [order_id for order_id, each in sent.items() if each == symbol and order_id in answered]
            assert sum(part.status()["matcher_lives"] for part in exchange.shards) > SHARDS + 30
