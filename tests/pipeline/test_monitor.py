"""A look at a pool or a pipeline: rows for a terminal, a page for a scraper, a warning."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from shm_exchange.domain.errors import ConfigError
from shm_exchange.pipeline import Monitor, Pipeline, WorkerPool, exposition
from shm_exchange.pipeline.monitor import HEADER, duration
from tests.pipeline import handlers
from tests.pipeline.checks import PATIENCE, wait_until

if TYPE_CHECKING:
    from shm_exchange.pipeline import PipelineMetrics

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def _run(names: tuple[str, str, str] = ("source", "double", "sink")) -> PipelineMetrics:
    pipeline = Pipeline("signals")
    before, after = pipeline.queue("before", maxsize=3), pipeline.queue("after")
    pipeline.source(names[0], range(20), output=before)
    pipeline.stage(names[1], handlers.doubled, input=before, output=after)
    pipeline.sink(names[2], list[int]().append, input=after)
    with pipeline:
        return pipeline.wait(PATIENCE)


class Fixed:
    """Something that has metrics."""

    def __init__(self, metrics: Any) -> None:
        self._metrics = metrics

    def metrics(self) -> Any:
        return self._metrics


def test_a_row_for_each_source_and_stage() -> None:
    monitor = Monitor(Fixed(_run()))
    rows = monitor.look()
    assert [(row.name, row.produced, row.handled, row.dropped, row.state) for row in rows] == [
        ("source", "20", "–", "0", "done"),
        ("double", "20", "20", "0", "done"),
        ("sink", "20", "20", "0", "done"),
    ]
    lines = monitor.text().splitlines()
    assert lines[0].split() == list(HEADER)
    assert [line.split()[0] for line in lines[1:]] == ["source", "double", "sink"]


def test_it_warns_once_while_too_much_waits(caplog: pytest.LogCaptureFixture) -> None:
    turns = threading.Semaphore(0)
    with WorkerPool(lambda _: turns.acquire(), num_workers=1, maxsize=100, processes=False, name="price") as pool:
        monitor = Monitor(pool, warn_above=3)
        for _ in range(2):
            for number in range(6):
                pool.put(number)
            wait_until(lambda: pool.metrics().queue_size == 5)
            monitor.look()
            (row,) = monitor.look()
            assert (row.waiting, row.state) == ("5 of 100", "1 of 1 at work")
            turns.release(6)
            wait_until(lambda: pool.metrics().queue_size == 0)
            monitor.look()
    assert [record.message for record in caplog.records] == ["price: 5 items wait, more than 3"] * 2


@pytest.mark.parametrize("wrong", [0, -1, 1.5, True])
def test_a_limit_must_be_one(wrong: Any) -> None:
    with pytest.raises(ConfigError, match="warn_above"):
        Monitor(Fixed(None), warn_above=wrong)


def _parsed(page: str) -> tuple[Samples, dict[str, str]]:
    """A reader of the exposition format that was written from its description, not from ours."""
    samples: Samples = {}
    kinds: dict[str, str] = {}
    helped: set[str] = set()
    current = ""
    assert page.endswith("\n")
    for line in page.splitlines():
        if line.startswith("# HELP "):
            _, _, current, _ = line.split(" ", 3)
            assert current not in helped
            helped.add(current)
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name == current
            kinds[name] = kind
        else:
            name, labels, value = _sample(line)
            assert name == current
            assert (name, labels) not in samples
            samples[name, labels] = float(value)
    assert helped == kinds.keys()
    return samples, kinds


def _sample(line: str) -> tuple[str, tuple[tuple[str, str], ...], str]:
    name, _, rest = line.partition("{")
    labels: list[tuple[str, str]] = []
    while not rest.startswith("}"):
        label, _, rest = rest.lstrip(",").partition('="')
        text, place = "", 0
        while rest[place] != '"':
            if rest[place] == "\\":
                place += 1
                text += {"n": "\n", "\\": "\\", '"': '"'}[rest[place]]
            else:
                text += rest[place]
            place += 1
        labels.append((label, text))
        rest = rest[place + 1 :]
    return name, tuple(labels), rest[1:].strip()


def test_the_page_says_what_the_metrics_say() -> None:
    metrics = _run()
    samples, kinds = _parsed(exposition(metrics))
    prefix = "shm_exchange_pipeline_"
    for stage in metrics.stages:
        labels = (("pipeline", "signals"), ("stage", stage.name))
        assert samples[f"{prefix}processed_total", labels] == stage.total_processed == 20
        assert samples[f"{prefix}processing_average_seconds", labels] == stage.average_seconds > 0
        assert samples[f"{prefix}worker_alive", (*labels, ("worker", stage.name))] == 0
    assert samples[f"{prefix}source_produced_total", (("pipeline", "signals"), ("source", "source"))] == 20
    assert samples[f"{prefix}queue_high_water", (("pipeline", "signals"), ("queue", "before"))] == metrics.queues[0].high_water
    assert {kind for name, kind in kinds.items() if name.endswith("_total")} == {"counter"}
    assert {kind for name, kind in kinds.items() if not name.endswith("_total")} == {"gauge"}


def test_names_are_escaped() -> None:
    strange = 'a "quoted" \\ name\nof two lines'
    samples, _ = _parsed(exposition(_run(("source", strange, "sink"))))
    assert samples["shm_exchange_pipeline_processed_total", (("pipeline", "signals"), ("stage", strange))] == 20


def test_a_pool_has_a_page_too() -> None:
    with WorkerPool(handlers.doubled, num_workers=2, processes=False, name="price") as pool:
        pool.put(1)
        pool.stop(PATIENCE)
    samples, _ = _parsed(Monitor(pool).exposition())
    assert samples["shm_exchange_pipeline_processed_total", (("stage", "price"),)] == 1
    assert not any("source" in name or "queue_high_water" in name for name, _ in samples)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 µs"), (8.2e-7, "0.82 µs"), (0.00012, "120 µs"), (0.0009999, "1 ms"), (0.25, "250 ms"), (1.234, "1.23 s"), (12345, "12,345 s")],
)
def test_durations_are_short(seconds: float, text: str) -> None:
    assert duration(seconds) == text
