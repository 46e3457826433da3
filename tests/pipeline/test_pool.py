"""A pool of workers: what it hands over, in which order, what it survives, and that every item is accounted for."""

from __future__ import annotations

import asyncio
import logging
import random
import threading
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pytest

from shm_exchange.domain.errors import Closed, ConfigError, ProcessDied
from shm_exchange.pipeline import WorkerPool
from shm_exchange.pipeline.fields import stable_hash
from shm_exchange.runtime.affinity import parallel_processes
from tests.pipeline import handlers
from tests.pipeline.checks import PATIENCE, adds_up, wait_until
from tests.pipeline.handlers import RECORD, Item

if TYPE_CHECKING:
    from pathlib import Path

KINDS: dict[str, dict[str, Any]] = {"threads": {"processes": False}, "rings": {"dtype": RECORD}, "fifos": {}}
kinds = pytest.mark.parametrize("kind", KINDS)


def _as(kind: str, item: Item) -> Any:
    return item.record() if kind == "rings" else item


@kinds
def test_every_item_is_handled_once(kind: str, trace: Path) -> None:
    with WorkerPool(handlers.work, num_workers=2, maxsize=16, **KINDS[kind]) as pool:
        for number in range(100):
            assert pool.put(_as(kind, Item(number, path=str(trace)))).accepted
        metrics = pool.stop(PATIENCE)
    adds_up(metrics)
    assert (metrics.items_produced, metrics.total_processed, metrics.total_dropped) == (100, 100, 0)
    assert sorted(handlers.notes(trace)) == list(range(100))


@kinds
def test_an_exception_is_counted_and_harms_nobody(kind: str, trace: Path) -> None:
    with WorkerPool("tests.pipeline.handlers:work", num_workers=1, **KINDS[kind]) as pool:
        for number in range(10):
            pool.put(_as(kind, Item(number, "fail" if number % 5 == 2 else "note", str(trace))))
        metrics = pool.stop(PATIENCE)
    adds_up(metrics)
    assert (metrics.total_processed, metrics.failures, metrics.total_dropped) == (8, 2, 0)
    assert handlers.notes(trace) == list(range(10))
    assert "ValueError: item 7 is not wanted" in metrics.workers[0].error


@kinds
def test_items_of_a_key_keep_their_order(kind: str, trace: Path) -> None:
    draws = random.Random(3)
    folder = trace.parent
    items = [Item(number, path=str(folder / f"key-{draws.randrange(7)}")) for number in range(150)]
    with WorkerPool(handlers.work, num_workers=3, by="path", maxsize=30, **KINDS[kind]) as pool:
        for item in items:
            pool.put(_as(kind, item))
        metrics = pool.stop(PATIENCE)
    adds_up(metrics)
    expected = defaultdict(list)
    for item in items:
        expected[item.path].append(item.number)
    assert {path: handlers.notes(path) for path in expected} == expected
    if kind != "threads":
        workers = {path: {pid for _, pid in handlers.traces(path)} for path in expected}
        assert all(len(pids) == 1 for pids in workers.values())
        assert len(set.union(*workers.values())) > 1


def test_a_key_may_be_read_by_a_function() -> None:
    seen: dict[str, set[int]] = defaultdict(set)

    def handle(item: str) -> None:
        seen[item[0]].add(threading.get_ident())

    with WorkerPool(handle, num_workers=3, by=lambda item: item[0], processes=False) as pool:
        for number in range(60):
            pool.put(f"{'abcdef'[number % 6]}{number}")
    assert all(len(threads) == 1 for threads in seen.values())
    assert len(set.union(*seen.values())) > 1


def test_hashes_are_the_same_in_every_process() -> None:
    assert [stable_hash(value) for value in ("BTC", b"BTC", 7, ("a", 1))] == [3176990918, 3176990918, 1790921346, 2745452491]


