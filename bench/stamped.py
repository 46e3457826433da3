"""`python -m bench.stamped NAME CORE PATH`: a matcher that stamps what it dequeues and what it has matched; and the run that uses it.

It is the production matcher's sweep, apply and publish, one after the other, with a clock read and a mark for each order between them, for the one
session of the run. That costs some nanoseconds an order: stages come from a run of their own, and no other figure does.
"""

from __future__ import annotations

import os
import sys
from contextlib import closing

import numpy as np

from bench.pair import EAGER_POLLS, bench_config, peer, pinned, two_cores
from bench.passes import FLIGHTS, WARM_ORDERS, Load, Pass, Recorders, Sender
from bench.stages import MARKS, STAMPS, Stamps
from shm_exchange._intrinsics import load_relaxed, monotonic_ns, pause
from shm_exchange._jit import inlined, kernel
from shm_exchange.client.gateway import Gateway
from shm_exchange.client.plain import plain
from shm_exchange.domain.errors import ConfigError
from shm_exchange.domain.limits import POSITION_BITS
from shm_exchange.engine.apply import apply
from shm_exchange.layout.regions import Writer
from shm_exchange.matcher.bundles import plain_bundles
from shm_exchange.matcher.loop import SLICE_OVER, STOP_ASKED, begin_slice
from shm_exchange.matcher.process import MatcherProcess
from shm_exchange.matcher.rehearsal import rehearse
from shm_exchange.matcher.step import publish
from shm_exchange.matcher.sweep import sweep
from shm_exchange.participants.memory import SharedTable, open_table
from shm_exchange.shm.segment import attach, create

SESSION = 1
ORDERS_MAX = 1 << 20
_POLLS_A_LOOK = 64
_POSITION_MASK = (1 << POSITION_BITS) - 1


@inlined
def _mark(marks, first, behind, matched, now):
    """Stamp the positions from `first` up to `behind`."""
    for position in range(first, behind):
        mark = marks[position & (len(marks) - 1)]
        if matched:
            mark.matched_ns = now
        else:
            mark.dequeued_ns = now


@kernel
def run_stamped(memory, policy, book, outputs, log, snapshots, marks):
    """`matcher.loop.run_slice` with stamps, for a matcher with a core of its own: it spins. SLICE_OVER or STOP_ASKED."""
    end = begin_slice(memory, policy, outputs)
    lane = memory.lane_state[SESSION]
    polls = 0
    while True:
        first = lane.position
        if sweep(memory, policy, outputs, log) > 0:
            _mark(marks, first, lane.position, False, monotonic_ns())
            apply(book, outputs, log, memory.words[0].log_tail)
            _mark(marks, first, lane.position, True, monotonic_ns())
            publish(memory, book, outputs, snapshots)
        polls += 1
        if polls % _POLLS_A_LOOK == 0:
            if load_relaxed(memory.control[0], "stop") != 0:
                return STOP_ASKED
            if monotonic_ns() > end:
                return SLICE_OVER
        pause()


def stamped_pass(load: Load) -> tuple[Pass, Stamps]:
    """One pass beside such a matcher, and the stamps of all its orders. Raises ConfigError."""
    count = len(load.schedule())
    if count > ORDERS_MAX:
        raise ConfigError(f"{count:,} orders cannot all be stamped: {ORDERS_MAX:,} fit; give a lower rate or fewer seconds")
    own, other = two_cores("a stamped run")
    room = 1 << (count + WARM_ORDERS + FLIGHTS).bit_length()
    with create(bench_config("stamped", max_sessions=2)) as segment:
        try:
            control = segment.writable(Writer.SUPERVISOR)["control"]
            control["spin_polls"] = EAGER_POLLS
            with closing(SharedTable("marks", MARKS, room)) as marks, peer("bench.stamped", segment.name, str(other), marks.path), pinned(own):
                try:
                    done, stamps = _send(segment.name, load)
                finally:
                    control["stop"] = 1
            return done, _joined(stamps, marks.rows)
        finally:
            segment.destroy()


def _send(name: str, load: Load) -> tuple[Pass, Stamps]:
    with Gateway.attach(name, session="stamped") as gateway:
        assert gateway.number == SESSION, f"a fresh exchange gave session {gateway.number}"
        sender = Sender(gateway)
        sender.warm(load.rate)
        flights = np.zeros(1 << (len(load.schedule()) - 1).bit_length(), STAMPS)
        done = sender.send(load, Recorders(flights=flights))
        return done, flights[: done.answered]


def _joined(stamps: Stamps, marks: Stamps) -> Stamps:
    """The gateway's stamps with the matcher's marks of the same lane positions."""
    found = marks[(stamps["order_id"] & _POSITION_MASK) & (len(marks) - 1)]
    for name in MARKS.names or ():
        stamps[name] = found[name]
    return stamps


def main() -> None:
    """Match and stamp until the stop word."""
    name, core, path = sys.argv[1:]
    os.sched_setaffinity(0, {int(core)})
    marks = open_table(path, MARKS)
    marks.fill(0)
    rehearse()
    matcher = MatcherProcess(attach(name, write=True))
    bundles = plain_bundles(matcher.bundles)
    arguments = (bundles.memory, bundles.policy, bundles.book, bundles.outputs, bundles.log, bundles.snapshots, plain(marks))
    run_stamped(bundles.memory, bundles.policy._replace(slice_ns=0), *arguments[2:])
    matcher.announce()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while run_stamped(*arguments) != STOP_ASKED:
        pass


if __name__ == "__main__":
    main()
