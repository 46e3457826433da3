"""`python -m bench transports`: the lane beside what else Python has, with the same 64-byte record between the same two cores.

The lane's row moves records from a producer process to a consumer process that copies each one out, as the matcher's sweep does, and nothing
more; its round trip is one record there through the lane and one word back.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import numpy as np

from bench.measurement import Measurement
from bench.pair import bench_config, cores, peer, pinned
from bench.progress import Steps
from bench.statistics import median
from bench.transports_baselines import baselines
from shm_exchange._intrinsics import load_acquire, load_relaxed, monotonic_ns, pause, store_release, yield_core
from shm_exchange._jit import kernel
from shm_exchange.client.sessions import take_session
from shm_exchange.layout.headers import MATCHER_RUNNING
from shm_exchange.layout.records import COMMAND_WORDS
from shm_exchange.layout.regions import Writer
from shm_exchange.ring.lane import has_command, new_producer, submit, submit_many, take
from shm_exchange.shm.locks import MATCHER_BYTE
from shm_exchange.shm.segment import Segment, attach, create

BASELINE_COUNT, BASELINE_SECONDS = 200_000, 1.5
TRIPS = 20_000
CHUNK = 256


@kernel
def pump(producer, words, count):
    """Submit `count` commands from a block that is repeated; returns nanoseconds until the consumer's head has passed the last."""
    start = monotonic_ns()
    sent = 0
    while sent < count:
        moved = submit_many(producer, words[: min(len(words), count - sent)], 0)
        sent += moved
        if moved == 0:
            yield_core()
    return start


@kernel
def await_head(heads, position):
    """Spin until the consumer has taken everything below `position`; returns the moment."""
    while load_acquire(heads[0], "head") < position:
        pause()
    return monotonic_ns()


@kernel
def trips(producer, price_ticks, answers, samples):
    """One command there and one record back, once per sample (nanoseconds); answers: the peer's REPORT_TAIL, whose tail it sets to the position."""
    for index in range(len(samples)):
        before = monotonic_ns()
        position = submit(producer, 0, 0, price_ticks, 1, 1)
        while load_acquire(answers[0], "tail") != position:
            pass
        samples[index] = monotonic_ns() - before


@kernel
def drain(slots, capacity, heads, answers, control, kept):
    """The consumer: copy every command out, move the head once a chunk, and answer each chunk's last position, until told to stop."""
    position = np.int64(1)
    while True:
        count = 0
        while count < len(kept) and take(slots, capacity, position, kept[count]):
            position += 1
            count += 1
        if count > 0:
            store_release(heads[0], "head", position)
            store_release(answers[0], "tail", position - 1)
        elif load_relaxed(control[0], "stop") != 0 and not has_command(slots, capacity, position):
            return position


def run(count: int, steps: Steps) -> Measurement:
    """All rows; `count`: records through the lane."""
    steps.expect(2)
    steps(f"{count:,} records through the lane")
    rows = [_lane(count)]
    steps("faster-fifo, multiprocessing.Queue and Pipe")
    rows += baselines(BASELINE_COUNT, BASELINE_SECONDS)
    fifo = next((row for row in rows if row["name"] == "faster-fifo" and row.get("messages_per_second")), None)
    result: dict[str, Any] = {"transports": rows}
    if fifo:
        result["lane_over_faster_fifo"] = rows[0]["messages_per_second"] / fifo["messages_per_second"]
    return Measurement(result)


def _lane(count: int) -> dict[str, Any]:
    """The lane's row: this process produces, a child consumes."""
    own, other = cores()
    if own == other:
        return {"name": "lane", "messages_per_second": None, "rtt_ns_p50": None, "unavailable": "the lane's row needs two cores: both ends spin"}
    with create(bench_config("lane")) as segment:
        try:
            with peer("bench.transports", segment.name, str(other)), pinned(own):
                return _lane_row(segment, count)
        finally:
            segment.destroy()


def _lane_row(segment: Segment, count: int) -> dict[str, Any]:
    """Produce into a lane that the child drains."""
    number, mine = take_session(segment, "lane", "lane")
    heads = segment.array("lane_heads")[number : number + 1]
    record = new_producer(mine["lane"], heads, mine["activity"], mine["parked"][:1], number)
    producer, words = record.ctypes.data, np.ones(CHUNK, COMMAND_WORDS)
    samples = np.zeros(TRIPS, np.int64)
    trips(producer, 1, segment.array("report_tails")[number : number + 1], samples)
    rates = []
    for _ in range(5):
        start = pump(producer, words, count // 5)
        rates.append((count // 5) / (await_head(heads, int(record[0].position)) - start) * 1e9)
    segment.writable(Writer.SUPERVISOR)["control"][0].stop = 1
    return {"name": "lane", "messages_per_second": median(rates), "rtt_ns_p50": int(np.median(samples))}


def _consume(name: str, core: str) -> None:
    """The child: in the matcher's place, without an engine."""
    os.sched_setaffinity(0, {int(core)})
    segment = attach(name, write=True)
    segment.try_lock(MATCHER_BYTE)
    own = segment.writable(Writer.MATCHER)
    own["lane_heads"]["head"] = own["report_tails"]["tail"] = 1
    lane = segment.array("lane", 1)
    kept = np.zeros(CHUNK, COMMAND_WORDS).view(np.recarray)
    own["matcher"][0].state = MATCHER_RUNNING
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    drain(lane.ctypes.data, len(lane), own["lane_heads"][1:2], own["report_tails"][1:2], segment.array("control"), kept)


if __name__ == "__main__":
    _consume(*sys.argv[1:])
