"""The way into the workers of a stage: one queue that they share, or one for each of them, behind one producer.

    put ──▶ FanProducer ─┬▶ queue 1 ──▶ worker 1         a ring has one consumer, and items of one key go to one worker: a queue for each
                         └▶ queue 2 ──▶ worker 2         otherwise one queue for all

A worker that was killed is replaced. Until its successor is there a queue may have no consumer; its producers wait then, because the fan is not
`over`: that word, in memory which all of them share, is set by the one that watches the workers when no more will come.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from shm_exchange.domain.errors import Closed, ConfigError
from shm_exchange.pipeline.fields import Reading, reading, reading_name, stable_hash
from shm_exchange.pipeline.fifo import FifoQueue
from shm_exchange.pipeline.local import LocalQueue
from shm_exchange.pipeline.policy import Policy, checked_policy
from shm_exchange.pipeline.queue import Address, Figures, Producer, Put, Queue
from shm_exchange.pipeline.ring import RingQueue
from shm_exchange.pipeline.table import SharedTable

FAN = np.dtype([("over", "i8")])
_REPLACED_LOOK_SECONDS = 0.005


class Plan(NamedTuple):
    """What a way in should be."""

    name: str
    maxsize: int = 1000
    """Items that wait at most, in all its queues together."""
    policy: Policy | str = Policy.BLOCK
    write_timeout: float = 1.0
    dtype: np.dtype[np.void] | None = None
    """Of records; None: Python objects."""
    key: str | Reading | None = None
    """What `conflate` tells items apart by."""
    by: str | Reading | None = None
    """Items of which this is equal go to the same worker; None: any worker takes any."""


def queues_for(plan: Plan, workers: int) -> int:
    """How many queues so many workers read."""
    return workers if plan.dtype is not None or plan.by is not None else 1


def checked_plan(plan: Plan, workers: int) -> Plan:
    """The plan, with its gaps filled. Raises ConfigError."""
    policy = checked_policy(plan.policy)
    if isinstance(plan.maxsize, bool) or not isinstance(plan.maxsize, int) or plan.maxsize < 1:
        raise ConfigError(f"maxsize of {plan.name!r} must be a whole number of at least 1, not {plan.maxsize!r}; size(seconds, rate) suggests one")
    if policy is Policy.CONFLATE:
        key = plan.key if plan.key is not None else plan.by
        if key is None:
            raise ConfigError(f"{plan.name!r} conflates, but not by what; give key=, a field or a function of an item")
        plan = plan._replace(key=key, by=plan.by if plan.by is not None or workers == 1 else key)
    if plan.maxsize < queues_for(plan, workers):
        raise ConfigError(f"maxsize {plan.maxsize} of {plan.name!r} is less than one item for each of its {workers} queues; make it greater")
    return plan._replace(policy=policy)


class Fan:
    """The queues of a stage. Made by whoever watches its workers. plan: a checked one."""

    def __init__(self, plan: Plan, *, workers: int, producers: int, processes: bool) -> None:
        """producers: how many will put; one end more may be held open."""
        self.plan = plan
        self.state = SharedTable(FAN, 1)
        count = queues_for(plan, workers)
        share, more = (plan.maxsize, 0) if plan.policy is Policy.CONFLATE else divmod(plan.maxsize, count)  # all keys may belong to one queue
        names = [plan.name if count == 1 else f"{plan.name}-{number}" for number in range(1, count + 1)]
        self.queues = [new_queue(plan, name, share + (number < more), producers, processes) for number, name in enumerate(names)]
        self.lanes = 0 if plan.dtype is None else producers + 1
        """Of each queue that gives an unfinished item again; 0: none does."""

    def queue_of(self, worker: int) -> Queue[Any]:
        """What a worker reads; they count from 0."""
        return self.queues[worker % len(self.queues)]

    def producer(self) -> FanProducer:
        """A new end that puts."""
        return FanProducer(self.queues, self.plan.by, self.state)

    def address(self) -> FanAddress:
        """For a child that inherits `state.fd`. Raises ConfigError."""
        return FanAddress([queue.address() for queue in self.queues], reading_name(self.plan.by), self.state.fd)

    def end(self) -> None:
        """No worker will come any more: producers get Closed instead of waiting for one."""
        self.state.rows["over"][0] = 1

    def figures(self) -> Figures:
        """All queues together."""
        return added(self.plan, [queue.figures() for queue in self.queues])

    def close(self) -> None:
        """Let all memory go."""
        self.end()
        for queue in self.queues:
            queue.close()
        self.state.close()


class FanAddress(NamedTuple):
    """What a child needs to put into a fan."""

    queues: list[Address]
    by: str | None
    state_fd: int

    def producer(self) -> FanProducer:
        """A new end that puts, in the child."""
        return FanProducer([address.opened() for address in self.queues], self.by, SharedTable(FAN, 1, self.state_fd))


class FanProducer(Producer[Any]):
    """Puts each item where it belongs. `refused` counts what was not accepted."""

    def __init__(self, queues: Sequence[Queue[Any]], by: str | Reading | None, state: SharedTable) -> None:
        self.refused = 0
        self._queues = queues
        self._by = None if by is None else reading(by)
        self._over = state.rows["over"]
        self._producers = [queue.producer() for queue in queues]
        self._closed = False

    def put(self, item: Any, timeout: float | None = None) -> Put:
        """As the queue's policy says; waits while a killed worker is being replaced. Raises Closed."""
        producer, waited = self._place(item), 0.0
        while True:
            try:
                return self._counted(producer.put(item, timeout), waited)
            except Closed:
                self._wait_on()
            time.sleep(_REPLACED_LOOK_SECONDS)
            waited += _REPLACED_LOOK_SECONDS

    async def put_async(self, item: Any) -> Put:
        """The same, for an event loop."""
        producer, waited = self._place(item), 0.0
        while True:
            try:
                return self._counted(await producer.put_async(item), waited)
            except Closed:
                self._wait_on()
            await asyncio.sleep(_REPLACED_LOOK_SECONDS)
            waited += _REPLACED_LOOK_SECONDS

    def close(self) -> None:
        """No more will come from here."""
        self._closed = True
        for producer in self._producers:
            producer.close()

    def _place(self, item: Any) -> Producer[Any]:
        """Where the item belongs: by its key, else where the fewest wait."""
        if len(self._producers) == 1:
            return self._producers[0]
        if self._by is not None:
            return self._producers[stable_hash(self._by(item)) % len(self._producers)]
        waiting = [queue.figures() for queue in self._queues]
        loads = [figures.produced - figures.consumed - figures.dropped for figures in waiting]
        return self._producers[loads.index(min(loads))]

    def _wait_on(self) -> None:
        """Raise the Closed that is being handled, unless a worker is still to come."""
        if self._closed or self._over[0]:
            raise  # noqa: PLE0704 (it is called where Closed is being handled)

    def _counted(self, done: Put, waited: float) -> Put:
        self.refused += not done.accepted
        return done._replace(blocked_seconds=done.blocked_seconds + waited) if waited else done


