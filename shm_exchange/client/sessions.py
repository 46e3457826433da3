"""When a session may log on, and which lane it gets.

A lane belongs to the process that holds its lock byte; the session's name stands in the lane's owner record.

Looked up and taken under the attach mutex, so two processes that ask at once get different lanes, or one of them is told who has it.
"""

from __future__ import annotations

import os
import time

import numpy as np

from shm_exchange.client.departure import depart
from shm_exchange.domain.errors import ExchangeNotFound, NoFreeSession, SessionInUse
from shm_exchange.domain.names import name_words
from shm_exchange.layout.headers import MATCHER_RUNNING
from shm_exchange.layout.regions import Writer
from shm_exchange.ring.lane import recover_position
from shm_exchange.shm.segment import Segment

_SETTLE_SECONDS = 0.5
_DEPART_SECONDS = 2.0
_NAP_SECONDS = 0.0002


def await_matcher(segment: Segment, deadline: float) -> None:
    """Wait until the matcher takes commands. Raises ExchangeNotFound."""
    words = segment.array("matcher")
    while words[0].state != MATCHER_RUNNING:
        check_deadline(segment, deadline)
        time.sleep(0.001)


def check_deadline(segment: Segment, deadline: float) -> None:
    """Raise ExchangeNotFound once a moment of CLOCK_MONOTONIC has passed."""
    if time.monotonic() > deadline:
        state = "does not answer" if segment.matcher_alive else "is not running"
        raise ExchangeNotFound(f"the matcher of exchange {segment.name!r} {state}; look with `shm-exchange status {segment.name}`")


def take_session(segment: Segment, session: str, account: str) -> tuple[int, dict[str, np.recarray]]:
    """Lock the lane of a session, by its name; returns the lane number and its writable arrays. Raises SessionInUse, NoFreeSession, LaneFull."""
    with segment.attach_mutex():
        number = _find(segment, session)
        fresh = number is None
        if number is None:
            number = _free_lane(segment)
        else:
            depart(segment, number, _DEPART_SECONDS)
        if not segment.holds(number) and not segment.try_lock(number):
            pid = int(segment.array("owner", number)[0].pid)
            raise SessionInUse(f"session {session!r} is held by process {pid}, which is alive: close that gateway, or use another session name")
        own = segment.writable(Writer.GATEWAY, number)
        _write_owner(segment, own, number, session, account, fresh=fresh)
    return number, own


def _find(segment: Segment, session: str) -> int | None:
    """The lane that carries this session's name, as its owners wrote it, or as the log knows it from a former term."""
    wanted, words = session.encode("ascii"), name_words(session)
    tails = segment.array("report_tails")
    for number in range(1, segment.config.max_sessions + 1):
        owner = bytes(segment.array("owner", number)[0].session)
        if owner == wanted or (not owner and (tails[number].name_low, tails[number].name_high) == words):
            return number
    return None


def _free_lane(segment: Segment) -> int:
    """Lock a lane that never had an owner, else one whose owner is gone and left nothing open; returns its number.

    Where the last words of the dead are on their way, such as the DISCONNECT that was just said for them, the matcher is given a moment.
    """
    sessions = range(1, segment.config.max_sessions + 1)
    tails = segment.array("report_tails")
    unused = [number for number in sessions if not segment.array("owner", number)[0].session and not tails[number].name_low]
    deadline = time.monotonic() + _SETTLE_SECONDS
    while True:
        is_worth_waiting = False
        for number in [*unused, *(number for number in sessions if number not in unused)]:
            depart(segment, number, _DEPART_SECONDS)
            if not segment.try_lock(number):
                continue
            if not _is_taken(segment, number):  # asked under the lock: its last holder can no longer submit
                is_worth_waiting = True
            elif _is_settled(segment, number):
                return number
            segment.release(number)
        if not is_worth_waiting or not segment.matcher_alive or time.monotonic() > deadline:
            break
        time.sleep(_NAP_SECONDS)
    raise NoFreeSession(
        f"all {segment.config.max_sessions} sessions of exchange {segment.name!r} are taken, by living gateways or by open orders; "
        "start the exchange with a greater max_sessions, or attach as one of its sessions"
    )


def _is_taken(segment: Segment, number: int) -> bool:
    """Nothing waits in the lane."""
    head = segment.array("lane_heads")[number : number + 1]
    return int(recover_position(segment.array("lane", number), head)) == int(head[0].head)


def _is_settled(segment: Segment, number: int) -> bool:
    """Nothing of the lane is being matched, and nothing of it rests in a book: another session may have it. Caller: found that nothing waits in it.

    The three are asked in the order of a command's way, so one that moves on meanwhile is met at its next place: the head is stored when a
    command is in the log, `commands` when everything up to there is applied and published, open orders included.
    """
    if not _has_applied(segment, int(segment.array("matcher")[0].log_tail)):
        return False
    return not segment.array("report_tails")[number].open_orders


def _has_applied(segment: Segment, logged: int) -> bool:
    """Whether the matcher has got as far as the log stands now: on a busy exchange that takes it a moment."""
    counters, deadline = segment.array("counters"), time.monotonic() + _SETTLE_SECONDS
    while int(counters[0].commands) < logged:
        if not segment.matcher_alive or time.monotonic() > deadline:
            return False
        time.sleep(_NAP_SECONDS)
    return True


def _write_owner(segment: Segment, own: dict[str, np.recarray], number: int, session: str, account: str, *, fresh: bool) -> None:
    """Say who owns the lane now. A new session does not see what was reported to the lane's last one, nor one of a new term what was before it."""
    owner, head = own["owner"][0], own["report_head"][0]
    if fresh or head.head == 0:
        head.head = segment.array("report_tails")[number].tail
    head.abandoned = 0
    owner.session, owner.account = session.encode("ascii"), account.encode("ascii")
    owner.pid, owner.started_ns = os.getpid(), time.time_ns()
    owner.attached += 1
