"""`python -m bench snapshot`: reads of a book top against a writer that never rests, beside a threaded book behind a read-write lock.

The writer publishes versions whose every level is computed from the version number, so a reader can tell a torn copy by its values alone.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from bench.measurement import Measurement
from bench.pair import bench_config, cores, peer, pinned
from bench.progress import Steps
from shm_exchange._intrinsics import load_relaxed, monotonic_ns, store_relaxed
from shm_exchange._jit import kernel
from shm_exchange.layout.headers import PRICE_LEVEL, SNAPSHOT
from shm_exchange.layout.regions import Writer
from shm_exchange.shm.locks import MATCHER_BYTE
from shm_exchange.shm.segment import attach, create
from shm_exchange.snapshot.slots import READ_TRIES, Snapshots, begin_version, depth_of, end_version, put_level, read_snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAMES = ("snapshot_latest", "snapshots", "snapshot_levels")
_THREADED_SECONDS = 1.0


@kernel
def write_versions(snapshots, control):
    """Publish versions as fast as the core can until told to stop; returns how many."""
    depth = depth_of(snapshots)
    while True:
        slot = begin_version(snapshots, 0)
        version = snapshots.latest[0].version + 1
        head = snapshots.heads[slot]
        store_relaxed(head, "event_number", version)
        store_relaxed(head, "bid_count", depth)
        store_relaxed(head, "ask_count", depth)
        for side in range(2):
            for position in range(depth):
                put_level(snapshots, slot, side, position, version * 31 + position, version * 17 + side)
        end_version(snapshots, 0, slot)
        if version & 0xFF == 0 and load_relaxed(control[0], "stop") != 0:
            return version


@kernel
def read_versions(snapshots, head, levels, count):
    """Read `count` times; returns (nanoseconds, tries beyond the first, torn, busy, versions that went back)."""
    retries, torn, busy, back, newest = 0, 0, 0, 0, 0
    depth = depth_of(snapshots)
    start = monotonic_ns()
    for _ in range(count):
        attempts = read_snapshot(snapshots, 0, head, levels)
        if attempts < 0:
            busy += 1
            retries += READ_TRIES - 1
            continue
        retries += attempts - 1
        version = head[0].stamp
        if version < newest:
            back += 1
        newest = version
        whole = head[0].event_number == version
        for index in range(2 * depth):
            side, position = index // depth, index % depth
            whole = whole and levels[index].price_ticks == version * 31 + position and levels[index].quantity == version * 17 + side
        if not whole:
            torn += 1
    return monotonic_ns() - start, retries, torn, busy, back


def run(count: int, steps: Steps) -> Measurement:
    """`count` reads. `hung` counts reads that gave no book: tries are bounded, so a reader that cannot succeed says busy instead of hanging."""
    own, other = cores()
    steps.expect(2)
    steps(f"{count:,} reads against a writer at full speed")
    with create(bench_config("snapshot")) as segment:
        try:
            with peer("bench.snapshot", segment.name, str(other)), pinned(own):
                snapshots = Snapshots(*(segment.array(name) for name in _NAMES))
                while snapshots.latest[0].version == 0:
                    os.sched_yield()
                head, levels = np.zeros(1, SNAPSHOT).view(np.recarray), np.zeros(2 * segment.config.depth, PRICE_LEVEL).view(np.recarray)
                read_versions(snapshots, head, levels, 1)
                first = int(snapshots.latest[0].version)
                nanoseconds, retries, torn, busy, back = read_versions(snapshots, head, levels, count)
                written = int(snapshots.latest[0].version) - first
                segment.writable(Writer.SUPERVISOR)["control"][0].stop = 1
        finally:
            segment.destroy()
    reads = count / nanoseconds * 1e9
    steps("a threaded book behind a read-write lock")
    threaded = _threaded()
    figures = {
        "reads_per_second": reads,
        "writes_per_second": written / nanoseconds * 1e9,
        "reads": count,
        "retries": retries,
        "torn": torn,
        "went_back": back,
        "hung": busy,
        "threaded_reads_per_second": threaded,
        "over_threaded": reads / threaded,
    }
    return Measurement(figures)


class _ReadWriteLock:
    """Many readers or one writer, writers first: the textbook's."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._readers = 0
        self._writing = False

    @contextmanager
    def reading(self) -> Iterator[None]:
        with self._condition:
            self._condition.wait_for(lambda: not self._writing)
            self._readers += 1
        try:
            yield
        finally:
            with self._condition:
                self._readers -= 1
                self._condition.notify_all()

    @contextmanager
    def writing(self) -> Iterator[None]:
        with self._condition:
            self._condition.wait_for(lambda: not self._writing and not self._readers)
            self._writing = True
        try:
            yield
        finally:
            with self._condition:
                self._writing = False
                self._condition.notify_all()


def _threaded() -> float:
    """Reads per second of a dict book shared by two threads behind a read-write lock, its writer at full speed."""
    lock, book, stop, reads = _ReadWriteLock(), {"bids": [(0, 0)] * 10, "asks": [(0, 0)] * 10}, threading.Event(), 0

    def write() -> None:
        version = 0
        while not stop.is_set():
            version += 1
            with lock.writing():
                book["bids"] = [(version * 31 + position, version) for position in range(10)]
                book["asks"] = [(version * 31 + position, version) for position in range(10)]

    writer = threading.Thread(target=write)
    writer.start()
    start = time.perf_counter()
    while time.perf_counter() - start < _THREADED_SECONDS:
        with lock.reading():
            list(book["bids"])
            list(book["asks"])
        reads += 1
    elapsed = time.perf_counter() - start
    stop.set()
    writer.join()
    return reads / elapsed


def _write(name: str, core: str) -> None:
    """The writer process: in the matcher's place."""
    os.sched_setaffinity(0, {int(core)})
    segment = attach(name, write=True)
    segment.try_lock(MATCHER_BYTE)
    own = segment.writable(Writer.MATCHER)
    snapshots = Snapshots(*(own[each] for each in _NAMES))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    write_versions(snapshots, segment.array("control"))


if __name__ == "__main__":
    _write(*sys.argv[1:])
