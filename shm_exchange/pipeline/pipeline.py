"""Stages joined by bounded queues.

    pipeline = Pipeline("signals")
    ticks = pipeline.queue("ticks", maxsize=size(5, 100))
    enriched = pipeline.queue("enriched", policy="conflate", key="symbol")
    pipeline.source("feed", feed, output=ticks)                       # a generator, or a function that gets `put`
    pipeline.stage("enrich", enrich, input=ticks, output=enriched)    # item -> item, None, or a list
    pipeline.sink("execute", execute, input=enriched)
    with pipeline:
        pipeline.wait()                                               # until the sources have ended and all is drained

A stage is a pool of workers with an output. Members are threads, coroutines in one event loop, or with process=True processes; the queues between
them follow. The pipeline itself holds a producer of every queue until those who put into it are over, so that a stage which is being replaced does
not look like the end.
"""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any, Self

import numpy as np

from shm_exchange.domain.errors import ConfigError, ProcessDied
from shm_exchange.pipeline.alarm import checked_threshold
from shm_exchange.pipeline.fan import Fan, FanProducer, Plan
from shm_exchange.pipeline.fields import Reading
from shm_exchange.pipeline.graph import Graph, Link, Node
from shm_exchange.pipeline.metrics import PipelineMetrics, refused_by, source_metrics
from shm_exchange.pipeline.policy import Policy
from shm_exchange.pipeline.stage import Stage
from shm_exchange.pipeline.tasks import Loop
from shm_exchange.pipeline.team import OnDeath, Team, Work
from shm_exchange.pipeline.watch import Watch


class _Running:
    """A queue, the stage behind it, and those before it."""

    def __init__(self, fan: Fan, team: Team, threshold: int) -> None:
        self.producers: list[Team] = []
        self.stage = Stage(fan, team, threshold, lambda: refused_by(self.producers), self._is_connected)
        self._held: FanProducer | None = fan.producer()

    def look(self) -> None:
        """Let the consumer see the end once nobody puts any more."""
        if self._held is not None and not self._is_connected():
            self._held.close()
            self._held = None
        self.stage.look()

    def _is_connected(self) -> bool:
        return not all(team.is_over for team in self.producers)


