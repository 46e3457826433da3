"""Workers that are killed in the middle of an item: the pool goes on, and the item is tried again or counted."""

from __future__ import annotations

import os
import random
import signal
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from shm_exchange.domain.errors import ProcessDied
from shm_exchange.pipeline import WorkerPool
from tests.pipeline import handlers
from tests.pipeline.checks import PATIENCE, adds_up, kill_hanging, wait_until
from tests.pipeline.handlers import RECORD, Item

if TYPE_CHECKING:
    from pathlib import Path

KINDS: dict[str, dict[str, Any]] = {"rings": {"dtype": RECORD}, "fifos": {}}
kinds = pytest.mark.parametrize("kind", KINDS)
mostly_rings = pytest.mark.parametrize("kind", ["rings", pytest.param("fifos", marks=pytest.mark.long)])


def _put(pool: WorkerPool, kind: str, *items: Item) -> None:
    for item in items:
        pool.put(item.record() if kind == "rings" else item)


def _numbered(trace: Path, actions: dict[int, str], count: int) -> list[Item]:
    return [Item(number, actions.get(number, "note"), str(trace)) for number in range(count)]


@kinds
def test_an_item_is_tried_again(kind: str, trace: Path) -> None:
    with WorkerPool(handlers.work, num_workers=1, **KINDS[kind]) as pool:
        _put(pool, kind, *_numbered(trace, {2: "hang once"}, 3))
        killed = kill_hanging(trace)
        wait_until(lambda: pool.metrics().restarts == 1)
        _put(pool, kind, *_numbered(trace, {}, 3))
        metrics = pool.stop(PATIENCE)
    adds_up(metrics)
    assert (metrics.total_processed, metrics.total_dropped, metrics.restarts) == (6, 0, 1)
    assert handlers.notes(trace) == [0, 1, 2, 2, 0, 1, 2]
    assert killed != metrics.workers[0].pid


@mostly_rings
def test_or_it_is_counted(kind: str, trace: Path, caplog: pytest.LogCaptureFixture) -> None:
    with WorkerPool(handlers.work, num_workers=1, on_death="count", **KINDS[kind]) as pool:
        _put(pool, kind, *_numbered(trace, {2: "hang once"}, 3))
        kill_hanging(trace)
        wait_until(lambda: pool.metrics().restarts == 1)
        _put(pool, kind, *_numbered(trace, {}, 3))
        metrics = pool.stop(PATIENCE)
    adds_up(metrics)
    assert (metrics.total_processed, metrics.total_dropped) == (5, 1)
    assert handlers.notes(trace) == [0, 1, 2, 0, 1, 2]
    assert "hang once" in caplog.text
    assert "was in the hand of a killed worker; it is dropped" in caplog.text


@pytest.mark.long
@mostly_rings
def test_an_item_that_kills_again_and_again_is_dropped(kind: str, trace: Path, caplog: pytest.LogCaptureFixture) -> None:
    with WorkerPool(handlers.work, num_workers=1, **KINDS[kind]) as pool:
        _put(pool, kind, *_numbered(trace, {1: "die"}, 2))
        wait_until(lambda: pool.metrics().restarts == 4)
        _put(pool, kind, *_numbered(trace, {}, 2))
        metrics = pool.stop(PATIENCE)
    adds_up(metrics)
    assert (metrics.total_processed, metrics.total_dropped, metrics.restarts) == (3, 1, 4)
    assert handlers.notes(trace) == [0, *[1] * 4, 0, 1]
    assert "killed its worker 4 times; it is dropped" in caplog.text
    assert str(trace) in caplog.text


@mostly_rings
def test_others_go_on_meanwhile(kind: str, trace: Path) -> None:
    """Two workers, one of which dies three times: nothing of the other is lost or done twice, nor any order of a key."""
    other = trace.parent / "other"
    with WorkerPool(handlers.work, num_workers=2, by="path", retries=1, **KINDS[kind]) as pool:
        _put(pool, kind, Item(0, "hang once", str(trace)))
        for number in range(20):
            _put(pool, kind, Item(number, path=str(other)))
        kill_hanging(trace)
        wait_until(lambda: pool.metrics().restarts == 1)
        _put(pool, kind, *[Item(number, path=str(trace)) for number in range(1, 20)])
        metrics = pool.stop(PATIENCE)
    adds_up(metrics)
    assert handlers.notes(other) == list(range(20))
    assert handlers.notes(trace) == [0, *range(20)]
    assert metrics.total_processed == 40


@mostly_rings
def test_a_worker_that_is_killed_while_it_waits_is_replaced(kind: str, trace: Path) -> None:
    with WorkerPool(handlers.work, num_workers=1, **KINDS[kind]) as pool:
        pid = pool.metrics().workers[0].pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: pool.metrics().restarts == 1)
        _put(pool, kind, *_numbered(trace, {}, 5))
        metrics = pool.stop(PATIENCE)
    adds_up(metrics)
    assert handlers.notes(trace) == list(range(5))


@kinds
def test_a_straggler_is_ended_and_counted(kind: str, trace: Path) -> None:
    pool = WorkerPool(handlers.work, num_workers=1, **KINDS[kind]).start()
    _put(pool, kind, *_numbered(trace, {1: "hang"}, 4))
    hanging = int((trace.parent / "trace.fifo").read_text())
    metrics = pool.stop(timeout=0.05)
    adds_up(metrics)
    assert (metrics.items_produced, metrics.total_processed, metrics.total_dropped) == (4, 1, 3)
    assert handlers.notes(trace) == [0, 1, handlers.UNWOUND]
    with pytest.raises(ProcessLookupError):
        os.kill(hanging, 0)


def test_successors_that_cannot_begin_end_the_pool(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    with WorkerPool(handlers.doubled, num_workers=1, maxsize=4) as pool:
        monkeypatch.setenv("TESTS_BREAK_CHILDREN", "1")
        pid = pool.metrics().workers[0].pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: bool(pool.metrics().problem))
        with pytest.raises(ProcessDied, match="does not like children"):
            pool.put(1)
        metrics = pool.stop()
    assert "this module does not like children" in metrics.problem
    adds_up(metrics)


@pytest.mark.long
@kinds
def test_killed_at_any_moment(kind: str, trace: Path) -> None:
    """Random kills under load: with rings no item is lost, and none but those in hand is begun twice."""
    draws, count, over = random.Random(5), 0, threading.Event()
    with WorkerPool(handlers.work, num_workers=2, maxsize=50, retries=1000, **KINDS[kind]) as pool:

        def hunt() -> None:
            while not over.wait(draws.random() / 20):
                worker = draws.choice(pool.metrics().workers)
                if worker.pid is not None and worker.alive:
                    with suppress(ProcessLookupError):  # it was killed just before
                        os.kill(worker.pid, signal.SIGKILL)

        hunter = threading.Thread(target=hunt)
        hunter.start()
        while pool.metrics().restarts < 30:
            _put(pool, kind, *[Item(number, path=str(trace)) for number in range(count, count + 50)])
            count += 50
        over.set()
        hunter.join()
        metrics = pool.stop(PATIENCE)
    adds_up(metrics)
    notes = handlers.notes(trace)
    assert len(notes) - len(set(notes)) <= metrics.restarts
    assert metrics.total_processed == count - metrics.total_dropped
    if kind == "rings":
        assert metrics.total_dropped == 0
        assert set(notes) == set(range(count))