def new_queue(plan: Plan, name: str, maxsize: int, producers: int, processes: bool) -> Queue[Any]:
    """A ring for records; for objects a fifo between processes, or a local queue."""
    policy, write_timeout = plan.policy, plan.write_timeout
    key = plan.key if policy is Policy.CONFLATE else None
    if plan.dtype is not None:
        if not (key is None or isinstance(key, str)):
            raise ConfigError(
                f"{plan.name!r} conflates records, which a ring tells apart by a field of their dtype; give its name as key, not {key!r}"
            )
        lane = maxsize if policy is Policy.CONFLATE else max(1, maxsize // producers)
        return RingQueue(name, plan.dtype, lane, policy=policy, write_timeout=write_timeout, key=key, producers=producers + 1)
    if callable(key) or (key is not None and ":" in key):
        key = reading(key)
    if processes:
        return FifoQueue(name, maxsize, policy=policy, write_timeout=write_timeout, key=key)
    return LocalQueue(name, maxsize, policy=policy, write_timeout=write_timeout, key=key)


def added(plan: Plan, figures: Sequence[Figures]) -> Figures:
    """Several queues as one."""
    told = Figures("", figures[0].policy, *(0,) * (len(Figures._fields) - 2))
    sums = {field: sum(getattr(part, field) for part in figures) for field in told._fields[2:]}
    producers = max(part.producers for part in figures)  # each has an end in every queue
    return told._replace(**sums | {"name": plan.name, "maxsize": plan.maxsize, "producers": producers})
