"""The matcher's loop in bounded slices: sweep, process, idle. Control returns to Python a few dozen times a second, because signals wait there."""

from __future__ import annotations

from shm_exchange._intrinsics import (
    exchange,
    fence_full,
    futex_wait,
    load_acquire,
    load_relaxed,
    monotonic_ns,
    pause,
    realtime_ns,
    store_relaxed,
    store_release,
    yield_core,
)
from shm_exchange._jit import inlined, kernel
from shm_exchange.matcher.step import process
from shm_exchange.matcher.sweep import NOTHING, READY, look_at_all, look_at_keeper, measure_depths, room_of, sweep

SLICE_OVER, STOP_ASKED, PARK_OVER = 0, 1, 2
PARK_NS = 100_000_000
"""Backstop of a park: even a lost wake-up costs latency, never an order."""
BLOCKED_PARK_NS = 1_000_000
_EAGER_POLLS = 2000
_POLLS_A_LOOK = 64


@inlined
def _became_busy(memory, taken):
    """Close the idle period, if there was one, and count the sweep."""
    counters, private = memory.counters[0], memory.private[0]
    if private.idle_since_ns != 0:
        counters.idle_ns += private.now_ns - private.idle_since_ns
        private.idle_since_ns = 0
        private.idle_polls = 0
    if private.busy_since_ns == 0:
        private.busy_since_ns = private.now_ns
    counters.sweeps += 1
    counters.batch_high = max(counters.batch_high, taken)


@inlined
def _became_idle(memory):
    """Open an idle period; the clock is only read on the first empty poll, when nobody waits for us."""
    private = memory.private[0]
    if private.idle_since_ns == 0:
        private.idle_since_ns = monotonic_ns()
        if private.busy_since_ns != 0:
            memory.counters[0].sweep_ns += private.idle_since_ns - private.busy_since_ns
            private.busy_since_ns = 0


@inlined
def gate_of(memory, policy, outputs):
    """The log number up to which commands may be applied now, one batch at the most: what nobody could take back any more."""
    words = memory.words[0]
    if not policy.answers_wait:
        return words.log_tail
    durable = min(load_acquire(memory.keeper[0], "durable"), words.log_tail)  # pairs with the keeper's release: the disk has all below it
    return min(durable, memory.private[0].applied + len(outputs.events) // 2)


@kernel
def _park(memory, policy, outputs, log):
    """Sleep until a gateway submits or the keeper's disk is done, at most PARK_NS. Announce first, fence, look at everything, and only then sleep.

    A gateway whose reports are unread has commands that must wait; nobody wakes us when it reads, so then the sleep is short. The same where the log
    ring is full.
    """
    own = memory.parked[0]
    store_relaxed(own, "parked", 1)
    fence_full()  # (C) pairs with (B) in ring.lane and (H) in the keeper: either we see the command or number, or its writer sees that we sleep
    found = look_at_all(memory, policy, outputs)
    can_sweep = found == READY and room_of(memory, policy, outputs, log) >= policy.budget
    can_apply = gate_of(memory, policy, outputs) > memory.private[0].applied
    if can_sweep or can_apply or load_acquire(memory.control[0], "stop") != 0:
        exchange(own, "parked", 0)
        return
    memory.counters[0].parks += 1
    futex_wait(memory.parked.ctypes.data, 1, PARK_NS if found == NOTHING else BLOCKED_PARK_NS)
    exchange(own, "parked", 0)
    look_at_all(memory, policy, outputs)


@kernel
def begin_slice(memory, policy, outputs):
    """Take the clocks, show that we live, look at every lane, sample their depths.

    Whoever was killed between a command and its activity bit left a lane that nothing else would ever make a busy matcher look at.
    """
    now = monotonic_ns()
    memory.private[0].clock_offset_ns = realtime_ns() - now
    store_release(memory.words[0], "heartbeat_ns", now)
    if policy.has_journal:
        look_at_keeper(memory)
    look_at_all(memory, policy, outputs)
    counters = memory.counters[0]
    counters.lane_depth_high = max(counters.lane_depth_high, measure_depths(memory, policy))
    return now + policy.slice_ns


@kernel
def run_slice(memory, policy, book, outputs, log, snapshots):
    """Match for one slice. Returns SLICE_OVER, STOP_ASKED, or PARK_OVER when it slept."""
    end = begin_slice(memory, policy, outputs)
    private = memory.private[0]
    spin_polls = load_relaxed(memory.control[0], "spin_polls")
    while True:
        taken = sweep(memory, policy, outputs, log)
        gate = gate_of(memory, policy, outputs)
        if taken > 0 or gate > private.applied:
            if taken == 0:
                private.now_ns = monotonic_ns()
            _became_busy(memory, taken)
            if gate > private.applied:
                process(memory, book, outputs, log, snapshots, gate)
            if private.now_ns > end:
                return SLICE_OVER
            continue
        _became_idle(memory)
        private.idle_polls += 1
        if private.idle_polls % _POLLS_A_LOOK == 0:
            if load_relaxed(memory.control[0], "stop") != 0:
                return STOP_ASKED
            if monotonic_ns() > end:
                return SLICE_OVER
            spin_polls = load_relaxed(memory.control[0], "spin_polls")
        if private.idle_polls < spin_polls:
            if private.idle_polls > _EAGER_POLLS:
                pause()
        elif private.idle_polls < spin_polls + policy.yield_polls:
            yield_core()
        else:
            _park(memory, policy, outputs, log)
            return PARK_OVER
