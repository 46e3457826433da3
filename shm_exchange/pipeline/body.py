"""What a member of a pipeline does, wherever it runs: the loop of a worker, item by item, with everything counted in its row.

    take an item ─▶ in hand ─▶ handler ─▶ output ─▶ finished ─▶ done       a process can be killed at any of these
                                  └─ raises: failed, its text kept, the next item

A successor begins with what its predecessor had in hand: a ring gives that item again, any other comes from the hand. What was finished, but whose
queue was not told so any more, is passed over when the ring gives it again. A ring of several producers may give another item before that one.
"""

from __future__ import annotations

import inspect
import pickle
import threading
import time
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, NamedTuple

from shm_exchange.domain.errors import Closed
from shm_exchange.layout.histogram import count
from shm_exchange.pipeline.fan import Fan, FanAddress, FanProducer
from shm_exchange.pipeline.fields import Reading, reading
from shm_exchange.pipeline.queue import Address, Queue
from shm_exchange.pipeline.table import ERROR_BYTES, Hand, finished, in_hand
from shm_exchange.runtime.functions import imported

Handler = Callable[..., Any]


class Job(NamedTuple):
    """The work of one member. For a process everything in it can be pickled: functions by name, queues by address."""

    name: str
    function: Handler | str
    arguments: tuple[Any, ...] = ()
    input: Queue[Any] | Address | None = None
    """None: a source."""
    output: Fan | FanAddress | None = None
    tick_time: Reading | str | None = None
    gives_again: int = 0
    """The first so many items may be one that the predecessor had in hand; 0: the input gives none again."""


def made(function: Handler | str, arguments: tuple[Any, ...]) -> Handler:
    """What is called for each item: an object of a class, one for each worker, or a function; the arguments come first."""
    found: Handler = imported(function) if isinstance(function, str) else function
    if isinstance(found, type):
        made_by_class: Handler = found(*arguments)
        return made_by_class
    return partial(found, *arguments) if arguments else found


def is_async(function: Handler) -> bool:
    """Whether it must run in an event loop."""
    plain = function.func if isinstance(function, partial) else function
    called = getattr(plain, "__call__", plain) if not isinstance(plain, type) else plain.__call__  # noqa: B004
    return any(inspect.iscoroutinefunction(part) or inspect.isasyncgenfunction(part) for part in (plain, called))


class Body(ABC):
    """open, then run or run_async, then close: all in the thread, task or process of the member."""

    def __init__(self, job: Job, row: Any) -> None:
        self.job = job
        self.row = row
        self.is_busy_putting = False
        """Must not be torn apart by a signal now."""

    @abstractmethod
    def open(self) -> None:
        """Import the function and take the ends of the queues."""

    @abstractmethod
    def run(self) -> None:
        """Work until there is nothing left, or until told to stop."""

    @abstractmethod
    async def run_async(self) -> None:
        """The same, for a function that belongs into an event loop."""

    @abstractmethod
    def close(self) -> None:
        """Give the ends of the queues back."""

    @property
    @abstractmethod
    def is_async(self) -> bool:
        """Which of the two runs."""

    def abandon(self) -> None:
        """Nobody waits any more: what it does from now on is not counted."""
        self.row["told_to_stop"] = 1

    def note(self, error: BaseException) -> None:
        """Keep an exception as text: its end, which says most."""
        text = "".join(traceback.format_exception(error)).strip().encode(errors="replace")
        self.row["error"] = text[-ERROR_BYTES:]


