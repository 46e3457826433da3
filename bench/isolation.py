"""`python -m bench isolation`: what one gateway feels of the others, beside what the sweep promises: (lanes - 1) × budget × time of a command.

The victim sends one order at a time and waits for its report, alone first and then beside: a session that floods (its lane is kept full by the same
process, so that no core is short), a gateway process that was stopped by SIGSTOP, and one that never reads, whose report ring and lane are full.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np

from bench.measurement import Measurement
from bench.pair import bench_config, exchange, two_cores
from bench.progress import Steps
from bench.statistics import percentiles
from shm_exchange._intrinsics import load_acquire, monotonic_ns, store_release
from shm_exchange._jit import kernel
from shm_exchange.client.gateway import Gateway
from shm_exchange.domain.enums import CommandKind
from shm_exchange.layout.records import COMMAND_WORDS, kinds_word
from shm_exchange.ring.lane import submit, submit_many
from shm_exchange.ring.reports import acknowledge
from shm_exchange.runtime.launch import launch
from shm_exchange.supervisor.supervisor import Supervisor

FLOOD = kinds_word(kind=CommandKind.CANCEL)
"""A cancel of an order that is not there: one reject each, and the book stays as it is."""
BYSTANDERS = ("stopped", "deaf")
_WARM = 10_000


@kernel
def round_trips(victim, flood, words, samples):
    """Cancel what is not there, one at a time, each answered before the next. Before each, `words` refill the lane of `flood`."""
    producer, reader, reports, _, head = victim
    flood_producer, _, _, flood_tail, flood_head = flood
    mask = len(reports) - 1
    for index in range(len(samples)):
        if len(words) > 0:
            # Its own reports are let go unread: a flood that had to read would be held back by itself.
            store_release(flood_head[0], "head", load_acquire(flood_tail[0], "tail"))
            submit_many(flood_producer, words, 0)
        number = reader[0].next_report
        slot = reports[number & mask]
        before = monotonic_ns()
        submit(producer, 1, 0, 0, 0, FLOOD)
        while load_acquire(slot, "number") != number:
            pass
        samples[index] = monotonic_ns() - before
        reader[0].next_report = number + 1
        acknowledge(reader, head)


def run(count: int, steps: Steps) -> Measurement:
    """`count`: round trips of each pass. Raises ConfigError where both ends would share a core."""
    two_cores("a measurement of isolation")
    steps.expect(3)
    config = bench_config("isolation", max_sessions=4, sweep_budget=64, session_orders=0, session_pages=0)
    with exchange(config) as supervisor, ExitStack() as stack:
        victim = stack.enter_context(Gateway.attach(supervisor.name, session="victim"))
        flood = stack.enter_context(Gateway.attach(supervisor.name, session="flood"))
        words = np.zeros(config.lane_capacity, COMMAND_WORDS)
        words["kinds"], words["order_id"] = FLOOD, 1
        steps("alone")
        alone = _pass(victim, flood, words[:0], count)
        steps("starting the others")
        for session in BYSTANDERS:
            stack.enter_context(_bystander(supervisor.name, session, stop=session == "stopped"))
        steps("beside a flood, a stopped gateway and one that never reads")
        before = _work(supervisor)
        beside = _pass(victim, flood, words, count)
        commands, nanoseconds = (after - then for after, then in zip(_work(supervisor), before, strict=True))
    mean = nanoseconds / max(1, commands)
    bound = (config.max_sessions - 1) * config.sweep_budget * mean
    both = {"alone": percentiles(alone), "beside them": percentiles(beside)}
    figures: dict[str, Any] = {"lanes": config.max_sessions, "sweep_budget": config.sweep_budget, "command_ns_mean": round(mean, 1)}
    figures |= {"flood_commands": int(commands), "bound_ns": round(bound)}
    rows = [{"pass": name} | {f"{key}_ns" if key != "samples" else key: value for key, value in found.items()} for name, found in both.items()]
    added = (both["beside them"]["p99"] or 0) - (both["alone"]["p99"] or 0)
    return Measurement(figures | {"round_trips": rows, "p99_added_ns": added, "within_bound": bool(added <= bound)})


def _work(supervisor: Supervisor) -> tuple[int, int]:
    """Commands matched, and the time that it took."""
    counters = supervisor.segment.array("counters")[0]
    return int(counters.commands), int(counters.sweep_ns)


def _pass(victim: Gateway, flood: Gateway, words: np.ndarray, count: int) -> np.ndarray:
    samples = np.zeros(count + _WARM, np.int64)
    round_trips(victim.rings(), flood.rings(), words, samples)
    return samples[_WARM:]


@contextmanager
def _bystander(name: str, session: str, *, stop: bool) -> Iterator[None]:
    """Such a process, ready and perhaps stopped; it ends with the block."""
    with launch("bench.bystander", (name, session), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            if process.stdout.readline() != b"ready\n":
                raise SystemExit("bench.bystander did not start")
            if stop:
                os.kill(process.pid, signal.SIGSTOP)
            yield
        finally:
            process.kill()
