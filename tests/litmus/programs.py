"""What children do: one function a program, its end of the pipe first. One that has nothing to do waits for a word, and ends when there is none."""

from __future__ import annotations

import os
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from shm_exchange.client import EventFeed, Gateway, MarketView
from shm_exchange.domain.enums import Side
from shm_exchange.domain.errors import ExchangeError


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
