"""What children do: one function a program, its end of the pipe first. One that has nothing to do waits for a word, and ends when there is none."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from itertools import count
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import numpy as np

from shm_exchange.client import EventFeed, Gateway, MarketView
from shm_exchange.domain.enums import EventKind, Side
from shm_exchange.domain.errors import ExchangeError, LaneFull
from shm_exchange.engine.book import new_book
from shm_exchange.engine.outputs import new_outputs
from shm_exchange.layout.records import COMMAND
from shm_exchange.layout.regions import Writer
from shm_exchange.shm import MATCHER_BYTE, attach
from shm_exchange.snapshot.slots import Snapshots
from tests.litmus import garbage, speed
from tests.litmus.flow import Journal, Reports, answered, check_accepted, commands_from, next_id
from tests.litmus.waiting import PATIENCE

_CHUNK = 40


def attempt(call: Callable[[], object]) -> tuple[str, str]:
    """The error that a call raises, as (class, text); ("", what it returned) when it raises none."""
    try:
        return "", repr(call())
    except ExchangeError as error:
        return type(error).__name__, str(error)


def await_word(pipe: Connection) -> Any:
    """What the test says next; None when it has gone."""
    try:
        return pipe.recv()
    except EOFError:
        return None


def hold_session(pipe: Connection, name: str, session: str) -> None:
    """Attach, say the session's number, and keep it."""
    gateway = Gateway.attach(name, session=session)
    pipe.send(gateway.number)
    await_word(pipe)


def fork_a_gateway(pipe: Connection, name: str, session: str) -> None:
    """Attach, fork, and let the child say what every verb of its copy does; it lives on when the parent is killed."""
    gateway = Gateway.attach(name, session=session)
    order_id = gateway.limit("ACME", Side.BUY, "1.00", 1)
    producer = gateway.rings()[0]
    if os.fork():
        await_word(pipe)
        return
    verbs: list[Callable[[], object]] = [
        lambda: gateway.limit("ACME", Side.BUY, "1.00", 1),
        lambda: gateway.market("ACME", Side.BUY, 1),
        lambda: gateway.cancel(order_id),
        gateway_call(gateway, "mass_cancel"),
        gateway_call(gateway, "poll"),
        gateway_call(gateway, "poll_array"),
        gateway_call(gateway, "ack"),
        lambda: gateway.wait(0),
        lambda: gateway.submitted,
        lambda: gateway.number,
    ]
    said = [attempt(verb) for verb in verbs]
    gateway.close()
    pipe.send((os.getpid(), said))
    await_word(pipe)
    assert producer


def gateway_call(gateway: Gateway, name: str) -> Callable[[], object]:
    """A verb without arguments, looked up when it is called: a poisoned handle refuses even that."""

    def call() -> object:
        return getattr(gateway, name)()

    return call


