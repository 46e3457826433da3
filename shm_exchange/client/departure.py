"""The last command of a session whose process died: DISCONNECT, behind everything of the dead and before everything of whoever comes next.

Whoever finds the lock of a session free says it, supervisor or new owner: under the attach mutex, holding the dead session's lock, as an ordinary
command in its lane. What the lane holds last tells whether it is still to be said, so whoever is killed over it leaves it to the next. From then on
nobody reads this session's reports; so that its lane still drains, they no longer hold it back (REPORT_HEAD.abandoned), until a new owner comes.
"""

from __future__ import annotations

import time

import numpy as np

from shm_exchange.domain.enums import CommandKind
from shm_exchange.domain.errors import LaneFull
from shm_exchange.layout.records import kinds_word
from shm_exchange.layout.regions import Writer
from shm_exchange.ring.lane import new_producer, recover_position, submit
from shm_exchange.shm.segment import Records, Segment, attach

_DISCONNECT = kinds_word(kind=CommandKind.DISCONNECT)
_NAP_SECONDS = 0.0002


def depart(segment: Segment, number: int, patience: float) -> bool:
    """Say DISCONNECT for a session whose process is gone, if nobody has yet; whether it was said now. What its lane still holds is taken then.

    Caller: holds the attach mutex. Waits up to `patience` seconds for room in the lane, then raises LaneFull.
    """
    if segment.is_held(number) or not (_is_due(segment, number) or _is_stuck(segment, number)):
        return False
    with attach(segment.name, segment.directory, write=True, dead_ok=True, populate=False) as own:
        if own.generation != segment.generation or not own.try_lock(number):
            return False
        arrays = own.writable(Writer.GATEWAY, number)
        arrays["report_head"][0].abandoned = 1
        if not _is_due(own, number):
            return False
        _append(own, arrays, number, patience)
    return True


def _is_due(segment: Segment, number: int) -> bool:
    """Whether the session went without a word: its lane ends with something else than LOGOFF or DISCONNECT."""
    lane, head = segment.array("lane", number), segment.array("lane_heads")[number : number + 1]
    last = int(recover_position(lane, head)) - 1
    if last == 0:
        return False
    slot = lane[last & (len(lane) - 1)]
    if slot.number == last:
        return slot.kind not in (CommandKind.LOGOFF, CommandKind.DISCONNECT)
    return bool(segment.array("report_tails")[number].logged_on)  # a lane of a former term, of which only the log knows


def _is_stuck(segment: Segment, number: int) -> bool:
    """Whether commands wait in the lane, and perhaps for somebody to read reports."""
    lane, head = segment.array("lane", number), int(segment.array("lane_heads")[number].head)
    return bool(0 < head == lane[head & (len(lane) - 1)].number and not segment.array("report_head", number)[0].abandoned)


def _append(segment: Segment, own: dict[str, Records], number: int, patience: float) -> None:
    heads = segment.array("lane_heads")[number : number + 1]
    producer = new_producer(own["lane"], heads, own["activity"], own["parked"][:1], number)
    deadline = time.monotonic() + patience
    while not submit(producer.ctypes.data, 0, 0, 0, 0, np.int64(_DISCONNECT)):
        if time.monotonic() > deadline:
            raise LaneFull(f"the lane of session {number} of exchange {segment.name!r}, whose process died, is full and not taken from; try again")
        time.sleep(_NAP_SECONDS)
