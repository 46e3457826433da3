"""Who takes part in an exchange, a row a process: supervisor, matcher, keeper, and every session with its lane. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from shm_exchange.cli.top.figures import Figures
from shm_exchange.cli.top.processes import GONE, ProcessFigures
from shm_exchange.cli.top.reading import Reading

_UNKNOWN = ProcessFigures("?")


class Lane(NamedTuple):
    """What a session has in shared memory."""

    number: int
    account: str
    waiting: int
    """Commands that the matcher has not taken."""
    capacity: int
    commands: int
    rate: float | None
    """Commands a second."""
    open_orders: int
    reports: int
    unread: int
    """Reports that lie in its ring; those that found no room are `skipped`."""
    report_capacity: int
    skipped: int
    """Reports that found no room."""

    @property
    def share(self) -> float:
        """How full the lane is, from 0 to 1."""
        return self.waiting / self.capacity

    @property
    def unread_share(self) -> float:
        """How full the report ring is."""
        return self.unread / self.report_capacity


class Participant(NamedTuple):
    """A process that takes part; one that holds several sessions has as many rows."""

    name: str
    role: str
    """supervisor, matcher, keeper or session."""
    pid: int
    alive: bool
    process: ProcessFigures
    lane: Lane | None = None


def participants(reading: Reading, figures: Figures) -> list[Participant]:
    """Supervisor, matcher and keeper first, then the sessions that are held, then those that somebody left."""
    status = reading.status
    matcher_lives = status["matcher"] in ("running", "starting")
    own = [
        Participant("supervisor", "supervisor", *_process(reading, status["supervisor_pid"], alive=status["supervisor_alive"])),
        Participant("matcher", "matcher", *_process(reading, status["matcher_pid"], alive=matcher_lives)),
    ]
    if (journal := status["journal"]) is not None:
        own.append(Participant("keeper", "keeper", *_process(reading, journal["keeper_pid"], alive=journal["keeper"] in ("running", "starting"))))
    sessions = [
        Participant(lane["session"], "session", *_process(reading, lane["pid"], alive=lane["alive"]), _lane(reading, figures, lane))
        for lane in status["lanes"]
    ]
    return own + sorted(sessions, key=lambda participant: not participant.alive)


def _process(reading: Reading, pid: int, *, alive: bool) -> tuple[int, bool, ProcessFigures]:
    return pid, alive, reading.processes.get(pid, _UNKNOWN) if alive else GONE


def _lane(reading: Reading, figures: Figures, lane: Mapping[str, Any]) -> Lane:
    config = reading.config
    return Lane(
        number=lane["number"],
        account=lane["account"],
        waiting=lane["depth"],
        capacity=config.lane_capacity,
        commands=lane["commands"],
        rate=figures.lanes.get(lane["number"]) if reading.is_live else None,
        open_orders=lane["open_orders"],
        reports=lane["reports"],
        unread=min(lane["reports_waiting"], config.report_capacity),
        report_capacity=config.report_capacity,
        skipped=lane["reports_skipped"],
    )
