"""An exchange in figures, read from its memory: no process is asked, so it also works when none is left."""

from __future__ import annotations

import os
import time
from typing import TypedDict

import numpy as np

from shm_exchange.domain.enums import Admission
from shm_exchange.layout.headers import (
    KEEPER_FAILED,
    KEEPER_RUNNING,
    KEEPER_STARTING,
    KEEPER_STOPPED,
    MATCHER_RUNNING,
    MATCHER_STARTING,
    MATCHER_STOPPED,
)
from shm_exchange.shm import KEEPER_BYTE, MATCHER_BYTE, Segment

_STATES = {MATCHER_STARTING: "starting", MATCHER_RUNNING: "running", MATCHER_STOPPED: "stopped"}
_KEEPER_STATES = {KEEPER_STARTING: "starting", KEEPER_RUNNING: "running", KEEPER_STOPPED: "stopped", KEEPER_FAILED: "failed"}
_ADMISSIONS = {0: "all"} | {int(admission): admission.name.lower() for admission in Admission}


class LaneStatus(TypedDict):
    """A session's part of it. `reports_waiting`: published and not yet taken."""

    number: int
    session: str
    account: str
    pid: int
    alive: bool
    attached: int
    commands: int
    depth: int
    reports: int
    reports_waiting: int
    reports_skipped: int
    open_orders: int


class JournalStatus(TypedDict):
    """Of the keeper and its files. Numbers are log numbers: all below them are in files, on the disk, in the newest checkpoint."""

    mode: str
    directory: str
    keeper: str
    keeper_pid: int
    keeper_lives: int
    admission: str
    error: str
    archived: int
    behind: int
    durable: int
    checkpoint: int
    checkpoints: int
    diverged: int
    bytes: int
    syncs: int
    sync_ns_mean: int
    sync_ns_high: int


class Status(TypedDict):
    """What `Exchange.status` and `shm-exchange status` tell."""

    name: str
    matcher: str
    matcher_pid: int
    matcher_lives: int
    term: int
    supervisor_alive: bool
    supervisor_pid: int
    instruments: list[str]
    memory_bytes: int
    commands: int
    reports: int
    reports_skipped: int
    trades: int
    rejects: int
    open_orders: int
    open_orders_high: int
    pages: int
    lane_depth_high: int
    batch_high: int
    events: int
    sweeps: int
    sweep_ns: int
    idle_ns: int
    sweep_ns_mean: int
    idle_share: float
    parks: int
    wakes: int
    spins: bool
    heartbeat_age_seconds: float | None
    journal: JournalStatus | None
    lanes: list[LaneStatus]


def status_of(segment: Segment) -> Status:
    """Plain figures and words, fit for JSON. They are read one after the other while the matcher works: they agree when it is idle."""
    counters, matcher, control = (segment.array(name)[0] for name in ("counters", "matcher", "control"))
    alive = segment.is_held(MATCHER_BYTE)
    idle, busy = int(counters.idle_ns), int(counters.sweep_ns)
    heartbeat = int(matcher.heartbeat_ns)
    return {
        "name": segment.name,
        "matcher": _STATES.get(int(matcher.state), "unknown") if alive else "stopped" if matcher.state == MATCHER_STOPPED else "dead",
        "matcher_pid": int(matcher.pid),
        "matcher_lives": int(matcher.lives),
        "term": segment.term.number,
        "supervisor_alive": segment.supervisor_alive,
        "supervisor_pid": int(control.supervisor_pid),
        "instruments": [instrument.symbol for instrument in segment.config.instruments],
        "memory_bytes": segment.layout.size,
        "commands": int(counters.commands),
        "reports": int(counters.reports),
        "reports_skipped": int(segment.array("report_tails")["skipped"].sum()),
        "trades": int(counters.trades),
        "rejects": int(counters.rejects),
        "open_orders": int(counters.open_orders),
        "open_orders_high": int(counters.open_orders_high),
        "pages": int(counters.pages),
        "lane_depth_high": int(counters.lane_depth_high),
        "batch_high": int(counters.batch_high),
        "events": max(0, int(matcher.event_tail) - 1),
        "sweeps": int(counters.sweeps),
        "sweep_ns": busy,
        "idle_ns": idle,
        "sweep_ns_mean": busy // max(1, int(counters.sweeps)),
        "idle_share": round(idle / (idle + busy), 4) if idle + busy else 1.0,
        "parks": int(counters.parks),
        "wakes": int(counters.wakes),
        "spins": bool(control.spin_polls),
        "heartbeat_age_seconds": round(max(0, time.monotonic_ns() - heartbeat) / 1e9, 3) if heartbeat else None,
        "journal": _journal(segment) if segment.journal.directory else None,
        "lanes": [_lane(segment, session) for session in _owned(segment)],
    }


def living_owners(segment: Segment) -> set[int]:
    """The processes that hold a session now."""
    pids = segment.array("owner")["pid"]
    return {int(pids[session - 1]) for session in _owned(segment) if segment.is_held(session)}


def _owned(segment: Segment) -> list[int]:
    """Sessions that somebody has, or had."""
    return [int(index) + 1 for index in np.flatnonzero(segment.array("owner")["pid"])]


def _journal(segment: Segment) -> JournalStatus:
    keeper, counters = segment.array("keeper")[0], segment.array("keeper_counters")[0]
    state = _KEEPER_STATES.get(int(keeper.state), "unknown")
    alive = segment.is_held(KEEPER_BYTE)
    return {
        "mode": segment.journal.mode.name.lower(),
        "directory": segment.journal.directory,
        "keeper": state if alive or keeper.state in (KEEPER_STOPPED, KEEPER_FAILED) else "dead",
        "keeper_pid": int(keeper.pid),
        "keeper_lives": int(counters.lives),
        "admission": _ADMISSIONS.get(int(keeper.admission), "unknown"),
        "error": os.strerror(int(keeper.error)) if keeper.error else "",
        "archived": int(keeper.archived),
        "behind": max(0, int(segment.array("matcher")[0].log_tail) - int(keeper.archived)),
        "durable": int(keeper.durable),
        "checkpoint": int(keeper.checkpoint),
        "checkpoints": int(counters.checkpoints),
        "diverged": int(keeper.diverged),
        "bytes": int(counters.bytes),
        "syncs": int(counters.syncs),
        "sync_ns_mean": int(counters.sync_ns) // max(1, int(counters.syncs)),
        "sync_ns_high": int(counters.sync_ns_high),
    }


def _lane(segment: Segment, session: int) -> LaneStatus:
    owner = segment.array("owner", session)[0]
    head, tail = segment.array("lane_heads")[session], segment.array("report_tails")[session]
    return {
        "number": session,
        "session": bytes(owner.session).decode("ascii", "replace"),
        "account": bytes(owner.account).decode("ascii", "replace"),
        "pid": int(owner.pid),
        "alive": segment.is_held(session),
        "attached": int(owner.attached),
        "commands": max(0, int(head.head) - 1),
        "depth": int(head.depth),
        "reports": max(0, int(tail.tail) - 1),
        "reports_waiting": max(0, int(tail.tail) - int(segment.array("report_head", session)[0].head)),
        "reports_skipped": int(tail.skipped),
        "open_orders": int(tail.open_orders),
    }
