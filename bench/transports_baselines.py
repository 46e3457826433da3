"""What others move between two processes: the rows that `bench transports` sets beside our rings.

Each transport carries the same 64-byte record from one process to another, pinned apart. Messages a second: a producer sends as fast as the
transport takes them, from its first send to the consumer's last receive. Round trip: one record there and the same one back, one at a time.
The record is made beforehand and never looked at, so a row shows its transport and the Python calls it needs, nothing else.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnContext
from typing import Any, NamedTuple, Protocol

import numpy as np

from bench.statistics import percentile
from shm_exchange.domain.errors import ProcessDied
from shm_exchange.layout.records import COMMAND

BATCH = 100
"""Records in one `put_many`; the other transports have no such call and take the same records one by one."""

_START_SECONDS = 60.0
"""To start two interpreters, also on a busy machine."""
_QUEUE_RECORDS = 10_000
_FIFO_BYTES = 1_000_000

_RECORD = np.ones(1, COMMAND).tobytes()
_END = np.zeros(1, COMMAND).tobytes()


class Link(Protocol):
    """One direction between two processes; both ends travel to both."""

    def send(self, records: list[bytes]) -> None:
        """Block until the transport has taken all of them."""

    def receive(self) -> list[bytes]:
        """Block until there is one; return what one call gives."""


class QueueLink:
    """`multiprocessing.Queue`: a feeder thread, a pipe and two locks."""

    def __init__(self, context: SpawnContext) -> None:
        self._queue: multiprocessing.Queue[bytes] = context.Queue(_QUEUE_RECORDS)

    def send(self, records: list[bytes]) -> None:
        """One by one: it has no other way."""
        for record in records:
            self._queue.put(record)

    def receive(self) -> list[bytes]:
        """One."""
        return [self._queue.get()]


class PipeLink:
    """`multiprocessing.Pipe(duplex=False)`: one system call a record at each end."""

    def __init__(self, context: SpawnContext) -> None:
        self._receiver, self._sender = context.Pipe(duplex=False)

    def send(self, records: list[bytes]) -> None:
        """One by one, unpickled: a message of a pipe is a record."""
        for record in records:
            self._sender.send_bytes(record)

    def receive(self) -> list[bytes]:
        """One."""
        return [self._receiver.recv_bytes()]


class FasterFifoLink:
    """faster-fifo with raw bytes instead of pickles; it must be handed to a process at its start, which it is."""

    def __init__(self, _context: SpawnContext) -> None:
        from faster_fifo import Queue

        # `loads` is given a view of a buffer that the next call overwrites: `bytes` copies it.
        self._queue = Queue(_FIFO_BYTES, loads=bytes, dumps=_unchanged)

    def send(self, records: list[bytes]) -> None:
        """All under one lock."""
        self._queue.put_many(records)

    def receive(self) -> list[bytes]:
        """All that is there, under one lock."""
        records: list[bytes] = self._queue.get_many()
        return records


def _unchanged(record: bytes) -> bytes:
    return record


TRANSPORTS: dict[str, Callable[[SpawnContext], Link]] = {
    f"faster-fifo, batches of {BATCH}": FasterFifoLink,
    "multiprocessing.Queue": QueueLink,
    "multiprocessing.Pipe": PipeLink,
}


class _Task(NamedTuple):
    """What one of the two processes needs to know."""

    there: Link
    back: Link
    cpu: int | None
    records_max: int
    seconds: float
    start: Any  # Barrier of the two
    result: Connection


def baselines(count: int, seconds: float) -> list[dict[str, Any]]:
    """A row for each transport: `name`, `messages_per_second`, `rtt_ns_p50`, and `unavailable` where it could not be measured.

    At most `count` records and `seconds` are spent on each of the two figures of a row.
    """
    return [_row(name, make, count, seconds) for name, make in TRANSPORTS.items()]


def _row(name: str, make: Callable[[SpawnContext], Link], count: int, seconds: float) -> dict[str, Any]:
    row: dict[str, Any] = {"name": name, "messages_per_second": None, "rtt_ns_p50": None}
    context = multiprocessing.get_context("spawn")
    try:
        started, (received, ended) = _run_pair(context, make, (produce, consume), count, seconds)
        row["messages_per_second"] = received * 1e9 / (ended - started)
        row["rtt_ns_p50"], _ = _run_pair(context, make, (ping, pong), count, seconds)
    except ImportError as error:
        row["unavailable"] = f"{error.name} is not installed (it has no wheel for every platform); pip install faster-fifo builds it"
    except ProcessDied as error:
        row["unavailable"] = str(error)
    return row


def _run_pair(
    context: SpawnContext, make: Callable[[SpawnContext], Link], roles: tuple[Callable[[_Task], None], ...], count: int, seconds: float
) -> list[Any]:
    """Run the two roles, each in a process of its own, over fresh links; returns their two results."""
    there, back, start = make(context), make(context), context.Barrier(len(roles))
    usable = sorted(os.sched_getaffinity(0))
    cpus = usable if len(usable) >= len(roles) else [None] * len(roles)
    processes, results = [], []
    try:
        for role, cpu in zip(roles, cpus, strict=False):
            receiver, sender = context.Pipe(duplex=False)
            task = _Task(there, back, cpu, count, seconds, start, sender)
            process = context.Process(target=role, args=(task,), daemon=True, name=f"bench-{role.__name__}")
            process.start()
            sender.close()
            processes.append(process)
            results.append(receiver)
        deadline = time.monotonic() + seconds + _START_SECONDS
        return [_result(receiver, process.name, deadline) for receiver, process in zip(results, processes, strict=True)]
    finally:
        for process in processes:
            process.kill()
            process.join()


def _result(receiver: Connection, name: str, deadline: float) -> Any:
    if not receiver.poll(max(0.0, deadline - time.monotonic())):
        raise ProcessDied(f"process {name} gave no result in time: its transport stalled; run it alone on the machine")
    try:
        return receiver.recv()
    except EOFError as error:
        raise ProcessDied(f"process {name} ended without a result; its traceback is on standard error") from error


def _begin(task: _Task) -> None:
    if task.cpu is not None:
        os.sched_setaffinity(0, {task.cpu})
    task.start.wait(_START_SECONDS)


def produce(task: _Task) -> None:
    """Send until the count or the time is used up; the result is when the first record went out."""
    records = [_RECORD] * BATCH
    _begin(task)
    started = time.monotonic_ns()
    ends = started + int(task.seconds * 1e9)
    for _ in range(max(1, task.records_max // BATCH)):
        task.there.send(records)
        if time.monotonic_ns() >= ends:
            break
    task.there.send([_END])
    task.result.send(started)


def consume(task: _Task) -> None:
    """Receive until the end is told; the result is how many records came, and when the last one did."""
    received = 0
    _begin(task)
    while True:
        records = task.there.receive()
        received += len(records)
        if records[-1] == _END:
            break
    task.result.send((received - 1, time.monotonic_ns()))


def ping(task: _Task) -> None:
    """Send a record and wait for it to come back, again and again; the result is the median time of that."""
    samples = []
    _begin(task)
    ends = time.monotonic_ns() + int(task.seconds * 1e9)
    for _ in range(task.records_max):
        sent = time.monotonic_ns()
        task.there.send([_RECORD])
        task.back.receive()
        received = time.monotonic_ns()
        samples.append(received - sent)
        if received >= ends:
            break
    task.there.send([_END])
    task.result.send(percentile(np.array(samples), "50"))


def pong(task: _Task) -> None:
    """Send back what comes, until the end is told."""
    _begin(task)
    while (records := task.there.receive()) != [_END]:
        task.back.send(records)
    task.result.send(None)
