"""One session's end of the exchange: its lane, its report ring, and its life from logon to close. `client.gateway` says orders on top of it.

Submitting returns at once: a command is in the lane (and will be matched, whatever becomes of this process) or an error was raised and it is not.
What became of it comes as reports: `client.inbox`.
"""

from __future__ import annotations

import logging
import os
import time
import weakref
from collections.abc import Sequence
from operator import index as whole
from typing import Any, NamedTuple, Self

import numpy as np

from shm_exchange._jit import freeze
from shm_exchange.client.inbox import PARK_SECONDS, Inbox
from shm_exchange.client.plain import Records, plain
from shm_exchange.client.sessions import await_matcher, check_deadline, take_session
from shm_exchange.client.waiting import park_for_report
from shm_exchange.domain.enums import CommandKind, EventKind, Flag, RejectReason
from shm_exchange.domain.errors import (
    ConfigError,
    ExchangeError,
    HandleClosed,
    LaneFull,
    PriceError,
    QuantityError,
)
from shm_exchange.domain.instrument import Number
from shm_exchange.domain.limits import POSITION_BITS
from shm_exchange.domain.names import checked_name, name_words, nearest
from shm_exchange.layout.headers import REPORT_HEAD
from shm_exchange.layout.records import COMMAND, COMMAND_WORDS, kinds_word
from shm_exchange.ring.lane import await_room, new_producer, submit, submit_many
from shm_exchange.ring.reports import READER, acknowledge, await_report, take_reports
from shm_exchange.runtime.interactive import is_interactive
from shm_exchange.runtime.warm import ensure_warm
from shm_exchange.shm.segment import Segment, attach

POSITION_MASK = (1 << POSITION_BITS) - 1
_LOGON, _LOGOFF = (kinds_word(kind=kind) for kind in (CommandKind.LOGON, CommandKind.LOGOFF))
_CANCEL_ON_DISCONNECT = kinds_word(modifiers=Flag.CANCEL_ON_DISCONNECT)
_WORD = 1 << 63
_log = logging.getLogger(__name__)
_LANE_FULL = ("block", "raise", "drop")


class Wishes(NamedTuple):
    """How a gateway wants to be served: see `Gateway.attach`."""

    lane_full: str = "block"
    block_seconds: float = 1.0
    timeout: float = 5.0
    cancel_on_disconnect: bool = False
    resume_from: int | Sequence[int] | None = None


class Batch(NamedTuple):
    """What `submit_many` did: ids run from `first_id` without a gap."""

    first_id: int
    submitted: int


_open: weakref.WeakSet[Endpoint] = weakref.WeakSet()


def _poison_in_child() -> None:
    """A forked child has no lane: its mapping was not inherited, and the lock is its parent's."""
    for endpoint in list(_open):
        endpoint._disable("it was opened before a fork and belongs to the parent process; attach a gateway of your own")  # noqa: SLF001


os.register_at_fork(after_in_child=_poison_in_child)


