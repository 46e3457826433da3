"""Lanes → log. The order in which the sweep copies commands into the log is the exchange's time priority, decided nowhere else.

A lane is *hot* while its activity bit is set; hot lanes are looked at directly, so an order costs no more lines than its own. A lane that stays
empty for COOL_SWEEPS cools: its bit is cleared, and then it is looked at once more, because the gateway may have seen the bit still set.
"""

from __future__ import annotations

import numpy as np

from shm_exchange._intrinsics import (
    exchange,
    fence_full,
    fetch_and,
    fetch_or,
    futex_wake,
    load_acquire,
    load_relaxed,
    monotonic_ns,
    store_release,
    trailing_zeros,
)
from shm_exchange._jit import inlined, kernel
from shm_exchange.domain.enums import CommandKind
from shm_exchange.domain.limits import POSITION_BITS
from shm_exchange.engine.outputs import is_abandoned, refresh_limit
from shm_exchange.layout.headers import LANES_PER_WORD
from shm_exchange.ring.lane import has_command, take

COOL_SWEEPS = 1 << 16
NOTHING, BLOCKED, READY = 0, 1, 2


@inlined
def heat(memory, session):
    """Put a lane on the list of those to look at."""
    if memory.lane_state[session].hot == 0:
        private = memory.private[0]
        memory.lane_state[session].hot = 1
        memory.lane_state[session].idle_sweeps = 0
        memory.hot[private.hot_count] = session
        private.hot_count += 1


@kernel
def take_activity(memory, word, bits):
    """Heat the lanes whose bits are newly set in one activity word; garbage bits beyond the last session are ignored."""
    while bits != 0:
        session = word * LANES_PER_WORD + trailing_zeros(bits)
        bits &= bits - np.uint64(1)
        if 0 < session < len(memory.lane_state):
            heat(memory, session)


@inlined
def look_at_activity(memory):
    """Find lanes that became active since the last look."""
    for word in range(len(memory.activity)):
        bits = load_relaxed(memory.activity[word], "bits")
        if bits != 0:
            take_activity(memory, word, bits)


