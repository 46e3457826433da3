"""A pool of workers behind one bounded queue.

    with WorkerPool("strategies:price", num_workers=3, by="symbol", maxsize=size(5, 100)) as pool:
        for tick in ticks:
            pool.put(tick)
        print(pool.metrics())

`put` is the producer, from any thread, one item at a time. Every accepted item is handled, well or with an exception, or counted as dropped.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import numpy as np

from shm_exchange.domain.errors import Closed, ConfigError, ProcessDied
from shm_exchange.pipeline.alarm import checked_threshold
from shm_exchange.pipeline.fan import Fan, FanProducer, Plan, checked_plan
from shm_exchange.pipeline.fields import Reading
from shm_exchange.pipeline.metrics import PoolMetrics
from shm_exchange.pipeline.policy import Policy
from shm_exchange.pipeline.queue import Put
from shm_exchange.pipeline.stage import Stage
from shm_exchange.pipeline.tasks import Loop
from shm_exchange.pipeline.team import OnDeath, Team, Work, checked_work
from shm_exchange.pipeline.watch import Watch
from shm_exchange.runtime.affinity import parallel_processes

WORKER_COUNT = "WORKER_COUNT"
_TURN_LOOK_SECONDS = 0.001


def worker_count(wanted: int | None) -> int:
    """How many workers: as many as wanted, else as WORKER_COUNT in the environment says, else as can run at the same time. Raises ConfigError."""
    if wanted is not None:
        return wanted
    said = os.environ.get(WORKER_COUNT, "").strip()
    if not said:
        return parallel_processes()
    if not said.isascii() or not said.isdigit() or int(said) < 1:
        raise ConfigError(
            f"{WORKER_COUNT}={said!r} in the environment is no number of workers; set it to 1 or more, or leave it out to use every core"
        )
    return int(said)


class WorkerPool:
    """handler(item) in several processes, or threads. handler: a function of a module, or its name; a class makes one object for each worker.

    num_workers: None for WORKER_COUNT, else every usable core. by: items of which this field, or function, is equal go to the same worker, in order;
    None or "shared": to any. processes=False: threads. dtype: items are records of it, and travel through rings. on_death: an item whose worker was
    killed is tried again, `retries` times at most, or counted as dropped. tick_time: the field, or function, that gives an item's time in ns since
    1970. arguments: come before the item. Raises ConfigError.
    """

    def __init__(
        self,
        handler: Callable[..., Any] | str,
        *,
        num_workers: int | None = None,
        by: str | Reading | None = None,
        maxsize: int = 1000,
        policy: Policy | str = Policy.BLOCK,
        write_timeout: float = 1.0,
        key: str | Reading | None = None,
        lag_threshold: int | None = None,
        processes: bool = True,
        dtype: np.dtype[np.void] | None = None,
        on_death: OnDeath = "retry",
        retries: int = 3,
        tick_time: str | Reading | None = None,
        arguments: tuple[Any, ...] = (),
        name: str = "pool",
    ) -> None:
        work = Work(name, handler, arguments, worker_count(num_workers), processes, tick_time, on_death, retries)
        self._work = checked_work(work)
        self._plan = checked_plan(Plan(name, maxsize, policy, write_timeout, dtype, key, None if by == "shared" else by), self._work.workers)
        self._threshold = checked_threshold(lag_threshold, maxsize)
        self._stage: Stage | None = None
        self._producer: FanProducer | None = None
        self._final: PoolMetrics | None = None
        self._turn = threading.Lock()
        self._is_closed = False

    def start(self) -> Self:
        """Start the workers, and wait until each has acknowledged. Raises ProcessDied with the traceback of one that could not."""
        if self._stage is not None:
            raise ConfigError(f"pool {self._work.name!r} was started before; make a new one")
        self._watch = Watch(self._work.name, self._look)
        self._loop = Loop()
        fan = Fan(self._plan, workers=self._work.workers, producers=1, processes=self._work.process)
        team = Team(self._work, fan, None, self._watch.wake)
        self._stage = Stage(fan, team, self._threshold, self._refused, lambda: not self._is_closed)
        try:
            self._producer = fan.producer()
            team.start(self._loop)
        except BaseException:
            team.cancel()
            self._let_go(self._stage)
            raise
        self._watch.start([team])
        return self

    def put(self, item: Any, timeout: float | None = None) -> Put:
        """Hand over one item, as the policy says. Raises Closed after `stop`, ProcessDied when the workers cannot go on."""
        with self._turn:
            try:
                return self._open().put(item, timeout)
            except Closed as error:
                raise self._why_closed() from error

    async def put_async(self, item: Any) -> Put:
        """`put` that lets the event loop go on while it waits."""
        while not self._turn.acquire(blocking=False):  # noqa: ASYNC110 (a thread may have the turn)
            await asyncio.sleep(_TURN_LOOK_SECONDS)
        try:
            return await self._open().put_async(item)
        except Closed as error:
            raise self._why_closed() from error
        finally:
            self._turn.release()

    def metrics(self) -> PoolMetrics:
        """The pool now; after `stop`, as it ended."""
        if self._final is not None:
            return self._final
        if self._producer is None or self._stage is None:
            raise ConfigError(f"pool {self._work.name!r} was not started; call start(), or use it in a with statement")
        return self._stage.metrics()

    def stop(self, timeout: float = 5.0) -> PoolMetrics:
        """Take no more, handle what is there for at most so many seconds, give the rest up and count it. Again is harmless."""
        stage, producer = self._stage, self._producer
        if self._final is not None or stage is None or producer is None:
            return self.metrics()
        deadline = time.monotonic() + timeout
        self._is_closed = True
        if self._turn.acquire(timeout=max(0.0, timeout)):  # somebody may be putting
            producer.close()
            self._turn.release()
        self._watch.wait_for(lambda: stage.team.is_over, max(0.0, deadline - time.monotonic()))
        stage.fan.end()
        stage.team.cancel()
        self._watch.close()
        self._final = stage.metrics()
        self._let_go(stage)
        return self._final

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def _open(self) -> FanProducer:
        if self._producer is None:
            raise ConfigError(f"pool {self._work.name!r} was not started; call start(), or use it in a with statement")
        if self._is_closed:
            raise Closed(f"pool {self._work.name!r} was stopped")
        return self._producer

    def _why_closed(self) -> Exception:
        if self._stage is not None and self._stage.team.problem:
            return ProcessDied(self._stage.team.problem)
        return Closed(f"pool {self._work.name!r} was stopped; what was accepted is handled or counted")

    def _refused(self) -> int:
        return 0 if self._producer is None else self._producer.refused

    def _look(self) -> None:
        if self._stage is not None:
            self._stage.look()

    def _let_go(self, stage: Stage) -> None:
        self._watch.close()
        self._loop.close()
        stage.fan.close()
        stage.team.close()
