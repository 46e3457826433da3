"""`python -m shm_exchange.supervisor.kernels`: the tour that compiles every kernel, a tiny exchange of its own used once in every way.

numba compiles a kernel for the types it is called with, and an array that cannot be written is another type than one that can. So nothing here calls
a kernel directly: the very classes that use it do, over real memory. The matcher runs in a thread, since a gateway waits for its answers.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from tempfile import TemporaryDirectory

import numpy as np

from shm_exchange.client import BookReplica, EventFeed, Gateway, MarketView
from shm_exchange.client.settled import Settled
from shm_exchange.domain.config import ExchangeConfig, TermStart
from shm_exchange.domain.enums import Side
from shm_exchange.domain.instrument import Instrument
from shm_exchange.engine.apply import apply
from shm_exchange.engine.check import book_hash, check_book, state_hash
from shm_exchange.journal.checkpoints import write_checkpoint
from shm_exchange.journal.reading import Journal
from shm_exchange.journal.replaying import Replay
from shm_exchange.journal.segments import SegmentWriter
from shm_exchange.layout.records import COMMAND
from shm_exchange.matcher.process import MatcherProcess
from shm_exchange.matcher.rehearsal import rehearse
from shm_exchange.matcher.step import process
from shm_exchange.participants.drive import Course, drive
from shm_exchange.participants.flow import warm_kernels
from shm_exchange.participants.portfolio import Traded
from shm_exchange.participants.recorder import Recorder
from shm_exchange.runtime.warm import exchange_name, this_process_compiles
from shm_exchange.shm import attach, create

_SYMBOL = "WARM"


class _Tour:
    """The tiny exchange. Each step uses what those before it left open; `close` removes everything."""

    def __init__(self) -> None:
        self._name = exchange_name(os.getpid())
        self._open = ExitStack()
        self.steps: list[tuple[str, Callable[[], None]]] = [
            ("rules of the book and its checks", self.book),
            ("matching", self.matching),
            ("publishing", self.publishing),
            ("journal files", self.journal),
            ("the matcher's loop, and recovery", self.loop),
            ("gateway: submit, poll, wait", self.gateway),
            ("snapshots and events", self.readers),
            ("replica of the book", self.replica),
            ("simulated traders", self.traders),
            ("gateways with a flow", self.flows),
        ]

    def book(self) -> None:
        sizes = {"max_orders": 64, "max_sessions": 1, "lane_capacity": 64, "report_capacity": 64, "event_capacity": 256, "log_capacity": 256}
        config = ExchangeConfig(self._name, (Instrument(_SYMBOL),), **sizes, sweep_budget=16)
        self._open.callback(create(config).destroy)
        self._segment = self._open.enter_context(attach(self._name, write=True))
        self._matcher = MatcherProcess(self._segment)
        self._bundles = self._matcher.bundles
        check_book(self._bundles.book)
        state_hash(self._bundles.book)
        book_hash(self._bundles.book, 0)

    def matching(self) -> None:
        apply(self._bundles.book, self._bundles.outputs, self._bundles.log, 0)

    def publishing(self) -> None:
        process(self._bundles.memory, *self._bundles[2:], 0)

    def journal(self) -> None:
        config = self._segment.config
        with TemporaryDirectory() as folder:
            writer = SegmentWriter(folder, config, TermStart(), 0, segment_records=config.log_capacity, durable_mode=False)
            writer.append(self._bundles.log.words, 0, 1)
            writer.close(clean=True)
            journal = Journal(folder)
            write_checkpoint(journal.directory, config, Replay(journal).book, 1)
            Replay(journal).advance(1)

    def loop(self) -> None:
        rehearse()
        thread = threading.Thread(target=self._matcher.run, name="matcher", daemon=True)
        self._matcher.announce()
        thread.start()
        self._open.callback(thread.join)
        self._open.callback(self._matcher.ask_to_stop)

    def gateway(self) -> None:
        self._gateway = gateway = self._open.enter_context(Gateway.attach(self._name, session="warm"))
        first = gateway.limit(_SYMBOL, Side.BUY, price_ticks=100, quantity=5)
        gateway.limit(_SYMBOL, Side.BUY, price="1.01", quantity="5", client_order_id=7)
        gateway.market(_SYMBOL, Side.SELL, quantity=1)
        gateway.reduce(first, 1)
        gateway.cancel(first)
        gateway.submit_many(np.zeros(1, COMMAND))
        gateway.wait(1.0)
        gateway.poll()
        gateway.poll_array()
        gateway.ack()
        gateway.wait(0.001)

    def readers(self) -> None:
        with MarketView.attach(self._name, _SYMBOL) as view, EventFeed.attach(self._name, from_start=True) as feed:
            view.depth()
            feed.poll()
            feed.poll_array()
            Settled(self._segment).until()
            asyncio.run(_wait_for_nothing(feed))

    def replica(self) -> None:
        with BookReplica.attach(self._name, _SYMBOL) as replica:
            replica.orders("1.01")
            replica.levels(Side.BUY)
            replica.volume("1.01")
            replica.book_hash(_SYMBOL)

    def traders(self) -> None:
        warm_kernels()

    def flows(self) -> None:
        recorder = Recorder(1)
        self._open.callback(recorder.close)
        recorder.rows["parent"]["start_ns"] = 1
        drive(self._gateway, Course("random", [Traded(0, 100)], orders=10), recorder.path, 0)

    def close(self) -> None:
        self._open.close()


def main() -> None:
    """Compile everything, and say on standard output what comes next."""
    this_process_compiles()
    tour = _Tour()
    try:
        for done, (name, step) in enumerate(tour.steps):
            _announce(name, done, len(tour.steps))
            step()
        _announce("done", len(tour.steps), len(tour.steps))
    finally:
        tour.close()


async def _wait_for_nothing(feed: EventFeed) -> None:
    """Awaited for a moment and then given up, which is all that the kernels of an event loop do."""
    with suppress(TimeoutError):
        async with asyncio.timeout(0.001):
            await feed.wait_async()


def _announce(name: str, done: int, total: int) -> None:
    """Tell our parent. Where it has ended there is nobody to compile for, and the broken pipe ends us."""
    sys.stdout.write(json.dumps({"name": name, "done": done, "total": total}) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
