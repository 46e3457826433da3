"""Orders beside bare cache lines, and the calls of the public API: the parts of `bench latency` that are no load but single trips.

One process pair, a core each. Blocks of 2,000 bare ping-pongs (one line there, one line back) alternate with blocks of 2,000 orders, so that
both see the same weather; the ratio of the blocks' medians is taken pair by pair and its median is printed. The cost of the clock read inside every
sample is measured and taken off.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from bench.pair import EAGER_POLLS, bench_config, cores, peer, pinned
from bench.passes import PRICE_TICKS, order_words
from bench.roundtrips import ECHO, MATCH, MODE, MODE_SEEN, clock_cost, order_round_trips, ping_pongs, read_line, set_line
from bench.statistics import median, percentiles
from shm_exchange.client.gateway import Gateway
from shm_exchange.domain.enums import Side, TimeInForce
from shm_exchange.layout.regions import Writer
from shm_exchange.shm.segment import Segment, create

BLOCK = 2000
SUBMITS = 100
"""Scalar submits timed together: far fewer than a lane holds, so that none waits for room."""


def paired(blocks: int) -> dict[str, Any]:
    """Alternating blocks of bare lines and orders."""
    clock = float(clock_cost(100_000))
    lines_ns, orders_ns, ratios = [], [], []
    with _echoing_matcher() as (segment, lines), Gateway.attach(segment.name, session="latency") as gateway:
        samples = np.zeros(BLOCK, np.int64)
        for block in range(blocks + 1):
            _switch(lines, ECHO)
            ping_pongs(lines, samples)
            line = samples - clock
            _switch(lines, MATCH)
            order_round_trips(gateway.rings(), *order_words(), samples)
            order = samples - clock
            if block:  # the first pair warms both up
                lines_ns.append(line)
                orders_ns.append(order)
                ratios.append(float(np.median(order) / np.median(line)))
    line_all, order_all = np.concatenate(lines_ns), np.concatenate(orders_ns)
    tail = percentiles(order_all.astype(np.int64), ("50", "99", "99.9"))
    return {
        "line_rtt_ns_p50": round(float(np.median(line_all)), 1),
        "order_rtt_ns_p50": round(float(np.median(order_all)), 1),
        "order_rtt_ns_p99": tail["p99"],
        "order_rtt_ns_p999": tail["p99.9"],
        "rtt_ratio_p50": round(median(ratios), 3),
        "clock_ns": round(clock, 1),
        "blocks": blocks,
    }


@contextmanager
def _echoing_matcher() -> Iterator[tuple[Segment, np.recarray]]:
    """A matcher process that also echoes; yields the segment and the lines both may write."""
    own, other = cores()
    with create(bench_config("pair", max_sessions=8)) as segment:
        try:
            arrays = segment.writable(Writer.SUPERVISOR)
            arrays["control"][0].spin_polls = EAGER_POLLS
            with peer("bench.peer", segment.name, str(other)), pinned(own):
                yield segment, arrays["parked"]
                _switch(arrays["parked"], MATCH)
                arrays["control"][0].stop = 1
        finally:
            segment.destroy()


def _switch(lines: np.recarray, mode: int) -> None:
    """Tell the peer what to do and wait until it does."""
    set_line(lines, MODE, mode)
    while read_line(lines, MODE_SEEN) != mode:
        time.sleep(0.0001)


def from_python(gateway: Gateway) -> dict[str, float]:
    """Scalar calls of the public API: submit alone, and submit until the report is in Python's hands."""
    submit, decimal, trips = [], [], []
    for _ in range(200):
        submit.append(_submit_block(partial(gateway.limit, "MID", Side.BUY, price_ticks=PRICE_TICKS, quantity=1), gateway))
        decimal.append(_submit_block(partial(gateway.limit, "MID", Side.BUY, "100.005", 1), gateway))
    for _ in range(20_000):
        start = time.perf_counter_ns()
        gateway.limit("MID", Side.BUY, price_ticks=PRICE_TICKS, quantity=1, time_in_force=TimeInForce.IOC)
        gateway.wait()
        gateway.poll_array()
        trips.append(time.perf_counter_ns() - start)
    gateway.poll_array()
    return {"python_rtt_ns_p50": median(trips), "python_submit_ns_p50": median(submit), "python_submit_decimal_ns_p50": median(decimal)}


def _submit_block(submit: Callable[[], int], gateway: Gateway) -> float:
    """Nanoseconds of one call, the median of SUBMITS without the clock's own; afterwards everything is answered and canceled."""
    samples, clock = np.zeros(SUBMITS, np.int64), np.zeros(SUBMITS, np.int64)
    for index in range(SUBMITS):
        start = time.perf_counter_ns()
        submit()
        samples[index] = time.perf_counter_ns() - start
    for index in range(SUBMITS):
        start = time.perf_counter_ns()
        clock[index] = time.perf_counter_ns() - start
    gateway.mass_cancel()
    answers = 0
    while answers < 2 * SUBMITS + 1:  # ACCEPTED and CANCELED of each, and MASS_CANCELED
        gateway.wait()
        answers += len(gateway.poll_array())
    return float(np.median(samples) - np.median(clock))