def test_a_class_makes_a_handler_for_each_worker(trace: Path) -> None:
    with WorkerPool(handlers.Account, arguments=(str(trace),), num_workers=2) as pool:
        for number in range(20):
            pool.put(number)
        adds_up(pool.stop(PATIENCE))
    traces = handlers.traces(trace)
    assert sum(total for total, _ in traces) == sum(range(20))
    assert len({pid for _, pid in traces}) == 2


def test_a_worker_that_cannot_begin_gives_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TESTS_BREAK_CHILDREN", "1")
    with pytest.raises(ProcessDied, match="this module does not like children") as caught:
        WorkerPool(handlers.work, num_workers=2, name="price").start()
    assert "price-1, process" in str(caught.value)
    assert "Traceback" in str(caught.value)


def test_a_thread_that_cannot_begin_gives_its_traceback() -> None:
    class Broken:
        def __init__(self) -> None:
            raise RuntimeError("no luck today")

    with pytest.raises(ProcessDied, match="no luck today"):
        WorkerPool(Broken, num_workers=1, processes=False).start()


def test_start_returns_when_everybody_has_acknowledged() -> None:
    opened: list[int] = []

    class Slow:
        def __init__(self) -> None:
            threading.Event().wait(0.05)
            opened.append(1)

        def __call__(self, _item: object) -> None:
            pass

    with WorkerPool(Slow, num_workers=3, processes=False):
        assert len(opened) == 3


def test_a_thread_that_does_not_end_is_given_up_and_counted() -> None:
    begun, gate = threading.Event(), threading.Event()

    def handle(item: int) -> None:
        if item == 0:
            begun.set()
            gate.wait()

    pool = WorkerPool(handle, num_workers=1, processes=False, name="straggler").start()
    for number in range(5):
        pool.put(number)
    assert begun.wait(PATIENCE)
    metrics = pool.stop(timeout=0.05)
    adds_up(metrics)
    assert (metrics.items_produced, metrics.total_processed, metrics.total_dropped) == (5, 0, 5)
    (straggler,) = (thread for thread in threading.enumerate() if thread.name == "straggler")
    gate.set()
    straggler.join(PATIENCE)
    assert pool.metrics() == metrics
    assert pool._stage is not None
    assert pool._stage.team.table.rows["processed"].tolist() == [0]


def test_a_stopped_pool_takes_no_more() -> None:
    pool = WorkerPool(handlers.doubled, num_workers=1, processes=False)
    with pytest.raises(ConfigError, match="was not started"):
        pool.put(1)
    with pytest.raises(ConfigError, match="was not started"):
        pool.metrics()
    with pool:
        pool.put(1)
        with pytest.raises(ConfigError, match="was started before"):
            pool.start()
    with pytest.raises(Closed, match="was stopped"):
        pool.put(1)
    assert pool.stop() == pool.metrics()


def test_a_put_that_waits_ends_with_the_pool() -> None:
    gate = threading.Event()
    pool = WorkerPool(lambda _: gate.wait(), num_workers=1, maxsize=1, processes=False).start()
    ended: list[type[Exception]] = []

    def fill() -> None:
        try:
            for number in range(9):
                pool.put(number)
        except Closed as error:
            ended.append(type(error))

    producer = threading.Thread(target=fill)
    producer.start()
    wait_until(lambda: (pool.metrics().in_hand, pool.metrics().queue_size) == (1, 1))
    metrics = pool.stop(timeout=0.1)
    producer.join(PATIENCE)
    gate.set()
    assert ended == [Closed]
    assert metrics.items_produced == metrics.total_dropped


def test_put_lets_the_event_loop_go_on() -> None:
    gate = threading.Event()

    async def produce(pool: WorkerPool) -> None:
        tasks = [asyncio.create_task(pool.put_async(number)) for number in range(5)]
        await asyncio.sleep(0)
        gate.set()
        assert all(done.accepted for done in await asyncio.gather(*tasks))

    with WorkerPool(lambda _: gate.wait(), num_workers=1, maxsize=1, processes=False) as pool:
        asyncio.run(produce(pool))
        assert pool.stop(PATIENCE).total_processed == 5


