"""Replays a flow against a running exchange: the file's commands, in the file's order, by a gateway for each of its sessions.

A lane keeps the order of one session; what the file says across sessions is kept by waiting: before another session speaks, the last command of the
one before it has been answered. With times and a speed the loop is open: every command has a planned moment that nothing moves, and how late each
was submitted is part of the outcome. Reports are taken all the while, since who does not read is not served.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import NamedTuple

import numpy as np

from shm_exchange.client.gateway import Gateway
from shm_exchange.domain.enums import EventKind, RejectReason, Role
from shm_exchange.domain.errors import ConfigError, ExchangeError
from shm_exchange.domain.limits import POSITION_BITS
from shm_exchange.layout.records import REPORT
from shm_exchange.participants.flow import fence_command
from shm_exchange.protocol.flow import Flow, Numbers, Records

Tell = Callable[[int], None]
AfterRow = Callable[[int], None]

CHUNK = 512
"""Commands submitted between two looks at the reports."""
_SHARE_UNREAD = 8
"""A report ring may fill up to this part of it before also the sessions that are silent take their reports."""
_NAP_SECONDS = 0.001
_NEAR_NS = 200_000
"""So close to a planned moment we stay awake."""
_LOOK_NS = 500_000_000
_TELL_NS = 100_000_000


class Outcome(NamedTuple):
    """What became of a flow."""

    commands: int
    """Those of the file's rows, submitted from the first planned moment on."""
    seconds: float
    """From the first of them to the answer to the last."""
    reports: int
    kinds: dict[EventKind, int]  # reports of each kind
    rejects: dict[str, int]  # reason -> commands refused
    trades: int  # matches in which a command of ours came in
    traded_quantity: int  # lots of them
    lateness_ns: Numbers | None  # i8[commands]: submitted so long after the planned moment; None at full speed
    command_ids: Numbers  # i8[n]: id of every command of the flow
    fills: Records  # REPORT[m], EXECUTED, of all sessions, if they were to be kept


def replay(
    exchange: str,
    flow: Flow,
    *,
    speed: float = 0.0,
    after_row: AfterRow | None = None,
    rows: int = 0,
    keep_fills: bool = False,
    tell: Tell = lambda _: None,
) -> Outcome:
    """Submit a flow and take everything that is reported about it.

    speed: times as fast as the file's clock; 0 = as fast as it goes. after_row(k): called when everything up to row k has been matched and published,
    for every row from 0 to rows - 1; the replay then goes row by row. tell: hears now and then how many commands are submitted. What earlier
    holders of these sessions left open is canceled first. Raises ConfigError, ExchangeError when the matcher dies.
    """
    if speed and flow.time_ns is None:
        raise ConfigError("this file tells no times, so it has no speed to be multiplied; leave --speed out")
    with ExitStack() as stack:
        gateways = [stack.enter_context(Gateway.attach(exchange, session=name, lane_full="drop")) for name in flow.sessions]
        replaying = _Replaying(gateways, flow, speed, keep_fills, tell)
        replaying.clear()
        replaying.run(after_row, rows)
        return replaying.outcome()


