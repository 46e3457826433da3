"""The gateway's timed loops, as kernels: orders on schedule, open or closed, and the same schedule without any order.

Orders go in pairs: a buy that rests, and the sell that meets it. So the number of reports of each is known beforehand, the book stays empty, and an
order is visible when the last of its reports is there. Histograms and flights are arrays of the caller, perhaps in memory that others see.
"""

from __future__ import annotations

import numpy as np

from bench.roundtrips import last_report_of
from shm_exchange._intrinsics import load_acquire, monotonic_ns
from shm_exchange._jit import inlined, kernel
from shm_exchange.participants.histogram import observe
from shm_exchange.ring.lane import submit
from shm_exchange.ring.reports import acknowledge

DONE, SLICE_OVER, IDLE = 0, 1, 2

PACE = np.dtype(
    [
        ("start_ns", "i8"),  # CLOCK_MONOTONIC; the schedule counts from here
        ("due_index", "i8"),  # next in the schedule
        ("sent", "i8"),
        ("answered", "i8"),
        ("dropped", "i8"),  # given up: the lane was full for longer than `patience_ns`
        ("retries", "i8"),  # how often the lane was full
        ("patience_ns", "i8"),
        ("previous_ns", "i8"),  # closed loop: when the last order was sent
        ("closed", "i8"),  # 1: the next order waits for the answer to the last one
        ("eager", "i8"),  # 1: spin; 0: come back to Python to sleep when nothing is to be done
        ("lane_id", "i8"),  # session << 40
        ("ended_ns", "i8"),  # when the last answer was seen
    ]
)
"""How far a run is. One record, private to the gateway."""


@inlined
def due_ns(own, schedule):
    """When the next order should be sent: as planned; or, in a closed loop, as long after the last one as it was planned."""
    planned = schedule[own.due_index]
    if own.closed == 0:
        return own.start_ns + planned
    return own.previous_ns + (planned - schedule[own.due_index - 1] if own.due_index > 0 else planned)


@inlined
def _take_answers(rings, own, flights, latencies, services):
    """Count every order whose last report is there; how many."""
    _, reader, reports, _, head = rings
    before = own.answered
    while own.answered < own.sent:
        last = reader[0].next_report + last_report_of(own.answered) - 1
        if load_acquire(reports[last & (len(reports) - 1)], "number") != last:
            break
        now = monotonic_ns()
        flight = flights[own.answered & (len(flights) - 1)]
        flight.visible_ns = now
        observe(latencies, now - flight.planned_ns)
        observe(services, now - flight.enqueued_ns)
        reader[0].next_report = last + 1
        acknowledge(reader, head)
        own.ended_ns = now
        own.answered += 1
    return own.answered - before


@inlined
def _send(rings, orders, own, flights, planned_ns, now):
    """Submit the next order, or give it up when the lane has been full for too long."""
    price_ticks, buy_kinds, sell_kinds = orders
    position = 0
    if own.sent - own.answered < len(flights):
        position = submit(rings[0], 0, 0, price_ticks, 1, buy_kinds if own.sent & 1 == 0 else sell_kinds)
    if position != 0:
        flight = flights[own.sent & (len(flights) - 1)]
        flight.order_id = own.lane_id | position
        flight.planned_ns = now if own.closed != 0 else planned_ns
        flight.enqueued_ns = now
        own.previous_ns = now
        own.sent += 1
        own.due_index += 1
    elif now - planned_ns > own.patience_ns:
        own.dropped += 1
        own.due_index += 1
    else:
        own.retries += 1


@kernel
def send_on_schedule(rings, orders, schedule, pace, flights, latencies, services, until_ns):
    """Send what is due and take what is answered. DONE; SLICE_OVER at `until_ns`; IDLE when not eager and nothing is to be done now.

    rings: `Gateway.rings()`; orders: (price_ticks, kinds of the buy, kinds of the sell); schedule: i8, nanoseconds; pace: PACE[1];
    flights: STAMPS[a power of two], the order numbered n in n & mask; latencies, services: counts, from the planned and from the actual moment.
    """
    own = pace[0]
    while own.answered + own.dropped < len(schedule):
        now = monotonic_ns()
        if own.due_index < len(schedule) and (own.closed == 0 or own.answered == own.sent):
            planned_ns = due_ns(own, schedule)
            if now >= planned_ns:
                _send(rings, orders, own, flights, planned_ns, now)
        taken = _take_answers(rings, own, flights, latencies, services)
        if now > until_ns:
            return SLICE_OVER
        if own.eager == 0 and taken == 0 and (own.due_index == len(schedule) or due_ns(own, schedule) > now):
            return IDLE
    return DONE


@kernel
def wait_on_schedule(schedule, start_ns, counts):
    """Wait for each planned moment in turn, send nothing, and count how late this core alone was."""
    for planned in schedule:
        due = start_ns + planned
        now = monotonic_ns()
        while now < due:
            now = monotonic_ns()
        observe(counts, now - due)
