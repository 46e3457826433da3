"""The members that do one thing together, a stage's workers or one source: started, replaced when killed, drained, given up, and counted.

A killed worker is noticed through its pidfd. What it had in hand is tried again by its successor, at most `retries` times, or counted as dropped,
as `on_death` says. An item that is dropped so is named in a warning. A successor that cannot even begin, three times, ends the team.
"""

from __future__ import annotations

import logging
import pickle
import threading
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from shm_exchange.domain.errors import ConfigError, ProcessDied
from shm_exchange.domain.names import nearest
from shm_exchange.pipeline.body import Handling, Job, is_async
from shm_exchange.pipeline.fan import Fan
from shm_exchange.pipeline.fields import reading_name
from shm_exchange.pipeline.members import Member, ProcessMember, ThreadMember
from shm_exchange.pipeline.queue import Queue
from shm_exchange.pipeline.source import Producing
from shm_exchange.pipeline.table import WORKER, Hand, SharedTable, finished, in_hand
from shm_exchange.pipeline.tasks import Loop, TaskMember
from shm_exchange.runtime.functions import function_name, imported

_log = logging.getLogger("shm_exchange.pipeline")
OnDeath = Literal["retry", "count"]
FALSE_STARTS_MAX = 3
GRACE_SECONDS = 0.3
"""Between SIGTERM and SIGKILL of a straggler."""
_NAMED_CHARACTERS = 200


class Work(NamedTuple):
    """What a team does. Not checked here but by `checked_work`."""

    name: str
    function: Any
    arguments: tuple[Any, ...] = ()
    workers: int = 1
    process: bool = False
    tick_time: Any = None
    on_death: OnDeath = "retry"
    retries: int = 3


def checked_work(work: Work) -> Work:
    """The work, its functions by name where it is done by processes. Raises ConfigError."""
    if isinstance(work.workers, bool) or not isinstance(work.workers, int) or work.workers < 1:
        raise ConfigError(f"{work.name!r} needs a whole number of at least 1 worker, not {work.workers!r}")
    if work.on_death not in ("retry", "count"):
        raise ConfigError(f"on_death is 'retry' or 'count', not {work.on_death!r}{nearest(str(work.on_death), ('retry', 'count'))}")
    if isinstance(work.retries, bool) or not isinstance(work.retries, int) or work.retries < 0:
        raise ConfigError(f"retries must be a whole number of at least 0, not {work.retries!r}")
    if work.process:
        return work._replace(function=function_name(work.function), tick_time=reading_name(work.tick_time))
    return work._replace(function=imported(function_name(work.function))) if isinstance(work.function, str) else work


class _Slot:
    """A place in the team; its members come and go, its row stays."""

    def __init__(self, number: int, row: Any, hand: Hand | None) -> None:
        self.number = number
        self.row = row
        self.hand = hand
        self.member: Member | None = None
        self.is_over = False
        self.deaths = 0
        """Of workers in a row by the same item."""
        self.content = b""
        self.finished = 0
        """The item in hand, and how many the row had finished, at the last death."""
        self.false_starts = 0