class Endpoint(Inbox):
    """A lane and a report ring. Not for several threads at once: a lane has one producer."""

    def __init__(self, name: str, session: str, account: str, wishes: Wishes) -> None:
        """See `Gateway.attach`."""
        self.name, self.session, self.account = name, checked_name(session, "session"), checked_name(account, "account")
        policy = wishes.lane_full
        if policy not in _LANE_FULL:
            raise ConfigError(f"lane_full must be one of {', '.join(_LANE_FULL)}, not {policy!r}{nearest(policy, _LANE_FULL)}")
        self._dropped = 0
        self._lane_full, self._block_seconds = policy, wishes.block_seconds
        self._logon = _LOGON + (_CANCEL_ON_DISCONNECT if wishes.cancel_on_disconnect else 0)
        give_way(name, session)
        segment = attach(name, write=True, timeout=wishes.timeout)
        ensure_warm()
        deadline = time.monotonic() + wishes.timeout
        await_matcher(segment, deadline)
        self._open_rings(segment)
        if wishes.resume_from is not None:
            self._resume_from(wishes.resume_from)
        enroll(self)
        self._log_on(deadline)
        _log.debug("session %r is attached to exchange %r as number %d", session, name, self.number)
        freeze(submit)  # a word that is no int64 is refused, instead of quietly compiling a kernel for it

    def _open_rings(self, segment: Segment) -> None:
        """Take the session's lane and lay our own ends over it."""
        number, own = take_session(segment, self.session, self.account)
        self._open_inbox(segment, number, own)
        self._lane_id = self.number << POSITION_BITS
        its_own = slice(number, number + 1)
        self._producer_record = new_producer(own["lane"], segment.array("lane_heads")[its_own], own["activity"], own["parked"][:1], self.number)
        self._producer: int = self._producer_record.ctypes.data
        self._lane = plain(own["lane"])

    def submit_many(self, commands: Records) -> Batch:
        """Submit COMMAND records in one call, with one fence for all. Returns the first id and how many went in.

        `number` and `time_ns` need not be set. With lane_full="block" all go in or LaneFull is raised, whose text says how many did.
        """
        words = checked_commands(commands)
        first = self._lane_id | int(self._producer_record[0].position)
        count = submit_many(self._producer, words, 0)
        deadline = time.monotonic() + self._block_seconds
        while count < len(words) and self._lane_full == "block":
            if not self._await_room(deadline):
                raise self._full(f"{count} of {len(words)} commands were submitted")
            added = submit_many(self._producer, words, count)
            count += added
            deadline = time.monotonic() + self._block_seconds if added else deadline
        if count < len(words) and self._lane_full == "raise":
            raise self._full(f"{count} of {len(words)} commands were submitted")
        self._dropped += len(words) - count
        return Batch(first, int(count))

    def rings(self) -> tuple[int, Records, Records, Records, Records]:
        """For kernels of your own: (address of the PRODUCER, READER[1], REPORT[capacity], REPORT_TAIL[1], REPORT_HEAD[1])."""
        return self._producer, self._reader, self._reports, self._tail, self._head

    @property
    def submitted(self) -> int:
        """Commands this handle has put into its lane."""
        return int(self._producer_record[0].submitted)

    @property
    def dropped(self) -> int:
        """Commands that found the lane full and were dropped, where that is the policy."""
        return self._dropped

    @property
    def matcher_alive(self) -> bool:
        """Whether a matcher lives: the kernel's word, not a guess from time."""
        return self._segment.matcher_alive

    @property
    def matcher_lost(self) -> bool:
        """Whether the matcher is dead and none will take its place; until then it is worth waiting."""
        return self._segment.matcher_lost

    def close(self) -> None:
        """Log off and give the session's lane back; open orders stay. Again is harmless."""
        self._sleeper.end()
        self._head["abandoned"] = 1  # what lies in the lane is taken, LOGOFF included, however many reports we have not read
        if not submit(self._producer, 0, 0, 0, 0, _LOGOFF) and self._await_room(time.monotonic() + self._block_seconds):
            submit(self._producer, 0, 0, 0, 0, _LOGOFF)
        acknowledge(self._reader, self._head)
        self._segment.close()
        _log.debug("session %r of exchange %r is closed after %d commands", self.session, self.name, self.submitted)
        self._disable("it was closed, or a newer one of its session took its place")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _send(self, order_id: int, client_order_id: int, price_ticks: int, lots: int, kinds: int) -> int:
        try:
            position = submit(self._producer, whole(order_id), client_order_id, price_ticks, lots, kinds)
        except OverflowError:
            raise too_large(price_ticks, lots) from None
        return self._lane_id | position if position else self._when_full(order_id, client_order_id, price_ticks, lots, kinds)

    def _when_full(self, order_id: int, client_order_id: int, price_ticks: int, lots: int, kinds: int) -> int:
        """The lane-full policy."""
        if self._lane_full == "drop":
            self._dropped += 1
            return 0
        if self._lane_full == "raise" or not self._await_room(time.monotonic() + self._block_seconds):
            raise self._full("the command was not submitted")
        return self._lane_id | int(submit(self._producer, order_id, client_order_id, price_ticks, lots, kinds))

    def _await_room(self, deadline: float) -> bool:
        """Spin, yield, sleep until the lane has room or the deadline passes."""
        naps = 0
        while not await_room(self._producer, self._spin_polls):
            if time.monotonic() >= deadline:
                return False
            if naps < 50:
                os.sched_yield()
            else:
                time.sleep(0.0002)
            naps += 1
        return True

    def _full(self, what: str) -> LaneFull:
        if self.matcher_alive:
            why = "the matcher is alive but does not keep up, or this session's reports are not polled"
        else:
            why = "the matcher is dead" if self.matcher_lost else "the matcher has died, and another takes over in a moment"
        return LaneFull(f"the lane of session {self.session!r} is full and {what}: {why}; poll reports, slow down, or use a larger lane_capacity")

    def _log_on(self, deadline: float) -> None:
        """Bind session and account, and wait for the answer; reports of an earlier holder of the session stay to be polled.

        Who has half a ring of them unread is not served until it reads: then the answer comes among the reports.
        """
        low, high = name_words(self.session)
        account_low, account_high = name_words(self.account)
        position = int(submit(self._producer, low, high, account_low, account_high, self._logon))
        if not position:
            position = self._when_full(low, high, account_low, account_high, self._logon) & POSITION_MASK
        ahead = self._reader.copy()
        while int(self._tail["tail"][0]) - int(self._head["head"][0]) <= len(self._reports) // 2:
            for row in self._buffer[: take_reports(ahead, self._reports, self._tail, self._buffer)]:
                if row["cause_id"] == self._lane_id | position and row["kind"] in (EventKind.LOGGED_ON, EventKind.REJECTED):
                    self._logged_on(row)
                    return
            if not await_report(ahead, self._reports, self._tail, self._spin_polls):
                check_deadline(self._segment, deadline)
                park_for_report(ahead, self._reports, self._tail, self._parked, int(PARK_SECONDS * 1e9))

    def _logged_on(self, answer: np.void) -> None:
        """Take the answer out of the stream if nothing older waits in front of it."""
        if self._reader["next_report"] == answer["number"]:
            self._reader["next_report"] = answer["number"] + 1
        if answer["kind"] == EventKind.REJECTED:
            reason = RejectReason(int(answer["reason"])).name
            refused = ExchangeError(
                f"session {self.session!r} was refused for account {self.account!r}: {reason}; its open orders may belong to another account, "
                "or all accounts are taken: use the account it had, or another session"
            )
            self.close()
            raise refused

    def _disable(self, why: str) -> None:
        """Turn this handle into one that raises HandleClosed whatever is asked of it."""
        _open.discard(self)
        self.__dict__["_why"] = why
        self.__class__ = _DisabledEndpoint