class Pipeline:
    """Sources, stages and sinks. Build it, start it, wait for it or stop it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._graph = Graph()
        self._running: dict[Link, _Running] = {}
        self._teams: list[Team] = []
        self._sources: list[Team] = []
        self._final: PipelineMetrics | None = None

    def queue(
        self,
        name: str,
        *,
        maxsize: int = 1000,
        policy: Policy | str = Policy.BLOCK,
        write_timeout: float = 1.0,
        dtype: np.dtype[np.void] | None = None,
        key: str | Reading | None = None,
        lag_threshold: int | None = None,
    ) -> Link:
        """A queue between members; dtype: of records. Raises ConfigError."""
        link = self._graph.add_link(Link(Plan(name, maxsize, policy, write_timeout, dtype, key), lag_threshold))
        checked_threshold(lag_threshold, maxsize)
        return link

    def source(self, name: str, produce: Any, *, output: Link, process: bool = False, arguments: tuple[Any, ...] = ()) -> None:
        """Who makes items: an iterable, a generator function, or a function that gets `put`; each also as coroutine. Raises ConfigError."""
        self._graph.add(Node(Work(name, produce, arguments, process=process), None, None, output))

    def stage(
        self,
        name: str,
        handler: Any,
        *,
        input: Link,  # noqa: A002 (the word for it)
        output: Link | None = None,
        workers: int = 1,
        by: str | Reading | None = None,
        process: bool = False,
        tick_time: str | Reading | None = None,
        on_death: OnDeath = "retry",
        retries: int = 3,
        arguments: tuple[Any, ...] = (),
    ) -> None:
        """Who handles items, and puts what the handler returns into the output. Options as WorkerPool's. Raises ConfigError."""
        work = Work(name, handler, arguments, workers, process, tick_time, on_death, retries)
        self._graph.add(Node(work, None if by == "shared" else by, input, output))

    def sink(self, name: str, handler: Any, *, input: Link, **options: Any) -> None:  # noqa: A002 (the word for it)
        """A stage without an output. Options as `stage`. Raises ConfigError."""
        self.stage(name, handler, input=input, **options)

    def start(self) -> Self:
        """Start everybody, the last stage first, and wait for their acknowledgements. Raises ConfigError, ProcessDied."""
        if self._teams:
            raise ConfigError(f"pipeline {self.name!r} was started before; make a new one")
        nodes = self._graph.from_the_end()
        if not nodes:
            raise ConfigError(f"pipeline {self.name!r} has no members; give it a source and a sink")
        plans = {link: self._graph.plan_of(link) for link in self._graph.links}
        self._watch = Watch(self.name, self._look)
        self._loop = Loop()
        try:
            for node in nodes:
                self._teams.append(self._team(node, plans))
            self._sources = [team for team in self._teams if team.fan is None]
            for team in [team for team in self._teams if team.fan is not None] + self._sources:
                team.start(self._loop)
        except BaseException:
            self._cancel()
            self._let_go()
            raise
        self._watch.start(self._teams)
        return self

    def wait(self, timeout: float | None = None) -> PipelineMetrics:
        """Until every source has ended and everything is drained. Raises TimeoutError, and ProcessDied where a member ended too early."""
        self._check_started()
        if not self._watch.wait_for(self._is_over, timeout):
            raise TimeoutError(f"pipeline {self.name!r} still runs after {timeout:g} s")
        for team in self._teams:
            if team.problem:
                raise ProcessDied(team.problem)
        return self.metrics()

    def stop(self, timeout: float = 5.0) -> PipelineMetrics:
        """Tell the sources to stop, drain for at most so many seconds, give the rest up and count it. Again is harmless."""
        if self._final is not None:
            return self._final
        self._check_started()
        deadline = time.monotonic() + timeout
        for team in self._sources:
            team.tell_to_stop()
        self._watch.wait_for(self._is_over, max(0.0, deadline - time.monotonic()))
        self._cancel()
        self._watch.close()
        self._look()
        self._final = self.metrics()
        self._let_go()
        return self._final

    def metrics(self) -> PipelineMetrics:
        """The pipeline now; after `stop`, as it ended."""
        if self._final is not None:
            return self._final
        self._check_started()
        running = [self._running[link] for link in self._graph.links]
        return PipelineMetrics(
            self.name,
            tuple(source_metrics(team) for team in reversed(self._sources)),
            tuple(queue.stage.metrics() for queue in running),
            tuple(queue.stage.fan.figures() for queue in running),
        )

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def _team(self, node: Node, plans: dict[Link, Plan]) -> Team:
        """The team of a node and the way in to it; the one behind it is there already."""
        after = None if node.output is None else self._running[node.output]
        fan = None if node.input is None else self._fan(node, plans[node.input])
        team = Team(node.work, fan, None if after is None else after.stage.fan, self._watch.wake)
        if after is not None:
            after.producers.append(team)
        if fan is not None and node.input is not None:
            self._running[node.input] = _Running(fan, team, checked_threshold(node.input.lag_threshold, fan.plan.maxsize))
        return team

    def _fan(self, consumer: Node, plan: Plan) -> Fan:
        assert consumer.input is not None
        users = self._graph.producers_of(consumer.input)
        processes = any(node.work.process for node in [*users, consumer])
        return Fan(plan, workers=consumer.work.workers, producers=sum(node.work.workers for node in users), processes=processes)

    def _is_over(self) -> bool:
        return all(team.is_over for team in self._teams)

    def _look(self) -> None:
        for running in self._running.values():
            running.look()

    def _check_started(self) -> None:
        if not self._teams:
            raise ConfigError(f"pipeline {self.name!r} was not started; call start(), or use it in a with statement")

    def _cancel(self) -> None:
        for running in self._running.values():
            running.stage.fan.end()
        for team in [*self._sources, *self._teams]:
            team.cancel()

    def _let_go(self) -> None:
        self._watch.close()
        self._loop.close()
        for running in self._running.values():
            running.stage.fan.close()
        for team in self._teams:
            team.close()
