"""What children do: one function a program, its end of the pipe first. One that has nothing to do waits for a word, and ends when there is none."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import numpy as np

from shm_exchange.client import EventFeed, Gateway, MarketView
from shm_exchange.domain.enums import EventKind, Side
from shm_exchange.domain.errors import ExchangeError
from tests.litmus.flow import Reports, answered, check_accepted, commands_from, next_id
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


def trade(pipe: Connection, name: str, session: str, count: int) -> None:
    """Attach, say so, and at a word submit `count` commands of `flow`; says what was answered when everything is."""
    with Gateway.attach(name, session=session, block_seconds=PATIENCE) as gateway:
        pipe.send("ready")
        await_word(pipe)
        pipe.send(_trade(gateway, count, lambda: False))


def trade_until_told(pipe: Connection, name: str, session: str) -> None:
    """Like `trade`, until a second word comes. Says "trading" once the first commands are answered."""
    with Gateway.attach(name, session=session, block_seconds=PATIENCE) as gateway:
        pipe.send("ready")
        await_word(pipe)
        _trade(gateway, 100, lambda: False)
        pipe.send("trading")
        pipe.send(_trade(gateway, 1 << 60, pipe.poll))


class Outcome(NamedTuple):
    """What became of the commands of one trader."""

    submitted: int
    answered: int
    first_report: int
    reports: int
    trades: int
    longest_gap_ns: int
    """Between two reports, by CLOCK_MONOTONIC: for eyes only."""


def _trade(gateway: Gateway, count: int, is_over: Callable[[], bool]) -> Outcome:
    """Keep the lane filled with the commands of `flow`; every answer must come, once, and every number."""
    first_id = following_id = next_id(gateway)
    kept: list[Reports] = []
    pending, gap, last = 0, 0, time.monotonic_ns()
    while pending or (following_id < first_id + count and not is_over()):
        if pending < _CHUNK and following_id < first_id + count and not is_over():
            batch = gateway.submit_many(commands_from(following_id, min(_CHUNK, first_id + count - following_id)))
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