@kernel
def _cool(memory, policy, index):
    """Take a lane off the list, unless something arrived just before its bit was cleared."""
    private = memory.private[0]
    session = memory.hot[index]
    if memory.lane_state[session].position != memory.lane_state[session].applied:
        return  # its commands wait for the disk, and only hot lanes learn that they are applied
    bit = np.uint64(1) << np.uint64(session % LANES_PER_WORD)
    word = memory.activity[session // LANES_PER_WORD]
    fetch_and(word, "bits", ~bit)
    fence_full()  # pairs with (B) in ring.lane: a locked operation alone is no fence by the letter of the memory model
    state = memory.lane_state[session]
    state.idle_sweeps = 0
    if has_command(memory.lanes[session], policy.lane_capacity, state.position):
        fetch_or(word, "bits", bit)
        return
    state.hot = 0
    private.hot_count -= 1
    memory.hot[index] = memory.hot[private.hot_count]


@inlined
def _is_blocked(memory, outputs, session):
    """Who does not read cannot submit: whether more than half of the session's report ring is unread, or spoken for by commands in the log.

    What the dead left is taken all the same.
    """
    output, state = outputs.sessions[session], memory.lane_state[session]
    room = (output.capacity >> 1) - (state.position - state.applied)
    if output.unpublished - (output.limit - output.capacity) <= room:
        return False
    return refresh_limit(outputs, session) > room and not is_abandoned(outputs, session)


@inlined
def _take_time(private):
    """The sequenced time of this sweep, read once."""
    if private.sweep_time_ns == 0:
        private.now_ns = monotonic_ns()
        private.sweep_time_ns = private.now_ns + private.clock_offset_ns


@inlined
def look_at_keeper(memory):
    """Learn what the keeper has written to files, whose ring slots are free then, and what its disk allows."""
    keeper, private = memory.keeper[0], memory.private[0]
    private.archived = load_acquire(keeper, "archived")  # pairs with the keeper's release: what lies below it is in files
    wanted = load_relaxed(keeper, "admission")
    private.admission_wanted = wanted if wanted != 0 else private.admission  # 0: no keeper has said anything yet


@kernel
def room_of(memory, policy, outputs, log):
    """How many commands a sweep may take: half a ring, and no slot whose command is not yet applied, or not yet archived.

    Without a journal the ring is the only history: the last sweep that would leave it whole stops in front of its end, and the next one says that
    it is whole no longer.
    """
    words, private = memory.words[0], memory.private[0]
    tail, capacity = words.log_tail, len(log.records)
    most = min(capacity, len(outputs.events)) // 2
    if policy.has_journal:
        room = min(private.archived, private.applied) + capacity - tail
        if room < most:
            look_at_keeper(memory)
            room = min(private.archived, private.applied) + capacity - tail
        return min(most, room)
    room = private.applied + capacity - tail
    if words.overwritten == 0:
        if capacity - tail >= policy.budget:
            room = min(room, capacity - tail)
        else:
            store_release(words, "overwritten", 1)
    return min(most, room)


@kernel
def _append_admit(memory, log, number):
    """Append the matcher's own command: from here on, what the keeper's disk allows. Returns 1, the number of commands appended."""
    private = memory.private[0]
    _take_time(private)
    record = log.records[number & (len(log.records) - 1)]
    record.order_id = record.price_ticks = record.terms = 0
    record.client_order_id = np.uint64(0)
    record.quantity = private.admission = private.admission_wanted
    record.kind = CommandKind.ADMIT
    record.side = record.order_type = record.time_in_force = record.self_trade = record.modifiers = record.instrument = 0
    record.command_id, record.time_ns = number, private.sweep_time_ns  # lane 0, whose positions are log numbers
    return 1


@inlined
def _wake_keeper(memory):
    """The log has grown: wake the keeper, if it sleeps. Where nobody waits for it, it naps instead."""
    fence_full()  # (F) pairs with (G) in keeper.writing: either it sees the new tail, or we see that it sleeps
    parked = memory.keeper_parked[0]
    if load_relaxed(parked, "parked") != 0 and exchange(parked, "parked", 0) != 0:
        futex_wake(memory.keeper_parked.ctypes.data)


@inlined
def _sweep_lane(memory, policy, outputs, log, session, tail):
    """Copy what the lane has, at most the budget, behind log number `tail`; returns how many."""
    if _is_blocked(memory, outputs, session):
        return 0
    state, private = memory.lane_state[session], memory.private[0]
    position, count, mask = state.position, 0, len(log.records) - 1
    if not has_command(memory.lanes[session], policy.lane_capacity, position):
        return 0
    _take_time(private)
    while count < policy.budget:
        record = log.words[(tail + count) & mask]
        if not take(memory.lanes[session], policy.lane_capacity, position, record):
            break
        record.number = (session << POSITION_BITS) | position
        record.time_ns = private.sweep_time_ns
        position += 1
        count += 1
    state.position = position
    return count


@inlined
def sweep(memory, policy, outputs, log):
    """Copy commands of all hot lanes into the log, move log.tail, then the lane heads; returns how many."""
    private, words = memory.private[0], memory.words[0]
    look_at_activity(memory)
    tail = words.log_tail
    behind = tail
    private.sweep_time_ns = 0
    hot_count = private.hot_count
    room = room_of(memory, policy, outputs, log)
    if private.admission_wanted != private.admission and room > 0:
        behind += _append_admit(memory, log, tail)
    index = private.rotation
    for _ in range(hot_count):
        if behind - tail + policy.budget > room:
            break  # the next sweep begins with the lane that had to wait
        index = index + 1 if index + 1 < hot_count else 0
        session = memory.hot[index]
        count = _sweep_lane(memory, policy, outputs, log, session, behind)
        state = memory.lane_state[session]
        state.idle_sweeps = 0 if count > 0 else state.idle_sweeps + 1
        behind += count
    private.rotation = index
    if behind == tail:
        if hot_count > 0 and memory.lane_state[memory.hot[index]].idle_sweeps > COOL_SWEEPS:
            _cool(memory, policy, index)
        return 0
    store_release(words, "log_tail", behind)
    for index in range(hot_count):
        session = memory.hot[index]
        store_release(memory.lane_heads[session], "head", memory.lane_state[session].position)
    if policy.answers_wait:
        _wake_keeper(memory)
    return behind - tail


@kernel
def look_at_all(memory, policy, outputs):
    """Look at ALL lanes, whatever their bits say, and heat those that have something.

    Returns NOTHING, BLOCKED (only lanes that may not submit) or READY.
    """
    found = NOTHING
    for session in range(1, len(memory.lane_state)):
        if has_command(memory.lanes[session], policy.lane_capacity, memory.lane_state[session].position):
            heat(memory, session)
            found = max(found, BLOCKED if _is_blocked(memory, outputs, session) else READY)
    return found


@kernel
def measure_depths(memory, policy):
    """How many commands wait in each hot lane, by bisection (a lane is filled without holes); returns the greatest."""
    greatest = 0
    for index in range(memory.private[0].hot_count):
        session = memory.hot[index]
        position = memory.lane_state[session].position
        low, high = 0, policy.lane_capacity
        while low < high:
            middle = (low + high) // 2
            if has_command(memory.lanes[session], policy.lane_capacity, position + middle):
                low = middle + 1
            else:
                high = middle
        store_release(memory.lane_heads[session], "depth", low)
        greatest = max(greatest, low)
    return greatest
