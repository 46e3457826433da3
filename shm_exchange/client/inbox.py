"""One session's report ring as its owner reads it: reports in number order, each delivered once, waited for without burning a core.

A report counts as delivered at the next `poll`: a gateway killed while it handles one gets it again under the same number. Numbers that the ring
had no room for were skipped by the matcher, which waits for nobody; what they said is derived from the journal, by the rules that led to them.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Sequence
from functools import partial

import numpy as np

from shm_exchange.client import derived
from shm_exchange.client.plain import Records, plain, rows
from shm_exchange.client.report import Report
from shm_exchange.client.sleeper import BURST, SLICE_NS, Sleeper
from shm_exchange.client.waiting import park_for_report, unpark
from shm_exchange.domain.errors import ConfigError, ReportsLost
from shm_exchange.layout.records import REPORT
from shm_exchange.ring.reports import READER, acknowledge, await_report, take_reports
from shm_exchange.shm.segment import Records as Shared
from shm_exchange.shm.segment import Segment

PARK_SECONDS = 0.05
_SPIN_POLLS = 2000
_NONE = (0, 0)


class Inbox:
    """The reading half of a gateway. Not for several threads at once."""

    def _open_inbox(self, segment: Segment, number: int, own: dict[str, Shared]) -> None:
        """Lay our end over the session's report ring. `own`: what the gateway of session `number` may write."""
        self._segment, self.number = segment, number
        self._instruments = list(segment.config.instruments)
        capacity = segment.config.report_capacity
        reports = segment.array("reports")[(number - 1) * capacity : number * capacity]
        self._head, self._parked = plain(own["report_head"]), plain(own["parked"][number : number + 1])
        self._reports, self._tail = plain(reports), plain(segment.array("report_tails")[number : number + 1])
        self._reader = np.zeros(1, READER)
        self._reader["next_report"] = self._head["head"]
        self._buffer = np.zeros(min(capacity, 4096), REPORT)
        self._derived, self._missing, self._is_gap = np.zeros(0, REPORT), _NONE, False
        self._control = plain(segment.array("control"))
        place = (self._reader, self._reports, self._tail)
        sleep = partial(park_for_report, *place, self._parked, SLICE_NS)
        self._sleeper = Sleeper(segment, self._is_there, sleep, partial(unpark, self._parked))

    def poll(self, limit: int = 4096) -> list[Report]:
        """Take the reports that are there, in number order; earlier ones are hereby delivered. Raises ReportsLost once for every gap."""
        return [Report(row, self._instruments) for row in rows(self._take(limit))]

    def poll_array(self, limit: int = 4096) -> Records:
        """Like `poll`, as a copy of the REPORT records: ticks, lots and numbers."""
        return self._take(limit).copy()

    def ack(self) -> None:
        """Everything polled so far is delivered: it will not come again, and its room is free."""
        acknowledge(self._reader, self._head)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until a report is there, at most `timeout` seconds (None: for ever); whether one is. Sleeps without burning a core.

        Whoever waits has handled what was polled: it is hereby delivered, as by `ack`.
        """
        acknowledge(self._reader, self._head)
        if self._is_pending() or await_report(self._reader, self._reports, self._tail, self._spin_polls):
            return True
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            left = PARK_SECONDS if deadline is None else min(PARK_SECONDS, deadline - time.monotonic())
            if left <= 0:
                return False
            if park_for_report(self._reader, self._reports, self._tail, self._parked, int(left * 1e9)):
                return True

    async def wait_async(self) -> bool:
        """`wait` for an event loop, which goes on meanwhile: whether a report is there; False once the gateway was closed or the exchange is gone.

        One task may wait at a time. `asyncio.timeout` bounds it.
        """
        acknowledge(self._reader, self._head)
        return await self._sleeper.wait()

    async def reports(self) -> AsyncGenerator[Report, None]:
        """Every report as it comes, in number order; ends when the gateway is closed or the exchange gone. Raises ReportsLost, then ask again.

        A report is delivered when the next one is asked for: leaving the loop loses none. Who is slow holds up nobody but this session.
        """
        from asyncio import sleep

        sleeper = self._sleeper
        while await sleeper.wait():
            for _ in range(BURST):
                if sleeper.ended or not (next_one := self.poll(1)):
                    break
                yield next_one[0]
            await sleep(0)

    def waiting_words(self) -> tuple[Records, Records]:
        """For kernels of your own that wait: (PARKED[1] of this session, to sleep on; CONTROL[1], whose `spin_polls` says whether to spin)."""
        return self._parked, self._control

    @property
    def _spin_polls(self) -> int:
        """Where the matcher spins, processes have cores of their own, and we may spin too."""
        return _SPIN_POLLS if self._control["spin_polls"][0] else 1

    def _resume_from(self, number: int | Sequence[int]) -> None:
        """Begin with that report, whatever was acknowledged. Raises ConfigError for one that is still to come."""
        tail = int(self._tail["tail"][0])
        if not isinstance(number, int) or not 1 <= number <= tail:
            raise ConfigError(f"resume_from must be the number of a report that exists, or of the next one: 1 to {tail}, not {number!r}")
        head = int(self._reader["next_report"][0])
        if number < head:  # slots below the head are the matcher's again, whatever they still seem to hold
            self._missing, self._is_gap = (number, head - 1), False
        else:
            self._reader["next_report"] = number

    def _is_there(self) -> bool:
        """Whether a poll would return anything."""
        return self._is_pending() or bool(await_report(self._reader, self._reports, self._tail, 1))

    def _is_pending(self) -> bool:
        """Whether something is to be derived before the ring is read again."""
        return len(self._derived) > 0 or self._missing != _NONE

    def _take(self, limit: int) -> Records:
        acknowledge(self._reader, self._head)
        if not self._is_pending():
            count = take_reports(self._reader, self._reports, self._tail, self._buffer[:limit])
            own = self._reader[0]
            if not own["lost_first"]:
                return self._buffer[:count]
            self._missing, self._is_gap = (int(own["lost_first"]), int(own["lost_last"])), True
        return self._take_derived(limit)

    def _take_derived(self, limit: int) -> Records:
        """The next of what the ring does not hold. What is not handed out yet is not acknowledged. Raises ReportsLost, once."""
        first, last = self._missing
        if not len(self._derived):
            try:
                self._derived = derived.reports(self._segment, self.number, first, last)
            except ReportsLost:
                self._missing = _NONE
                raise
        taken, self._derived = self._derived[:limit], self._derived[limit:]
        following = int(taken["number"][-1]) + 1
        self._missing = (following, last) if following <= last else _NONE
        if self._is_gap:
            self._reader["next_report"] = following
        return taken