def test_what_is_refused_is_counted_apart(caplog: pytest.LogCaptureFixture) -> None:
    gate = threading.Event()
    options = {"maxsize": 2, "policy": "timeout", "write_timeout": 0.001}
    with WorkerPool(lambda _: gate.wait(), num_workers=1, processes=False, **options) as pool:  # type: ignore[arg-type]
        results = [pool.put(number) for number in range(10)]
        wait_until(lambda: "items are being dropped" in caplog.text)
        refused = sum(not done.accepted for done in results)
        assert pool.metrics().drops_per_minute == refused > 0
        gate.set()
        metrics = pool.stop(PATIENCE)
    adds_up(metrics)
    assert (metrics.refused, metrics.total_dropped, metrics.items_produced) == (refused, refused, 10 - refused)
    assert caplog.text.count("items are being dropped") == 1


@pytest.mark.parametrize("kind", ["threads", "rings"])
def test_the_newest_of_each_key_is_handled(kind: str, trace: Path) -> None:
    paths = [str(trace.parent / f"key-{key}") for key in range(3)]
    with WorkerPool(handlers.work, num_workers=1, policy="conflate", key="path", maxsize=3, **KINDS[kind]) as pool:
        for number in range(30):
            pool.put(_as(kind, Item(number, path=paths[number % 3])))
        metrics = pool.stop(PATIENCE)
    adds_up(metrics)
    assert [handlers.notes(path)[-1] for path in paths] == [27, 28, 29]
    assert (metrics.items_produced, metrics.total_dropped) == (30, 0)
    assert metrics.total_processed + metrics.conflated == 30


def test_a_queue_warns_once_for_each_excursion(caplog: pytest.LogCaptureFixture) -> None:
    turns = threading.Semaphore(0)

    def said(words: str) -> int:
        return sum(record.levelno == logging.WARNING and words in record.message for record in caplog.records)

    with WorkerPool(lambda _: turns.acquire(), num_workers=1, maxsize=10, lag_threshold=4, processes=False, name="price") as pool:
        for round_number in (1, 2):
            for number in range(10):
                pool.put(number)
            wait_until(lambda expected=round_number: said("items wait, more than 4") == expected)  # type: ignore[misc]
            turns.release(10)
            wait_until(lambda expected=round_number: said("price: back to") == expected)  # type: ignore[misc]
        adds_up(pool.stop(PATIENCE))
    assert (said("price: "), said("items wait"), said("back to")) == (4, 2, 2)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"lag_threshold": 10}, "from 1 to 9, below maxsize 10"),
        ({"lag_threshold": 0}, "from 1 to 9"),
        ({"maxsize": 0}, "maxsize of 'pool' must be"),
        ({"num_workers": 0}, "at least 1 worker"),
        ({"policy": "blok"}, "did you mean 'block'"),
        ({"policy": "conflate"}, "conflates, but not by what"),
        ({"on_death": "ignore"}, "on_death is"),
        ({"retries": -1}, "retries must be"),
        ({"num_workers": 11, "by": "path"}, "less than one item for each"),
        ({"handler": "tests.pipeline.handlers:nobody"}, "cannot import it"),
        ({"handler": lambda item: item}, "is a lambda"),
    ],
)
def test_what_cannot_be_is_said(options: dict[str, Any], words: str) -> None:
    given: dict[str, Any] = {"handler": handlers.work, "num_workers": 1, "maxsize": 10} | options
    with pytest.raises(ConfigError, match=words):
        WorkerPool(**given)


def test_how_many_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORKER_COUNT", raising=False)
    assert _count() == parallel_processes()
    monkeypatch.setenv("WORKER_COUNT", "3")
    assert _count() == 3
    assert _count(num_workers=2) == 2
    for wrong in ("0", "many", "-1", "2.5"):
        monkeypatch.setenv("WORKER_COUNT", wrong)
        with pytest.raises(ConfigError, match="is no number of workers"):
            _count()


def _count(**options: int) -> int:
    with WorkerPool(handlers.doubled, processes=False, **options) as pool:  # type: ignore[arg-type]
        return pool.metrics().num_workers
