"""The timed loops of `bench latency` and `bench transports`, as kernels: bare lines, orders one at a time, orders on schedule."""

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
def _last_report_of(index):
    return REPORTS_OF_RESTING if index & 1 == 0 else REPORTS_OF_CROSSING


@kernel
def order_round_trips(rings, price_ticks, buy_kinds, sell_kinds, samples):
    """Buy one lot, sell one lot, and so on; a sample ends when the last report of its order is there. An even number keeps the book empty."""
    producer, reader, reports, _, head = rings
    mask = len(reports) - 1
    before = monotonic_ns()
    for index in range(len(samples)):
        _submit(producer, index, price_ticks, buy_kinds, sell_kinds)
        number = reader[0].next_report + _last_report_of(index) - 1
        slot = reports[number & mask]
        while load_acquire(slot, "number") != number:
            pass
        reader[0].next_report = number + 1
        acknowledge(reader, head)
        now = monotonic_ns()
        samples[index] = now - before
        before = now


@kernel
def orders_on_schedule(rings, price_ticks, buy_kinds, sell_kinds, interval_ns, samples):
    """Open loop: order k is due at start + k * interval whether or not earlier ones were answered; a sample runs from that planned moment."""
    producer, reader, reports, _, head = rings
    mask, count = len(reports) - 1, len(samples)
    sent, answered = 0, 0
    start = monotonic_ns() + interval_ns
    number = reader[0].next_report
    while answered < count:
        now = monotonic_ns()
        if sent < count and now >= start + sent * interval_ns:
            _submit(producer, sent, price_ticks, buy_kinds, sell_kinds)
            sent += 1
        last = number + _last_report_of(answered) - 1
        while answered < sent and load_acquire(reports[last & mask], "number") == last:
            samples[answered] = monotonic_ns() - (start + answered * interval_ns)
            answered += 1
            number = last + 1
            reader[0].next_report = number
            acknowledge(reader, head)
            last = number + _last_report_of(answered) - 1


@kernel
def set_line(lines, index, value):
    """Write one of the bare lines."""
    store_relaxed(lines[index], "parked", value)


@kernel
def read_line(lines, index):
    """Read one of the bare lines."""
    return load_acquire(lines[index], "parked")