def write_in_a_forked_child(pipe: Connection, name: str, session: str) -> None:
    """Attach and fork; the child submits through the raw end of the lane that it has inherited. Says how the child ended."""
    from shm_exchange.ring.lane import submit

    gateway = Gateway.attach(name, session=session)
    producer = gateway.rings()[0]
    child = os.fork()
    if not child:
        submit(producer, 0, 0, 100, 1, 0)
        os._exit(0)
    pipe.send(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    await_word(pipe)


def watch(pipe: Connection, name: str, symbol: str) -> None:
    """Attach a view and a feed; answer every word with (version, event number, next event)."""
    with MarketView.attach(name, symbol) as view, EventFeed.attach(name) as feed:
        pipe.send("ready")
        while await_word(pipe) is not None:
            depth = view.depth()
            feed.poll()
            pipe.send((depth.version, depth.event_number, feed.next_event))


def trade(pipe: Connection, name: str, session: str, commands: int) -> None:
    """Attach, say so, and at a word submit so many `commands` of `flow`; says what was answered when everything is."""
    with Gateway.attach(name, session=session, block_seconds=PATIENCE) as gateway:
        pipe.send("ready")
        await_word(pipe)
        pipe.send(_trade(gateway, commands, lambda: False))


def trade_until_told(pipe: Connection, name: str, session: str, standing: int = 0) -> None:
    """Like `trade`, until a second word comes. Says "trading" once some commands are answered. `standing`: sell so much to whoever buys."""
    with Gateway.attach(name, session=session, block_seconds=PATIENCE) as gateway:
        if standing:
            gateway.cancel(1)  # an order at an odd position is none of the flow's
            gateway.limit("ACME", Side.SELL, price_ticks=998, quantity=standing)
            answers = 0
            while answers < 2:
                assert gateway.wait(PATIENCE)
                answers += len(gateway.poll())
        pipe.send("ready")
        await_word(pipe)
        said: list[str] = []

        def is_over() -> bool:
            if not said and gateway.submitted > 3 * _CHUNK:
                said.append("trading")
                pipe.send("trading")
            return pipe.poll()

        pipe.send(_trade(gateway, 1 << 60, is_over))


class Outcome(NamedTuple):
    """What became of the commands of one trader."""

    submitted: int
    answered: int
    first_report: int
    reports: int
    trades: int
    longest_gap_ns: int
    """Between two reports, by CLOCK_MONOTONIC: for eyes only."""


def _trade(gateway: Gateway, commands: int, is_over: Callable[[], bool]) -> Outcome:
    """Keep the lane filled with the commands of `flow`; every answer must come, once, and every number."""
    first_id = following_id = next_id(gateway)
    kept: list[Reports] = []
    pending, gap, last, over = 0, 0, time.monotonic_ns(), False
    while True:
        over = over or following_id == first_id + commands or is_over()
        if over and not pending:
            break
        if pending < _CHUNK and not over:
            batch = gateway.submit_many(commands_from(following_id, min(_CHUNK, first_id + commands - following_id)))
            following_id += batch.submitted
            pending += batch.submitted
        assert gateway.wait(PATIENCE), f"{pending} commands are not answered"
        reports = gateway.poll_array()
        kept.append(reports)
        pending -= len(answered(reports))
        gap, last = max(gap, time.monotonic_ns() - last), time.monotonic_ns()
    gateway.ack()
    return _outcome(np.concatenate(kept), first_id, following_id, gap)


def _outcome(reports: Reports, first_id: int, following_id: int, gap: int) -> Outcome:
    check_accepted(reports)
    positions = answered(reports)
    assert len(set(positions)) == len(positions) == following_id - first_id
    assert (np.diff(reports["number"]) == 1).all()
    trades = int(np.count_nonzero(reports["kind"] == EventKind.EXECUTED))
    return Outcome(following_id - first_id, len(positions), int(reports["number"][0]), len(reports), trades, gap)


def read_views(pipe: Connection, name: str, symbol: str) -> None:
    """Read the book over and over until a word comes; says how often. Neither version nor event ever goes back, and no book is crossed."""
    with MarketView.attach(name, symbol) as view:
        pipe.send("ready")
        reads, before = 0, view.depth()
        while not pipe.poll():
            depth = view.depth()
            assert (depth.version, depth.event_number, depth.time_ns) >= (before.version, before.event_number, before.time_ns)
            assert depth.event_number >= before.event_number
            assert sorted(depth.bids, reverse=True) == depth.bids
            assert sorted(depth.asks) == depth.asks
            assert not (depth.bid and depth.ask) or depth.bid.price < depth.ask.price
            reads, before = reads + 1, depth
        pipe.send(reads)


def trade_until_killed(pipe: Connection, name: str, session: str, path: Path, one_by_one: bool, pause_seconds: float = 0) -> None:
    """Trade for ever, and write every report down before it is acknowledged. Says "ready" when it is attached.

    `pause_seconds`: between two bursts, so that what is written down stays small over a thousand kills.
    """
    gateway = Gateway.attach(name, session=session, block_seconds=PATIENCE)
    journal = Journal(path)
    journal.keep_logon(gateway)
    pipe.send("ready")
    while True:
        commands = commands_from(next_id(gateway), _CHUNK)
        if one_by_one:
            for command in commands:
                gateway.submit_many(command.reshape(1))
        else:
            gateway.submit_many(commands)
        gateway.wait(PATIENCE)
        journal.keep(gateway.poll_array())
        time.sleep(pause_seconds)


def scribble(pipe: Connection, name: str, session: int) -> None:
    """Log on by hand and then rewrite the lane for ever: garbage under numbers that are right, and again while they are read."""
    segment = attach(name, write=True)
    assert segment.try_lock(session)
    own = segment.writable(Writer.GATEWAY, session)
    lane, head = own["lane"].view(np.ndarray), segment.array("lane_heads")[session]
    tail = segment.array("report_tails")[session]
    draw = np.random.default_rng(8)
    kinds = list(garbage.ALL.values())
    pipe.send("ready")
    await_word(pipe)
    for turn in count():
        first = int(head.head)
        numbers = first + np.arange(len(lane))
        slots = numbers & (len(lane) - 1)
        commands = kinds[turn % len(kinds)](draw, len(lane))
        commands["number"] = numbers
        lane[slots] = commands
        own["activity"]["bits"] = 2**64 - 1
        own["parked"]["parked"][0] = 0
        fields = [field for field in COMMAND.names or () if field != "number"]
        commands = kinds[(turn + 1) % len(kinds)](draw, len(lane))
        for field in fields:
            lane[field][slots] = commands[field]
        own["report_head"][0].head = tail.tail


def write_snapshots_and_events(pipe: Connection, name: str) -> None:
    """In the place of a matcher: write versions of instrument 0, or batches of events, at full speed until the next word."""
    segment = attach(name, write=True)
    assert segment.try_lock(MATCHER_BYTE)
    own = segment.writable(Writer.MATCHER)
    snapshots = Snapshots(own["snapshot_latest"], own["snapshots"], own["snapshot_levels"])
    book, outputs = new_book(segment.config, 1), new_outputs(segment.config, own["reports"], own["events"])
    own["matcher"][0].event_tail = 1
    speed.write_versions(snapshots, 0, 1)
    speed.write_events(book, outputs, own["matcher"], 1, 1)
    pipe.send("ready")
    while (word := await_word(pipe)) is not None:
        while not pipe.poll():
            if word == ("events",):
                speed.write_events(book, outputs, own["matcher"], 20, 50)
            else:
                speed.write_versions(snapshots, 0, 1000)
        pipe.send((int(own["snapshot_latest"][0].version), int(own["matcher"][0].event_tail)))
        await_word(pipe)


def wait_for_fills(pipe: Connection, name: str, session: str, fills: int) -> None:
    """Rest an order, say "ready", and sleep from fill to fill, each acknowledged at once; says how many there were."""
    with Gateway.attach(name, session=session) as gateway:
        gateway.limit("ACME", Side.SELL, "5.00", fills)
        seen = -1  # the order itself is accepted
        while seen < fills:
            assert gateway.wait(PATIENCE), f"{seen} of {fills} fills"
            before, seen = seen, seen + len(gateway.poll())
            gateway.ack()
            if before < 0:
                pipe.send("ready")
        pipe.send(seen)


def submit_now_and_then(pipe: Connection, name: str, session: str, rounds: int, seed: int) -> None:
    """Submit one command after random idle times, each answered before the next; says how many answers there were."""
    draw, answers = Random(seed), 0
    with Gateway.attach(name, session=session) as gateway:
        for _ in range(rounds):
            time.sleep(draw.random() ** 3 * 0.005)
            gateway.cancel(1)
            assert gateway.wait(PATIENCE)
            answers += len(gateway.poll())
    pipe.send(answers)


def follow_events(pipe: Connection, name: str) -> None:
    """Read every event from the first one on until a word comes; says how many. None is missing, none comes twice."""
    with EventFeed.attach(name, from_start=True) as feed:
        pipe.send("ready")
        last, count_seen = 0, 0
        while not pipe.poll():
            events = feed.poll_array()
            if len(events):
                assert events["number"][0] == last + 1
                assert (np.diff(events["number"]) == 1).all()
                last, count_seen = int(events["number"][-1]), count_seen + len(events)
        pipe.send(count_seen)


def quote_and_stay(pipe: Connection, name: str, session: str, orders: int, cancel_on_disconnect: bool = False) -> None:
    """Rest so many orders, read what became of them, say the session's number, and stay."""
    gateway = Gateway.attach(name, session=session, cancel_on_disconnect=cancel_on_disconnect)
    for number in range(orders):
        gateway.limit("ACME", Side.SELL, price_ticks=500 + number, quantity=1)
    seen = 0
    while seen < orders:
        assert gateway.wait(PATIENCE)
        seen += len(gateway.poll())
    gateway.ack()
    pipe.send(gateway.number)
    await_word(pipe)


def flood_and_stay(pipe: Connection, name: str, session: str) -> None:
    """Read no report, submit until the matcher takes no more and the lane is full, say how many commands that were, and stay."""
    gateway = Gateway.attach(name, session=session, lane_full="raise")
    _, _, reports, tail, head = gateway.rings()
    while True:
        is_blocked = tail["tail"][0] - head["head"][0] > len(reports) // 2
        try:
            gateway.cancel(1)
        except LaneFull:
            if is_blocked:  # it was before we found no room, so none will come
                break
    pipe.send(gateway.submitted)
    await_word(pipe)