class Handling(Body):
    """A worker: handler(item) for each item of its queue, and what it returns into the output."""

    def __init__(self, job: Job, row: Any, hand: Hand | None = None) -> None:
        super().__init__(job, row)
        self._hand = hand
        self._tick_time = None if job.tick_time is None else reading(job.tick_time)
        self._output: FanProducer | None = None
        self._is_cut_off = False
        self._lock = threading.Lock()
        self._is_abandoned = False

    def open(self) -> None:
        """As Body says."""
        self._handler = made(self.job.function, self.job.arguments)
        source = self.job.input
        queue: Queue[Any] = source.opened() if isinstance(source, Address) else source  # type: ignore[assignment]
        self._consumer = queue.consumer()
        if self.job.output is not None:
            self._output = self.job.output.producer()
        self._refused_before = int(self.row["refused"])
        self._is_begun = bool(in_hand(self.row))
        again = self.job.gives_again > 0 and self._hand is not None and finished(self.row) > queue.figures().consumed
        self._looks_left = self.job.gives_again
        self._passed_over = self._hand.read() if again and self._hand is not None else None

    @property
    def is_async(self) -> bool:
        """As Body says."""
        return is_async(self._handler)

    def run(self) -> None:
        """As Body says."""
        for item in self._inherited():
            self._handle(item)
        while not self._must_stop():
            try:
                item = self._consumer.get()
            except Closed:
                return
            if not self._was_finished(item):
                self._handle(item)
            self._consumer.done()

    async def run_async(self) -> None:
        """As Body says."""
        for item in self._inherited():
            await self._handle_async(item)
        while not self._must_stop():
            try:
                item = await self._consumer.get_async()
            except Closed:
                return
            if not self._was_finished(item):
                await self._handle_async(item)
            self._consumer.done()

    def close(self) -> None:
        """As Body says; the handler's own `close`, where it has one, comes first."""
        try:
            close = getattr(self._handler, "close", None)
            if close is not None:
                close()
        finally:
            self._consumer.close()
            if self._output is not None:
                self._output.close()

    def abandon(self) -> None:
        """As Body says: its item in hand is somebody else's to count."""
        with self._lock:
            super().abandon()
            self._is_abandoned = True

    def _inherited(self) -> Iterator[Any]:
        """What the predecessor had in hand, where the queue will not give it again."""
        if self._is_begun and not self.job.gives_again and self._hand is not None:
            yield pickle.loads(self._hand.read())  # noqa: S301 (a process of ours put it there)

    def _must_stop(self) -> bool:
        return bool(self.row["told_to_stop"]) or self._is_cut_off

    def _was_finished(self, item: Any) -> bool:
        """Whether this is the item that was finished before, but given again: one of the first, or of policies that forget, none."""
        if self._passed_over is None:
            return False
        is_it = self._passed_over == self._content(item)
        self._looks_left -= 1
        if is_it or not self._looks_left:
            self._passed_over = None
        return is_it

    def _content(self, item: Any) -> bytes:
        raw: bytes = item.tobytes() if self.job.gives_again else pickle.dumps(item, protocol=5)
        return raw

    def _handle(self, item: Any) -> None:
        started = self._begin(item)
        try:
            results = results_of(self._handler(item))
            for result in () if self._is_abandoned else results:
                self._sent(result)
        except (Exception, SystemExit) as error:  # noqa: BLE001 (a handler may raise anything: the others go on)
            self._end(started, error)
        else:
            self._end(started, None)

    async def _handle_async(self, item: Any) -> None:
        started = self._begin(item)
        try:
            for result in results_of(await self._handler(item)):
                await self._sent_async(result)
        except (Exception, SystemExit) as error:  # noqa: BLE001 (as above)
            self._end(started, error)
        else:
            self._end(started, None)

    def _sent(self, result: Any) -> None:
        if self._output is not None:
            self.is_busy_putting = True
            try:
                self._output.put(result)
            except Closed:
                self._is_cut_off = True
                raise
            finally:
                self.is_busy_putting = False

    async def _sent_async(self, result: Any) -> None:
        if self._output is not None:
            self.is_busy_putting = True
            try:
                await self._output.put_async(result)
            except Closed:
                self._is_cut_off = True
                raise
            finally:
                self.is_busy_putting = False

    def _begin(self, item: Any) -> int:
        """Take it in hand, unless a predecessor has begun it; returns the time."""
        row = self.row
        if self._hand is not None:
            self._hand.write(self._content(item))
        if self._is_begun:
            self._is_begun = False
        else:
            row["taken"] += 1
        if self._tick_time is not None:
            self._note_lag(item, self._tick_time)
        return time.perf_counter_ns()

    def _note_lag(self, item: Any, tick_time: Reading) -> None:
        try:
            lag = time.time_ns() - int(tick_time(item))
        except Exception as error:  # noqa: BLE001 (an item without a time is still to be handled)
            self.note(error)
            return
        self.row["lag_ns"] += lag
        self.row["lags"] += 1
        count(self.row["lag_times"], lag)

    def _end(self, started: int, error: BaseException | None) -> None:
        """Finish the item: the one store at the end decides."""
        row = self.row
        with self._lock:
            if self._is_abandoned:
                return
            spent = time.perf_counter_ns() - started
            row["handling_ns"] += spent
            count(row["times"], spent)
            if self._output is not None:
                row["refused"] = self._refused_before + self._output.refused
            if error is None:
                row["processed"] += 1
            else:
                self.note(error)
                row["failed"] += 1


def results_of(result: Any) -> Iterable[Any]:
    """A list, and whatever a generator yields, are several results; None is no result; anything else is one."""
    if result is None:
        return ()
    return result if isinstance(result, list | Iterator) else (result,)
