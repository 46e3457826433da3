"""Round trips of `bench latency`, as kernels: bare lines, and orders one at a time."""

from __future__ import annotations

from shm_exchange._intrinsics import load_acquire, load_relaxed, monotonic_ns, store_relaxed, store_release
from shm_exchange._jit import inlined, kernel
from shm_exchange.ring.lane import submit
from shm_exchange.ring.reports import acknowledge

PING, PONG, MODE, MODE_SEEN = 2, 4, 6, 8
"""Which hint words serve as bare cache lines: PARKED of sessions nobody holds, a pair of lines apart, because lines are fetched in pairs."""
MATCH, ECHO = 0, 1
REPORTS_OF_RESTING, REPORTS_OF_CROSSING = 1, 3
"""A buy that rests is ACCEPTED; the sell that meets it is ACCEPTED and both sides are EXECUTED, all for the one session."""


@kernel
def clock_cost(reads):
    """Nanoseconds of one clock read, which every sample contains."""
    start = monotonic_ns()
    for _ in range(reads):
        monotonic_ns()
    return (monotonic_ns() - start) / (reads + 1)


@kernel
def echo(lines):
    """The peer's side of bare ping-pongs, until the mode changes."""
    ping, pong, seen = lines[PING], lines[PONG], load_acquire(lines[PONG], "parked")
    polls = 0
    while True:
        value = load_acquire(ping, "parked")
        if value != seen:
            seen = value
            store_release(pong, "parked", value)
        polls += 1
        if polls & 0xFFFF == 0 and load_relaxed(lines[MODE], "parked") != ECHO:
            return


@kernel
def ping_pongs(lines, samples):
    """Bounce a line once per sample; samples: i8, nanoseconds."""
    ping, pong = lines[PING], lines[PONG]
    value = load_acquire(pong, "parked")
    before = monotonic_ns()
    for index in range(len(samples)):
        value += 1
        store_release(ping, "parked", value)
        while load_acquire(pong, "parked") != value:
            pass
        now = monotonic_ns()
        samples[index] = now - before
        before = now


@inlined
def _submit(producer, index, price_ticks, buy_kinds, sell_kinds):
    submit(producer, 0, 0, price_ticks, 1, buy_kinds if index & 1 == 0 else sell_kinds)


@inlined
def last_report_of(index):
    """How many reports the order numbered `index` causes: even ones rest, odd ones meet them."""
    return REPORTS_OF_RESTING if index & 1 == 0 else REPORTS_OF_CROSSING


@kernel
def order_round_trips(rings, price_ticks, buy_kinds, sell_kinds, samples):
    """Buy one lot, sell one lot, and so on; a sample ends when the last report of its order is there. An even number keeps the book empty."""
    producer, reader, reports, _, head = rings
    mask = len(reports) - 1
    before = monotonic_ns()
    for index in range(len(samples)):
        _submit(producer, index, price_ticks, buy_kinds, sell_kinds)
        number = reader[0].next_report + last_report_of(index) - 1
        slot = reports[number & mask]
        while load_acquire(slot, "number") != number:
            pass
        reader[0].next_report = number + 1
        acknowledge(reader, head)
        now = monotonic_ns()
        samples[index] = now - before
        before = now


@kernel
def set_line(lines, index, value):
    """Write one of the bare lines."""
    store_relaxed(lines[index], "parked", value)


@kernel
def read_line(lines, index):
    """Read one of the bare lines."""
    return load_acquire(lines[index], "parked")
