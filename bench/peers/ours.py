"""Our own rows, by the same flow. They are not the same thing as the peers': each order crosses to a matcher process on another core and back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from bench.canonical import to_commands
from bench.pair import bench_config, exchange
from bench.peers.engines import Engine
from bench.peers.play import Message, latencies, rate
from bench.referee import FIRST
from shm_exchange.client.gateway import Gateway
from shm_exchange.domain.enums import EventKind, Role, Side, TimeInForce
from shm_exchange.domain.errors import ProcessDied
from shm_exchange.domain.limits import POSITION_BITS
from shm_exchange.layout.records import REPORT

_SYMBOL = "MID"
_BATCH = 256
_STREAMED = 64
"""Calls between two looks at the reports: far fewer than the ring holds."""
_ANSWER_SECONDS = 10.0


class Answers:
    """The reports of one gateway, from the first to the answer of the last command."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._taken: list[np.ndarray] = []

    def take(self) -> None:
        """What is there."""
        self._taken.append(self._gateway.poll_array())

    def wait_and_take(self) -> None:
        """What comes next, at the latest within `_ANSWER_SECONDS`."""
        if not self._gateway.wait(_ANSWER_SECONDS):
            raise ProcessDied(f"the matcher gave no answer within {_ANSWER_SECONDS:g} s: see what its process does")
        self.take()

    def finish(self, last_command: int) -> None:
        """Everything up to the answer to that command, and what it traded: one batch publishes both."""
        while not any(np.any(reports["cause_id"][reports["kind"] != EventKind.EXECUTED] == last_command) for reports in self._taken[-2:]):
            self.wait_and_take()
        self.take()

    def reports(self) -> np.ndarray:
        """All so far, REPORT records."""
        return np.concatenate([*self._taken, np.zeros(0, REPORT)])


class Streamed(Engine):
    """Scalar calls that return at once; answers are taken every few calls."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._answers = Answers(gateway)
        self._ids: dict[int, int] = {}
        self._calls = 0
        self._last = 0

    def new(self, order_id: int, side: int, price: int, quantity: int, ioc: int) -> None:
        """`gateway.limit`."""
        tif = TimeInForce.IOC if ioc else TimeInForce.GTC
        self._last = self._gateway.limit(_SYMBOL, Side.SELL if side else Side.BUY, price_ticks=price, quantity=quantity, time_in_force=tif)
        self._ids[order_id] = self._last
        self._take()

    def cancel(self, order_id: int) -> bool:
        """`gateway.cancel`; whether there was anything to cancel is told later, by a report."""
        self._last = self._gateway.cancel(self._ids[order_id])
        self._take()
        return True

    def replace(self, order_id: int, _side: int, price: int, quantity: int) -> None:
        """`gateway.replace`, with the quantity as the new open one."""
        self._last = self._gateway.replace(self._ids[order_id], price_ticks=price, quantity=quantity, reinsert=True)
        self._take()

    def _take(self) -> None:
        self._calls += 1
        if self._calls % _STREAMED == 0:
            self._answers.take()

    def finish(self) -> None:
        """Wait for the answer to the last call."""
        self._answers.finish(self._last)

    def trades(self) -> int:
        """EXECUTED reports of the incoming side."""
        return incoming_trades(self._answers.reports())


class Answered(Streamed):
    """Scalar calls, each followed by its answer: what an engine in the same process gives by returning."""

    def _take(self) -> None:
        self._answers.wait_and_take()


def incoming_trades(reports: np.ndarray) -> int:
    """How many times two orders met."""
    return int(np.count_nonzero((reports["kind"] == EventKind.EXECUTED) & (reports["role"] == Role.INCOMING)))


@contextmanager
def _gateway() -> Iterator[Gateway]:
    with exchange(bench_config("peers")) as supervisor, Gateway.attach(supervisor.name, session="peers") as gateway:
        yield gateway


def scalar_row(engine: type[Streamed], flow: list[Message], seconds: float) -> dict[str, Any]:
    """Messages, trades, rate and latency samples of one way to call us; until the last answer is there."""
    with _gateway() as gateway:
        made = engine(gateway)
        start = time.perf_counter()
        played, _ = rate(made, flow, seconds)
        made.finish()
        taken = time.perf_counter() - start
        trades = made.trades()
    with _gateway() as gateway:
        samples = np.array(latencies(engine(gateway), flow, seconds), np.int64)
    return {"messages": played, "seconds": taken, "trades": trades, "samples": samples}


def batch_row(messages: np.ndarray) -> tuple[dict[str, Any], np.ndarray]:
    """The same through `submit_many`; also the trades after each message, which the peers must meet. messages: MESSAGE of `bench.flow`."""
    with _gateway() as gateway:
        commands = to_commands(messages, gateway.number, FIRST)
        answers, last = Answers(gateway), 0
        start = time.perf_counter()
        for first in range(0, len(commands), _BATCH):
            batch = gateway.submit_many(commands[first : first + _BATCH])
            last = batch.first_id + batch.submitted - 1
            answers.take()
        answers.finish(last)
        taken = time.perf_counter() - start
        reports = answers.reports()
    row = {"messages": len(messages), "seconds": taken, "trades": incoming_trades(reports), "samples": None}
    return row, trades_by_message(reports, len(messages))


def trades_by_message(reports: np.ndarray, messages: int) -> np.ndarray:
    """Trades after each message, i8[messages]. A trade belongs to the command whose answer precedes it in the stream."""
    answers = reports["kind"] != EventKind.EXECUTED
    latest = np.maximum.accumulate(np.where(answers, np.arange(len(reports)), 0))
    position = (reports["cause_id"][latest] & ((1 << POSITION_BITS) - 1)) - FIRST
    incoming = (reports["kind"] == EventKind.EXECUTED) & (reports["role"] == Role.INCOMING)
    total: np.ndarray = np.cumsum(np.bincount(position[incoming], minlength=messages))
    return total
