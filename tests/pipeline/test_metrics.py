"""The numbers of a pool: what is counted, what is timed, and that they survive those who wrote them."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from shm_exchange.layout.histogram import new_histogram, percentiles
from shm_exchange.pipeline import Pipeline, WorkerPool
from shm_exchange.pipeline.alarm import Alarm
from shm_exchange.pipeline.metrics import dropped
from shm_exchange.pipeline.policy import Policy
from shm_exchange.pipeline.queue import Figures
from shm_exchange.pipeline.table import WORKER, Hand, SharedTable, error_text, in_hand
from shm_exchange.pipeline.team import Team, Work
from tests.pipeline import handlers
from tests.pipeline.checks import PATIENCE, adds_up, wait_until
from tests.pipeline.handlers import RECORD, Item

if TYPE_CHECKING:
    from pathlib import Path


def test_while_it_works_and_when_it_is_over() -> None:
    begun, gate = threading.Semaphore(0), threading.Semaphore(0)

    def handle(number: int) -> None:
        begun.release()
        gate.acquire()
        if number == 1:
            raise ValueError(number)

    with WorkerPool(handle, num_workers=1, maxsize=8, processes=False, name="price") as pool:
        for number in range(3):
            pool.put(number)
        begun.acquire()
        gate.release()
        begun.acquire()
        now = pool.metrics()
        assert (now.name, now.num_workers, now.queue_size, now.queue_maxsize, now.queue_utilisation) == ("price", 1, 1, 8, 1 / 8)
        assert (now.items_produced, now.items_consumed, now.in_hand, now.producer_connected) == (3, 1, 1, True)
        (worker,) = now.workers
        assert (worker.name, worker.pid, worker.alive, worker.processed, worker.in_hand, worker.queue_size) == ("price", None, True, 1, 1, 1)
        gate.release(2)
        over = pool.stop(PATIENCE)
    adds_up(over)
    assert (over.total_processed, over.failures, over.producer_connected, over.problem) == (2, 1, False, "")
    assert (over.workers[0].alive, over.workers[0].failures) == (False, 1)
    assert json.loads(json.dumps(over.as_json()))["workers"][0]["error"].endswith("ValueError: 1")


def test_times_are_those_of_the_handler() -> None:
    """A handler that waits for at least 2 ms takes at least that long on average; most of all the slowest."""
    with WorkerPool(lambda number: threading.Event().wait(0.002 * number), num_workers=1, processes=False) as pool:
        for number in (1, 1, 10):
            pool.put(number)
        metrics = pool.stop(PATIENCE)
    assert metrics.average_seconds >= 0.008
    assert metrics.p99_seconds >= 0.0198  # its bucket is 1 % wide
    assert metrics.average_seconds == pytest.approx(metrics.workers[0].average_seconds)


@pytest.mark.parametrize("kind", ["field", "function", "record"])
def test_the_lag_runs_from_the_tick_to_its_handling(kind: str) -> None:
    options: dict[str, Any] = {
        "field": {"tick_time": "sent_ns", "processes": False},
        "function": {"tick_time": lambda item: item.sent_ns, "processes": False},
        "record": {"tick_time": "sent_ns", "dtype": RECORD},
    }[kind]
    with WorkerPool(handlers.work, num_workers=1, **options) as pool:
        for seconds_ago in (10, 30):
            item = Item(0, sent_ns=time.time_ns() - seconds_ago * 10**9)
            pool.put(item.record() if kind == "record" else item)
        metrics = pool.stop(PATIENCE)
    assert metrics.lag_average_seconds >= 20
    assert metrics.lag_p99_seconds >= 29.7


def test_an_item_without_a_time_is_handled_all_the_same() -> None:
    with WorkerPool(handlers.doubled, num_workers=1, processes=False, tick_time="sent_ns") as pool:
        pool.put(1)
        metrics = pool.stop(PATIENCE)
    assert (metrics.total_processed, metrics.lag_average_seconds, metrics.lag_p99_seconds) == (1, 0.0, 0.0)


def test_numbers_of_a_killed_worker_survive(trace: Path) -> None:
    with WorkerPool(handlers.work, num_workers=1, on_death="count") as pool:
        for number in range(5):
            pool.put(Item(number, "die" if number == 4 else "fail" if number == 3 else "note", str(trace)))
        wait_until(lambda: pool.metrics().restarts == 1)
        metrics = pool.metrics()
        assert (metrics.total_processed, metrics.failures, metrics.workers[0].processed) == (3, 1, 3)
        assert "item 3 is not wanted" in metrics.workers[0].error
        pool.put(Item(5, path=str(trace)))
        assert pool.stop(PATIENCE).total_processed == 4


def test_a_pipeline_has_a_row_for_everything() -> None:
    pipeline = Pipeline("p")
    before, after = pipeline.queue("before", maxsize=3), pipeline.queue("after")
    pipeline.source("source", range(20), output=before)
    pipeline.stage("double", handlers.doubled, input=before, output=after, workers=2)
    pipeline.sink("sink", list[int]().append, input=after)
    with pipeline:
        metrics = pipeline.wait(PATIENCE)
    assert [(stage.name, len(stage.workers), stage.producer_connected) for stage in metrics.stages] == [("double", 2, False), ("sink", 1, False)]
    assert [(queue.name, queue.produced, queue.maxsize) for queue in metrics.queues] == [("before", 20, 3), ("after", 20, 1000)]
    told = json.loads(json.dumps(metrics.as_json()))
    assert [row["produced"] for row in told["sources"]] == [20]
    assert told["stages"][1]["items_consumed"] == 20
    assert told["queues"][0]["utilisation"] == 0


def _figures(**changes: Any) -> Figures:
    return Figures("q", Policy.TIMEOUT, 10, 0, 0, 0, 0, 0, 0, 0.0, 1, 1)._replace(**changes)


def test_what_was_put_and_never_finished_is_dropped_at_the_end() -> None:
    team = Team(Work("w", print, workers=2), None, None, lambda: None)
    team.table.rows["processed"], team.table.rows["failed"] = (4, 3), (1, 0)
    team.table.rows["given_up"][0] = 1
    team.rescued = 2
    queue = _figures(produced=20, dropped=7, conflated=2)
    assert dropped(team, queue) == 1 + (7 - 2)
    assert dropped(team, queue, is_final=True) == 1 + (20 - 2 - 9)
    team.close()


def test_drops_are_those_of_the_last_minute(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    alarm = Alarm("q", 5)
    for moment, total, lately in [(100, 0, 0), (110, 3, 3), (150, 7, 7), (169, 7, 7), (171, 7, 4), (209, 7, 4), (211, 7, 0), (220, 8, 1)]:
        now[0] = float(moment)
        alarm.look(_figures(), total)
        assert alarm.dropped_lately(total) == lately
    said = [record.message for record in caplog.records]
    assert said == ["q: items are being dropped, 3 so far", "q: no item was dropped for a minute", "q: items are being dropped, 8 so far"]


def test_an_excursion_between_two_looks_is_seen(caplog: pytest.LogCaptureFixture) -> None:
    alarm = Alarm("q", 5)
    for size, high_water in [(5, 5), (2, 8), (2, 8), (6, 8), (7, 8), (5, 8)]:
        alarm.look(_figures(size=size, high_water=high_water), 0)
    said = [record.message.partition(":")[2] for record in caplog.records]
    assert [words.split()[0] for words in said] == ["8", "back", "6", "back"]


def test_rows_are_shared_with_a_child() -> None:
    with SharedTable(WORKER, 3) as ours:
        theirs = SharedTable(WORKER, 3, ours.fd)
        row = theirs.rows[1]
        row["taken"] += 1
        row["error"] = "zu lang äö".encode()
        assert ours.rows["taken"].tolist() == [0, 1, 0]
        assert in_hand(ours.rows[1]) == 1
        assert error_text(ours.rows[1]) == "zu lang äö"
    hand = Hand()
    for content in (b"a long one", b"", b"short"):
        hand.write(content)
        assert Hand(hand.fd).read() == content
    hand.close()


def test_python_counts_into_the_buckets_that_kernels_count_into() -> None:
    from shm_exchange.layout.histogram import count
    from shm_exchange.participants.histogram import observe

    plain, compiled = new_histogram(), new_histogram()
    for value in [-5, *range(300), *[2**power + step for power in range(8, 63) for step in (-1, 0, 1)]]:
        count(plain, value)
        observe(compiled, value)
    assert plain.tolist() == compiled.tolist()
    assert percentiles(plain, [50]) == percentiles(compiled, [50])
