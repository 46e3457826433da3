"""Stages joined by queues: sources of every kind, what stages return, ends, stops, deaths, and pipelines that make no sense."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from typing import TYPE_CHECKING, Any

import pytest

from shm_exchange.domain.errors import ConfigError, ProcessDied
from shm_exchange.pipeline import Pipeline
from tests.pipeline import handlers
from tests.pipeline.checks import PATIENCE, adds_up, kill_hanging, wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
    from pathlib import Path

    from shm_exchange.pipeline import PipelineMetrics


def generator() -> Iterator[int]:
    yield from range(10)


def putting(put: Callable[[int], object]) -> None:
    for number in range(10):
        put(number)


async def generator_async() -> AsyncIterator[int]:
    for number in range(10):
        yield number


async def putting_async(put: Callable[[int], Awaitable[object]]) -> None:
    for number in range(10):
        await put(number)


def run(pipeline: Pipeline) -> PipelineMetrics:
    with pipeline:
        pipeline.wait(PATIENCE)
    metrics = pipeline.metrics()
    for stage in metrics.stages:
        adds_up(stage)
    return metrics


@pytest.mark.parametrize("produce", [range(10), generator, putting, generator_async, putting_async])
def test_every_kind_of_source(produce: Any) -> None:
    got: list[int] = []
    pipeline = Pipeline("p")
    numbers = pipeline.queue("numbers", maxsize=3)
    pipeline.source("source", produce, output=numbers)
    pipeline.sink("sink", got.append, input=numbers)
    metrics = run(pipeline)
    assert got == list(range(10))
    assert [(source.name, source.produced, source.alive) for source in metrics.sources] == [("source", 10, False)]


def test_what_a_stage_returns() -> None:
    def spread(number: int) -> Any:
        if number == 0:
            return None
        if number == 1:
            return [10, 11]
        if number == 2:
            return (part for part in (20, 21, 22))
        return (number,)  # a tuple is one item: ticks are tuples

    got: list[Any] = []
    pipeline = Pipeline("p")
    before, after = pipeline.queue("before"), pipeline.queue("after", maxsize=1)
    pipeline.source("source", range(4), output=before)
    pipeline.stage("spread", spread, input=before, output=after)
    pipeline.sink("sink", got.append, input=after)
    metrics = run(pipeline)
    assert got == [10, 11, 20, 21, 22, (3,)]
    assert [(stage.name, stage.items_produced) for stage in metrics.stages] == [("spread", 4), ("sink", 6)]
    assert [queue.name for queue in metrics.queues] == ["before", "after"]


def test_coroutines_share_one_event_loop() -> None:
    loops: set[int] = set()
    got: list[int] = []

    async def double(number: int) -> int:
        await asyncio.sleep(0)
        loops.add(id(asyncio.get_running_loop()))
        return 2 * number

    async def keep(number: int) -> None:
        loops.add(id(asyncio.get_running_loop()))
        got.append(number)

    pipeline = Pipeline("p")
    before, after = pipeline.queue("before", maxsize=2), pipeline.queue("after", maxsize=2)
    pipeline.source("source", generator_async, output=before)
    pipeline.stage("double", double, input=before, output=after, workers=2)
    pipeline.sink("keep", keep, input=after)
    run(pipeline)
    assert sorted(got) == [2 * number for number in range(10)]
    assert len(loops) == 1


def test_several_sources_end_one_by_one() -> None:
    got: list[int] = []
    gate = threading.Event()

    def late() -> Iterator[int]:
        gate.wait()
        yield 100

    def keep(number: int) -> None:
        got.append(number)
        if len(got) == 10:
            gate.set()

    pipeline = Pipeline("p")
    numbers = pipeline.queue("numbers")
    pipeline.source("early", range(10), output=numbers)
    pipeline.source("late", late, output=numbers)
    pipeline.sink("keep", keep, input=numbers)
    run(pipeline)
    assert got == [*range(10), 100]


def test_an_exception_in_a_stage_is_counted() -> None:
    def halve(number: int) -> float:
        return 1 / number

    got: list[float] = []
    pipeline = Pipeline("p")
    before, after = pipeline.queue("before"), pipeline.queue("after")
    pipeline.source("source", [1, 0, 2], output=before)
    pipeline.stage("halve", halve, input=before, output=after)
    pipeline.sink("sink", got.append, input=after)
    stage = run(pipeline).stages[0]
    assert got == [1.0, 0.5]
    assert (stage.failures, stage.total_processed) == (1, 2)
    assert "ZeroDivisionError" in stage.workers[0].error


def test_a_source_that_fails_is_told_after_the_rest_is_drained() -> None:
    def breaking() -> Iterator[int]:
        yield from (1, 2)
        raise RuntimeError("the line is dead")

    got: list[int] = []
    pipeline = Pipeline("p")
    numbers = pipeline.queue("numbers")
    pipeline.source("source", breaking, output=numbers)
    pipeline.sink("sink", got.append, input=numbers)
    with pipeline, pytest.raises(ProcessDied, match="the line is dead"):
        pipeline.wait(PATIENCE)
    assert got == [1, 2]


@pytest.mark.parametrize("process", [False, True])
def test_stop_drains(process: bool) -> None:
    got: list[int] = []
    pipeline = Pipeline("p")
    numbers = pipeline.queue("numbers", maxsize=5)
    pipeline.source("source", handlers.for_ever, output=numbers, process=process)
    pipeline.sink("sink", got.append, input=numbers)
    with pipeline:
        wait_until(lambda: len(got) > 20)
        with pytest.raises(TimeoutError, match=r"still runs after 0\.01 s"):
            pipeline.wait(0.01)
        metrics = pipeline.stop(PATIENCE)
    (stage,) = metrics.stages
    adds_up(stage)
    assert stage.total_dropped == 0
    assert got == list(range(stage.items_produced))
    assert pipeline.stop() == metrics


def test_an_interrupt_drains_too() -> None:
    got: list[int] = []
    pipeline = Pipeline("p")
    numbers = pipeline.queue("numbers", maxsize=5)
    pipeline.source("source", handlers.for_ever, output=numbers)
    pipeline.sink("sink", got.append, input=numbers)

    def interrupted() -> None:
        with pipeline:
            wait_until(lambda: len(got) > 20)
            threading.Thread(target=signal.raise_signal, args=(signal.SIGINT,)).start()
            pipeline.wait(PATIENCE)

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert got == list(range(pipeline.metrics().stages[0].items_produced))


def test_what_does_not_end_is_given_up_and_counted() -> None:
    gate = threading.Event()
    pipeline = Pipeline("p")
    numbers = pipeline.queue("numbers", maxsize=5)
    pipeline.source("source", handlers.for_ever, output=numbers)
    pipeline.sink("sink", lambda _: gate.wait(), input=numbers)
    with pipeline:
        wait_until(lambda: pipeline.metrics().stages[0].queue_size == 5)
        (stage,) = pipeline.stop(timeout=0.05).stages
    gate.set()
    adds_up(stage)
    assert stage.total_dropped == stage.items_produced > 5


@pytest.mark.parametrize("workers", [pytest.param(1, marks=pytest.mark.long), 2])
def test_stages_as_processes(workers: int, trace: Path) -> None:
    pipeline = Pipeline("p")
    before, after = pipeline.queue("before", maxsize=8), pipeline.queue("after", maxsize=8)
    pipeline.source("source", handlers.upwards, output=before, process=True, arguments=(50,))
    pipeline.stage("double", "tests.pipeline.handlers:doubled", input=before, output=after, process=True, workers=workers)
    pipeline.sink("keep", handlers.kept, input=after, process=True, arguments=(str(trace),))
    metrics = run(pipeline)
    assert sorted(handlers.notes(trace)) == list(range(0, 100, 2))
    assert [stage.total_processed for stage in metrics.stages] == [50, 50]
    assert os.getpid() not in {pid for _, pid in handlers.traces(trace)}


def test_records_through_rings_with_several_producers(trace: Path) -> None:
    """Two sources into one ring, and two workers into the next: each of them has a lane, and the order of each is kept."""
    got: list[int] = []
    pipeline = Pipeline("p")
    before = pipeline.queue("before", maxsize=8, dtype=handlers.RECORD, policy="credit")
    after = pipeline.queue("after", maxsize=8, dtype=handlers.RECORD)
    for name, first in (("even", 0), ("odd", 100)):
        pipeline.source(name, handlers.numbered, output=before, arguments=(first, 30, str(trace)))
    pipeline.stage("pass on", handlers.passed_on, input=before, output=after, workers=2, by="number", process=True)
    pipeline.sink("keep", lambda record: got.append(int(record["number"])), input=after)
    metrics = run(pipeline)
    assert [stage.total_processed for stage in metrics.stages] == [60, 60]
    assert sorted(got) == [*range(30), *range(100, 130)]
    assert metrics.queues[0].high_water <= 8


def test_processes_between_threads(trace: Path) -> None:
    got: list[int] = []
    pipeline = Pipeline("p")
    before, after = pipeline.queue("before", maxsize=8), pipeline.queue("after", maxsize=8)
    pipeline.source("source", handlers.upwards_async, output=before, arguments=(50,))
    pipeline.stage("double", handlers.doubled, input=before, output=after, process=True)
    pipeline.sink("keep", got.append, input=after)
    run(pipeline)
    assert got == list(range(0, 100, 2))


def test_a_killed_stage_is_replaced_and_its_item_tried_again(trace: Path) -> None:
    got: list[int] = []
    pipeline = Pipeline("p")
    before, after = pipeline.queue("before", maxsize=20), pipeline.queue("after", maxsize=2)
    pipeline.source("source", range(10), output=before)
    pipeline.stage("pass on", handlers.kept_or_hang_once, input=before, output=after, process=True, arguments=(str(trace),))
    pipeline.sink("keep", got.append, input=after)
    with pipeline:
        wait_until(lambda: pipeline.metrics().sources[0].produced == 10)
        kill_hanging(trace)
        pipeline.wait(PATIENCE)
    first, second = pipeline.metrics().stages
    adds_up(first)
    adds_up(second)
    assert first.restarts == 1
    assert handlers.notes(trace)[:5] == [0, 1, 2, 3, 3]
    assert len(got) == first.total_processed == 10 - first.total_dropped
    assert got == sorted(got)


def test_a_stage_that_cannot_go_on_ends_everybody_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = Pipeline("p")
    before, after = pipeline.queue("before", maxsize=2), pipeline.queue("after", maxsize=2)
    pipeline.source("source", handlers.for_ever, output=before)
    pipeline.stage("double", handlers.doubled, input=before, output=after)
    pipeline.sink("sink", handlers.doubled, input=after, process=True)
    with pipeline:
        monkeypatch.setenv("TESTS_BREAK_CHILDREN", "1")
        pid = pipeline.metrics().stages[1].workers[0].pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(ProcessDied, match="sink, process"):
            pipeline.wait(PATIENCE)
    first, second = pipeline.metrics().stages
    adds_up(first)
    adds_up(second)
    assert first.failures == 1
    assert not first.problem
    assert "does not like children" in second.problem


def _linked() -> tuple[Pipeline, Any]:
    pipeline = Pipeline("p")
    return pipeline, pipeline.queue("q", maxsize=10)


def test_pipelines_that_make_no_sense() -> None:
    pipeline, queue = _linked()
    with pytest.raises(ConfigError, match="was not started"):
        pipeline.wait()
    with pytest.raises(ConfigError, match="has no members"):
        Pipeline("empty").start()
    with pytest.raises(ConfigError, match="two queues 'q'"):
        pipeline.queue("q")
    with pytest.raises(ConfigError, match="below maxsize"):
        pipeline.queue("r", maxsize=10, lag_threshold=10)
    pipeline, queue = _linked()
    pipeline.source("source", range(1), output=queue)
    with pytest.raises(ConfigError, match="is read by nobody"):
        pipeline.start()
    pipeline.sink("sink", print, input=queue)
    with pytest.raises(ConfigError, match="is read by 'sink' already"):
        pipeline.sink("sink 2", print, input=queue)
    with pytest.raises(ConfigError, match="two members 'sink'"):
        pipeline.sink("sink", print, input=queue)
    with pytest.raises(ConfigError, match="is no queue of this pipeline"):
        pipeline.sink("sink 2", print, input=_linked()[1])
    pipeline, queue = _linked()
    pipeline.sink("sink", print, input=queue)
    with pytest.raises(ConfigError, match="nobody puts into"):
        pipeline.start()
    pipeline, queue = _linked()
    other = pipeline.queue("other")
    pipeline.stage("there", handlers.doubled, input=queue, output=other)
    pipeline.stage("back", handlers.doubled, input=other, output=queue)
    with pytest.raises(ConfigError, match="go round in a circle"):
        pipeline.start()
