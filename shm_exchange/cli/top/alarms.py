"""What is wrong with an exchange, in words: what, why, what to do. The worst first. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple

from shm_exchange.cli.top.reading import Reading
from shm_exchange.cli.top.rows import Lane, Participant

_LANE_FULL = 0.9
_UNREAD_LIMIT = 0.5
"""Beyond half a ring of unread reports the matcher does not serve the session."""
_POOL_FULL = 0.9
_RING_FULL = 0.9
_LATE_SECONDS = 1.0
"""A matcher shows its heartbeat at least ten times a second, when it gets a core."""


class Severity(IntEnum):
    """How much it matters."""

    NOTE = 1
    """Worth knowing when figures are judged."""
    WARNING = 2
    """Somebody waits, or will."""
    ERROR = 3
    """Nothing is matched, or something was lost."""


class Alarm(NamedTuple):
    """One line of trouble."""

    severity: Severity
    text: str


def alarms(reading: Reading, rows: list[Participant]) -> list[Alarm]:
    """All that is wrong now."""
    found = [*_of_matcher(reading, rows), *_of_keeper(reading), *_of_lanes(reading, rows), *_of_memory(reading), *_of_cores(reading, rows)]
    return sorted(found, key=lambda alarm: -alarm.severity)


def _of_matcher(reading: Reading, rows: list[Participant]) -> Iterator[Alarm]:
    status, name = reading.status, reading.config.name
    age = status["heartbeat_age_seconds"]
    matcher = next(row for row in rows if row.role == "matcher")
    if not reading.is_current:
        yield Alarm(Severity.ERROR, f"exchange {name} has ended and its memory was removed: this is the last look at it; if it comes back, we follow")
        return
    if status["matcher"] == "stopped":
        yield Alarm(Severity.ERROR, f"the matcher has ended as it was told to: this is its last state; remove it with `shm-exchange clean {name}`")
    elif status["matcher"] == "dead":
        when = f" {age_text(age)} ago" if age is not None else ""
        cure = "stop" if status["supervisor_alive"] else "clean"
        text = f"the matcher (process {matcher.pid}) is dead: this is its last true state, left{when}; end it with `shm-exchange {cure} {name}`"
        yield Alarm(Severity.ERROR, text)
    elif matcher.process.state == "stopped":
        yield Alarm(
            Severity.ERROR, f"the matcher is stopped by a signal: nothing is matched, nothing is lost; let it go on with `kill -CONT {matcher.pid}`"
        )
    elif age is not None and age > _LATE_SECONDS:
        yield Alarm(Severity.ERROR, f"the matcher has not looked at its lanes for {age_text(age)}: it lives, but does not get a core")
    if reading.is_live and not status["supervisor_alive"]:
        yield Alarm(Severity.NOTE, "there is no supervisor: the matcher runs on by itself, and nobody would say so if it died")


def _of_keeper(reading: Reading) -> Iterator[Alarm]:
    journal = reading.status["journal"]
    if journal is None or not reading.is_live:
        return
    if journal["keeper"] not in ("running", "starting"):
        why = f": {journal['error']}" if journal["error"] else ""
        yield Alarm(Severity.ERROR, f"the keeper (process {journal['keeper_pid']}) is {journal['keeper']}{why}; the log ring fills, then the lanes")
    if journal["diverged"]:
        yield Alarm(Severity.ERROR, f"the matcher's state is not what its log leads to, since number {journal['diverged']:,} at the latest: stop it")
    if journal["admission"] == "reducing":
        yield Alarm(Severity.WARNING, f"the disk of {journal['directory']} is nearly full: only cancels and reduces are admitted; make room")
    elif journal["admission"] == "none":
        yield Alarm(Severity.ERROR, f"the disk of {journal['directory']} is full: nothing is admitted any more; make room")
    if journal["behind"] >= _RING_FULL * reading.config.log_capacity:
        yield Alarm(
            Severity.WARNING, f"the keeper is {journal['behind']:,} commands behind, of a ring of {reading.config.log_capacity:,}: lanes wait"
        )


def _of_lanes(reading: Reading, rows: list[Participant]) -> Iterator[Alarm]:
    for row in rows:
        if row.lane is not None:
            yield from _of_lane(row, row.lane, is_live=reading.is_live)


def _of_lane(row: Participant, lane: Lane, *, is_live: bool) -> Iterator[Alarm]:
    is_blocked = lane.unread_share > _UNREAD_LIMIT
    if lane.share >= _LANE_FULL:
        why = "its reports are unread, so it is not served" if is_blocked else "the matcher does not keep up" if is_live else "nobody takes them"
        text = f"the lane of {row.name} is full" if lane.waiting == lane.capacity else f"the lane of {row.name} is {lane.share:.0%} full"
        yield Alarm(Severity.WARNING, f"{text}, {lane.waiting:,} commands wait: {why}")
    if is_blocked and row.alive:
        text = f"{row.name} leaves {lane.unread:,} of {lane.report_capacity:,} reports unread: who does not read is not served"
        yield Alarm(Severity.WARNING, text)
    if lane.skipped:
        yield Alarm(Severity.WARNING, f"reports of {row.name} found no room, skipped: {lane.skipped:,}; read more often, or enlarge report_capacity")
    if row.process.state in ("stopped", "traced"):
        yield Alarm(Severity.WARNING, f"{row.name} (process {row.pid}) is stopped: it loses nothing; `kill -CONT {row.pid}` lets it go on")
    if not row.alive and lane.open_orders and is_live:
        yield Alarm(Severity.NOTE, f"{row.name} is gone and left {lane.open_orders:,} orders open; whoever attaches as {row.name} can cancel them")


def _of_memory(reading: Reading) -> Iterator[Alarm]:
    status, config = reading.status, reading.config
    for what, used, room, size in (
        ("order pool", status["open_orders"], config.max_orders, "max_orders"),
        ("price ladder", status["pages"], config.max_pages, "max_pages"),
    ):
        if used >= _POOL_FULL * room:
            yield Alarm(Severity.WARNING, f"the {what} is {used / room:.0%} full, beyond it orders are rejected; enlarge {size} ({room:,})")
    for symbol in sorted(reading.busy):
        yield Alarm(Severity.NOTE, f"the book of {symbol} is from an earlier look: its snapshot was overwritten while it was copied")


def _of_cores(reading: Reading, rows: list[Participant]) -> Iterator[Alarm]:
    if not reading.is_live:
        return
    matcher = next(row for row in rows if row.role == "matcher")
    sessions = {row.pid: row for row in rows if row.role == "session" and row.alive}
    if 1 + len(sessions) > reading.cores:
        own = " (this screen's probe is one of them)" if reading.own_pid in sessions else ""
        who = f"a matcher and {len(sessions)} {'process' if len(sessions) == 1 else 'processes'} with sessions{own}"
        text = f"{who} share {reading.cores} {'core' if reading.cores == 1 else 'cores'}: nobody spins, and latencies are those of the scheduler"
        yield Alarm(Severity.NOTE, text)
    for row in sessions.values():
        if row.process.pinned and matcher.process.pinned and row.process.core == matcher.process.core and reading.cores > 1:
            yield Alarm(Severity.WARNING, f"{row.name} is pinned to core {row.process.core}, which is the matcher's; give each a core of its own")


def age_text(seconds: float) -> str:
    """How long ago, to two places."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 48 else f"{hours // 24} days"