class Team:
    """Members of one kind. `fan`: where its items come from; None: a source."""

    def __init__(self, work: Work, fan: Fan | None, output: Fan | None, wake: Callable[[], None]) -> None:
        self.work = work
        self.fan = fan
        self.output = output
        self.problem = ""
        """Why it ended, where that was no good end."""
        self.restarts = 0
        self.rescued = 0
        """Items that a queue counts as lost with their consumer, and that are in our hands all the same."""
        self.table = SharedTable(WORKER, work.workers)
        self._wake = wake
        self._loop: Loop | None = None
        self._lock = threading.RLock()
        self._is_canceled = False
        self.slots = [_Slot(number, self.table.rows[number], Hand() if work.process else None) for number in range(work.workers)]

    @property
    def is_over(self) -> bool:
        """Nobody of it works any more, and nobody will."""
        return all(slot.is_over for slot in self.slots)

    @property
    def _gives_again(self) -> bool:
        """Whether its queues give an unfinished item to the next consumer."""
        return self.fan is not None and self.fan.lanes > 0

    def start(self, loop: Loop) -> None:
        """Start all, and wait until each has acknowledged. Raises ProcessDied, with the traceback of one that could not."""
        self._loop = loop
        for slot in self.slots:
            slot.member = self._launched(slot)
        for slot in self.slots:
            assert slot.member is not None
            slot.member.wait_ready()
            if not slot.member.is_ready:
                _wait_ended(slot.member)
                raise ProcessDied(slot.member.problem)

    def look(self) -> None:
        """See who ended, and do what follows from it."""
        with self._lock:
            for slot in self.slots:
                member = slot.member
                if member is not None and not slot.is_over and member.has_ended:
                    self._ended(slot, member)

    def filenos(self) -> list[int]:
        """What becomes readable when a member ends."""
        with self._lock:
            members = [slot.member for slot in self.slots if slot.member is not None and not slot.is_over]
            return [member.fileno() for member in members if member.fileno() >= 0]

    def tell_to_stop(self) -> None:
        """A source: no more items. Whatever was put already goes its way."""
        with self._lock:
            self.table.rows["told_to_stop"] = 1
            for slot in self.slots:
                if slot.member is not None and not slot.is_over:
                    slot.member.interrupt()

    def cancel(self) -> None:
        """Give up whoever still works, and count what it had in hand as dropped."""
        with self._lock:
            if self._is_canceled:
                return
            self._is_canceled = True
            self.table.rows["told_to_stop"] = 1
            living = [slot.member for slot in self.slots if slot.member is not None and not slot.is_over]
            for member in living:
                member.cancel()
            for member in living:
                if isinstance(member, ProcessMember):
                    member.kill(GRACE_SECONDS)
            for slot in self.slots:
                slot.row["given_up"] += in_hand(slot.row)
                slot.is_over = True
        self._wake()

    def close(self) -> None:
        """Let the descriptors go; numbers can still be read."""
        with self._lock:
            for slot in self.slots:
                for handle in (slot.member, slot.hand):
                    if handle is not None:
                        handle.close()
            self.table.close()

    def _launched(self, slot: _Slot) -> Member:
        work = self.work
        name = work.name if work.workers == 1 else f"{work.name}-{slot.number + 1}"
        queue: Queue[Any] | None = None if self.fan is None else self.fan.queue_of(slot.number)
        job = Job(name, work.function, work.arguments, queue, self.output, work.tick_time, 0 if self.fan is None else self.fan.lanes)
        if slot.hand is not None:
            shared = [] if self.output is None else [self.output.state.fd]
            address = None if queue is None else queue.address()
            job = job._replace(input=address, output=None if self.output is None else self.output.address())
            return ProcessMember(job, self.table, slot.number, slot.hand, shared)
        body = Producing(job, slot.row) if queue is None else Handling(job, slot.row)
        if callable(work.function) and is_async(work.function):
            assert self._loop is not None
            return TaskMember(body, self._loop, self._wake)
        return ThreadMember(body, self._wake)

    def _ended(self, slot: _Slot, member: Member) -> None:
        if not member.problem or slot.row["told_to_stop"]:
            slot.is_over = True
            return
        if not isinstance(member, ProcessMember) or self.fan is None:
            self._fail(slot, member.problem)
            return
        slot.false_starts = 0 if member.is_ready else slot.false_starts + 1
        if slot.false_starts >= FALSE_STARTS_MAX:
            self._fail(slot, member.problem)
            return
        self.restarts += 1
        _log.warning("%s; another takes its place", member.problem.partition("\n")[0])
        self._judge(slot)
        member.close()
        slot.member = self._launched(slot)

    def _judge(self, slot: _Slot) -> None:
        """What becomes of the item that a killed worker had in hand."""
        row, work = slot.row, self.work
        if not in_hand(row):
            return
        assert slot.hand is not None
        content = slot.hand.read()
        is_same = content == slot.content if self._gives_again else finished(row) == slot.finished  # a ring may give others first
        slot.deaths, slot.content, slot.finished = slot.deaths if is_same else 0, content, finished(row)
        if not slot.deaths and not self._gives_again:
            self.rescued += 1
        slot.deaths += 1
        if work.on_death == "retry" and slot.deaths <= work.retries:
            return
        times = f"killed its worker {slot.deaths} times" if slot.deaths > 1 else "was in the hand of a killed worker"
        _log.warning("%s: item %s %s; it is dropped", work.name, self._named(slot), times)
        row["given_up"] += 1
        slot.deaths = 0

    def _named(self, slot: _Slot) -> str:
        """The item in hand, as text."""
        assert self.fan is not None
        content, dtype = slot.content, self.fan.plan.dtype
        try:
            import numpy as np

            item = np.frombuffer(content, dtype)[0] if dtype is not None else pickle.loads(content)  # noqa: S301 (a worker of ours put it there)
        except Exception:  # noqa: BLE001 (its class may refuse: it has a name all the same)
            item = content
        text = repr(item)
        return text if len(text) <= _NAMED_CHARACTERS else text[:_NAMED_CHARACTERS] + "…"

    def _fail(self, slot: _Slot, problem: str) -> None:
        """It cannot go on, and without it the team cannot: its items would wait for ever."""
        slot.is_over = True
        self.problem = problem
        _log.error("%s ended: %s", self.work.name, problem)
        if self.fan is not None:
            self.fan.end()
        self.cancel()


def _wait_ended(member: Member) -> None:
    """It closed its pipe, and ends at this moment."""
    if isinstance(member, ProcessMember):
        member.kill(10.0)
    member.has_ended  # noqa: B018 (it reads how)