class _DisabledEndpoint(Endpoint):
    """A gateway that was closed, or that a fork copied."""

    def __getattribute__(self, name: str) -> Any:
        if name in ("close", "__class__", "__dict__", "__exit__", "__enter__", "__weakref__", "__del__"):
            return object.__getattribute__(self, name)
        why = object.__getattribute__(self, "__dict__")["_why"]
        raise HandleClosed(f"this gateway cannot be used: {why}")

    def close(self) -> None:
        """Already closed."""


def give_way(name: str, session: str) -> None:
    """Where people try things out, close the gateway that an earlier run of the same cell opened in this process."""
    for endpoint in list(_open) if is_interactive() else ():
        if (endpoint.name, endpoint.session) == (name, session):
            endpoint.close()


def enroll(endpoint: Endpoint) -> None:
    """Let a forked child find it unusable, and a cell that is run again close it."""
    _open.add(endpoint)


def checked_commands(commands: Records) -> Records:
    """COMMAND records as COMMAND_WORDS, one behind the other. Raises ConfigError."""
    if not isinstance(commands, np.ndarray) or commands.dtype not in (COMMAND, COMMAND_WORDS) or commands.ndim != 1:
        raise ConfigError("submit_many takes a one-dimensional array of COMMAND records (shm_exchange.layout.records.COMMAND)")
    return np.ascontiguousarray(plain(commands)).view(COMMAND_WORDS)


def load_kernels() -> None:
    """Take from numba the quarter of a second that its first kernel costs in every process. Caller: the cache is warm."""
    acknowledge(np.zeros(1, READER), np.zeros(1, REPORT_HEAD))


def too_large(price_ticks: int, quantity: Number) -> ExchangeError:
    """Which of the words of a command is none."""
    if not -_WORD <= price_ticks < _WORD:
        return PriceError(f"{price_ticks} ticks do not fit a 64-bit word; no instrument allows more than 2^52")
    if not -_WORD <= int(quantity) < _WORD:
        return QuantityError(f"{quantity} lots do not fit a 64-bit word; an order may have 2^40 - 1 at most")
    return ConfigError("order_id does not fit a 64-bit word; use the one that the submitting call returned")