class _Replaying:
    def __init__(self, gateways: list[Gateway], flow: Flow, speed: float, keep_fills: bool, tell: Tell) -> None:
        self._gateways, self._flow, self._tell, self._keep = gateways, flow, tell, keep_fills
        self._planned: Numbers | None = None
        if speed and flow.time_ns is not None and len(flow.time_ns):
            self._planned = np.rint((flow.time_ns - flow.time_ns[0]) / speed).astype(np.int64)
        self._seeds = int(np.searchsorted(flow.rows, 0))
        self._ids = np.zeros(len(flow.commands), np.int64)
        self._late = np.zeros(len(flow.commands), np.int64)
        self._kinds, self._reasons = np.zeros(256, np.int64), np.zeros(256, np.int64)
        self._reports = self._trades = self._traded = 0
        self._fills: list[Records] = [np.zeros(0, REPORT)]
        self._answered = [0] * len(gateways)
        """Per session the newest command whose answer was taken: commands of a lane are answered in order."""
        self._unread, self._unread_most = 0, min(len(gateway.rings()[2]) for gateway in gateways) // _SHARE_UNREAD
        self._began_ns = self._ended_ns = 0
        self._looked_ns = self._told_ns = time.monotonic_ns()

    def clear(self) -> None:
        """Cancel what earlier holders of the sessions left open, and forget the reports about it."""
        for number, gateway in enumerate(self._gateways):
            self._await_answer(number, gateway.mass_cancel())
        self._kinds[:] = self._reasons[:] = 0
        self._reports = self._trades = self._traded = 0

    def run(self, after_row: AfterRow | None, rows: int) -> None:
        """Submit everything: first what was there before the first row, then from the first planned moment on what the rows say."""
        flow, looked = self._flow, 0
        for start, stop in self._stretches(0, self._seeds, by_row=False):
            self._send(start, stop, paced=False)
        self._began_ns = time.monotonic_ns()
        for start, stop in self._stretches(self._seeds, len(flow.commands), by_row=after_row is not None):
            if after_row is not None:
                looked = self._look(after_row, looked, int(flow.rows[start]))
            self._send(start, stop, paced=self._planned is not None)
        self._ended_ns = time.monotonic_ns()
        if after_row is not None:
            self._look(after_row, looked, rows)
        self._fence()

    def outcome(self) -> Outcome:
        """The figures, once all is done."""
        kinds = {kind: int(self._kinds[kind]) for kind in EventKind if self._kinds[kind]}
        rejects = {reason.name: int(self._reasons[reason]) for reason in RejectReason if self._reasons[reason]}
        late = self._late[self._seeds :] if self._planned is not None else None
        commands, seconds = len(self._ids) - self._seeds, (self._ended_ns - self._began_ns) / 1e9
        fills = np.concatenate(self._fills)
        return Outcome(commands, seconds, self._reports, kinds, rejects, self._trades, self._traded, late, self._ids, fills)

    def _stretches(self, first: int, last: int, *, by_row: bool) -> list[tuple[int, int]]:
        """(start, stop) of what one session says without being interrupted; `by_row`: within one row."""
        if first == last:
            return []
        sessions, rows = self._flow.session_of[first:last], self._flow.rows[first:last]
        turns = sessions[1:] != sessions[:-1]
        if by_row:
            turns |= rows[1:] != rows[:-1]
        ends = [*(first + 1 + np.flatnonzero(turns)).tolist(), last]
        return list(zip([first, *ends[:-1]], ends, strict=True))

    def _look(self, after_row: AfterRow, looked: int, until: int) -> int:
        """Let the caller look at the book after every row that is complete."""
        for row in range(looked, until):
            after_row(row)
        return max(looked, until)

    def _send(self, start: int, stop: int, *, paced: bool) -> None:
        """Submit commands start … stop - 1, all of one session, and await the answer to the last of them."""
        number = int(self._flow.session_of[start])
        gateway, commands = self._gateways[number], self._flow.commands
        while start < stop:
            until = self._due(start, stop) if paced else stop
            until = min(until, start + min(CHUNK, self._unread_most))
            now = time.monotonic_ns()
            batch = gateway.submit_many(commands[start:until])
            if paced and self._planned is not None:
                self._late[start : start + batch.submitted] = now - self._began_ns - self._planned[start : start + batch.submitted]
            self._ids[start : start + batch.submitted] = batch.first_id + np.arange(batch.submitted)
            start += batch.submitted
            self._unread += batch.submitted
            self._take(number)
            if not batch.submitted:  # the lane is full
                self._rest(number)
            if self._unread > self._unread_most:
                self._take_all()
            self._breathe(start)
        self._await_answer(number, int(self._ids[stop - 1]))

    def _due(self, start: int, stop: int) -> int:
        """The end of what is due now; waits until at least one command is."""
        assert self._planned is not None
        while True:
            now = time.monotonic_ns() - self._began_ns
            left = int(self._planned[start]) - now
            if left <= 0:
                return start + int(np.searchsorted(self._planned[start:stop], now, side="right"))
            if left > 2 * _NEAR_NS:
                self._take_all()
                self._breathe(start)
                left = min(int(self._planned[start]) - (time.monotonic_ns() - self._began_ns) - _NEAR_NS, 50_000_000)
                time.sleep(max(0, left) / 1e9)
            else:
                os.sched_yield()

    def _await_answer(self, number: int, command_id: int) -> None:
        """Take reports until the command of that id is answered."""
        while self._answered[number] < command_id:
            if not self._take(number):
                self._rest(number)
        if self._unread > self._unread_most:
            self._take_all()

    def _take(self, number: int) -> int:
        """Take what was reported to a session; returns how much."""
        reports = self._gateways[number].poll_array()
        if not len(reports):
            return 0
        executed = reports["kind"] == EventKind.EXECUTED
        answers = reports["cause_id"][~executed]
        if len(answers):
            own = answers[answers >> POSITION_BITS == self._gateways[number].number]
            self._answered[number] = max(self._answered[number], int(own.max(initial=0)))
        self._count(reports, executed)
        return len(reports)

    def _count(self, reports: Records, executed: Numbers) -> None:
        self._reports += len(reports)
        self._kinds += np.bincount(reports["kind"], minlength=256)
        self._reasons += np.bincount(reports["reason"][reports["kind"] == EventKind.REJECTED], minlength=256)
        incoming = executed & (reports["role"] == Role.INCOMING)
        self._trades += int(incoming.sum())
        self._traded += int(reports["quantity"][incoming].sum())
        if self._keep and executed.any():
            self._fills.append(reports[executed])

    def _take_all(self) -> None:
        self._unread = 0
        for number in range(len(self._gateways)):
            while self._take(number):
                continue

    def _rest(self, number: int) -> None:
        """Nothing to do: free all report rings, sleep until a report comes, and look now and then whether there is still a matcher."""
        if self._gateways[number].wait(_NAP_SECONDS):
            return
        self._take_all()
        now = time.monotonic_ns()
        if now - self._looked_ns > _LOOK_NS:
            self._looked_ns = now
            gateway = self._gateways[number]
            if gateway.matcher_lost:
                raise ExchangeError(
                    f"the matcher of exchange {gateway.name!r} ended during the replay; look with `shm-exchange status {gateway.name}`"
                )

    def _breathe(self, done: int) -> None:
        """Tell how far we are, not too often."""
        now = time.monotonic_ns()
        if now - self._told_ns > _TELL_NS:
            self._told_ns = now
            self._tell(done)

    def _fence(self) -> None:
        """A last command of every session, not counted, behind whose answer nothing about the flow can come any more."""
        for number, gateway in enumerate(self._gateways):
            self._await_answer(number, gateway.submit_many(fence_command()).first_id)
        refused = len(self._gateways)
        self._kinds[EventKind.REJECTED] -= refused
        self._reasons[RejectReason.UNKNOWN_ORDER] -= refused
        self._reports -= refused
        self._tell(len(self._ids))
