"""The timed loops of bench, as kernels: what a fast gateway, a fast consumer and the referee's clock do, without a byte of Python in between."""

from __future__ import annotations

import numpy as np

from shm_exchange._intrinsics import load_acquire, load_relaxed, monotonic_ns, pause, yield_core
from shm_exchange._jit import inlined, kernel
from shm_exchange.domain.enums import EventKind
from shm_exchange.engine.outputs import refresh_limit
from shm_exchange.matcher.step import process
from shm_exchange.ring.lane import submit_many
from shm_exchange.ring.reports import acknowledge, take_reports

EMPTY_PAUSES = 16
"""Between two looks of a consumer that found nothing: a look takes the line away from its writer."""
CHUNK = 256
"""Commands or reports moved between two looks at the other direction."""


@inlined
def breathe(eager):
    """Between two looks: stay on the core if it is ours alone, else let the other process run."""
    if eager:
        pause()
    else:
        yield_core()


@kernel
def drive_kernel(bundles, log, total, batch, session, eager):
    """Referee, kernel boundary: apply log records 1 … total - 1 (0 is the logon); returns nanoseconds until the consumer has taken every report."""
    memory, book, outputs = bundles.memory, bundles.book, bundles.outputs
    half = outputs.sessions[session].capacity >> 1
    process(memory, book, outputs, log, bundles.snapshots, 1)
    while refresh_limit(outputs, session) > 0:
        breathe(eager)
    start = monotonic_ns()
    last = 1
    while last < total:
        output = outputs.sessions[session]
        while output.unpublished - (output.limit - output.capacity) > half and refresh_limit(outputs, session) > half:
            breathe(eager)
        last = min(last + batch, total)
        process(memory, book, outputs, log, bundles.snapshots, last)
    while refresh_limit(outputs, session) > 0:
        breathe(eager)
    return monotonic_ns() - start


@kernel
def consume(reader, reports, tail, head, control, out, eager):
    """Take every report into `out` until the supervisor's stop word is set and nothing is left; returns how many."""
    count = 0
    while True:
        taken = take_reports(reader, reports, tail, out[count : count + CHUNK])
        count += taken
        acknowledge(reader, head)
        if taken == 0:
            if load_relaxed(control[0], "stop") != 0:
                return count
            for _ in range(EMPTY_PAUSES):
                breathe(eager)


@kernel
def drive_pipeline(producer, reader, reports, tail, head, words, out, eager):
    """Referee, pipeline boundary, and throughput: submit every command and take every report; returns (nanoseconds, reports).

    The first five are `Gateway.rings()`; words: COMMAND_WORDS; out: REPORT with room for all.
    """
    submitted, count, expected, finished = 0, 0, len(words), False
    last_position = np.int64(0)
    start = monotonic_ns()
    while not finished:
        moved = 0
        if submitted < expected:
            moved = submit_many(producer, words[submitted : min(submitted + CHUNK, expected)], 0)
            submitted += moved
            if submitted == expected:
                last_position = expected
        taken = take_reports(reader, reports, tail, out[count : count + CHUNK])
        acknowledge(reader, head)
        count += taken
        if taken == 0:
            if moved == 0:
                breathe(eager)
            finished = last_position != 0 and count > 0 and _is_answered(reader, tail, out, count, expected)
    return monotonic_ns() - start, count


@inlined
def _is_answered(reader, tail, out, count, expected):
    """Whether the stream ends with the answer to the last command and everything behind it was taken too."""
    if load_acquire(tail[0], "tail") != reader[0].next_report:
        return False
    index = count - 1
    while index >= 0 and out[index].kind == EventKind.EXECUTED:
        index -= 1
    first = out[0].cause_id
    return index >= 0 and out[index].cause_id - first == expected - 1
