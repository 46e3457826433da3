"""What is true of every pool that has ended, whatever happened to it."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from shm_exchange.pipeline import PoolMetrics

PATIENCE = 60.0


def adds_up(metrics: PoolMetrics) -> None:
    """Every accepted item was handled or counted, and nothing waits."""
    assert (metrics.queue_size, metrics.in_hand) == (0, 0)
    lost = metrics.total_dropped - metrics.refused
    assert metrics.items_produced == metrics.total_processed + metrics.failures + lost + metrics.conflated
    assert metrics.items_consumed == metrics.total_processed + metrics.failures
    assert sum(worker.processed for worker in metrics.workers) == metrics.total_processed
    assert not any(worker.alive or worker.in_hand for worker in metrics.workers)


def kill_hanging(trace: Path) -> int:
    """Wait until an item hangs, and kill its worker; the process that it was."""
    pid = int(Path(f"{trace}.fifo").read_text())
    os.kill(pid, signal.SIGKILL)
    return pid


def wait_until(predicate: Callable[[], bool]) -> None:
    """Look again and again; a test that waits in vain fails."""
    gone = threading.Event()
    for _ in range(int(PATIENCE / 0.01)):
        if predicate():
            return
        gone.wait(0.01)
    raise AssertionError("it never came true")
