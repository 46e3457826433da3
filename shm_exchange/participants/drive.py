"""`drive`: one gateway of `shm-exchange spawn`. It sends a built-in flow through its gateway, on plan, and records what it sees."""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from shm_exchange.client import Gateway
from shm_exchange.client.plain import Records, plain
from shm_exchange.domain.enums import EventKind
from shm_exchange.layout.headers import PRICE_LEVEL, SNAPSHOT
from shm_exchange.layout.records import COMMAND, COMMAND_WORDS, REPORT
from shm_exchange.participants.arrivals import POISSON, Arrivals
from shm_exchange.participants.book_flows import Reading
from shm_exchange.participants.clear import cancel_all, check_matcher
from shm_exchange.participants.driver import (
    BATCH,
    DRIVER,
    FINISHED,
    FOR_EVER,
    LOST,
    Buffers,
    Driving,
    Recording,
    Waiting,
    drive_slice,
)
from shm_exchange.participants.flows import RESTING_AT_MOST, checked_flow
from shm_exchange.participants.ledger import fold_reports, new_ledger, open_ledger
from shm_exchange.participants.pacer import new_pacer
from shm_exchange.participants.portfolio import Portfolio, Traded, forget_orders, new_portfolio
from shm_exchange.participants.recorder import DONE, ENDING, READY, RUNNING, open_recorder
from shm_exchange.shm.segment import Segment, attach
from shm_exchange.snapshot.slots import Snapshots

_NAP_SECONDS = 0.001
_LOOK_SECONDS = 0.2
_TIMER_SLACK = 29  # PR_SET_TIMERSLACK


class Course(NamedTuple):
    """What one gateway is to do."""

    flow: str
    traded: Sequence[Traded]
    seed: int = 1
    trader: int = 0
    """Tells the gateways of one seed apart."""
    rate: float = 0
    """Commands a second; 0: as fast as the lane takes them."""
    burst: int = 1
    arrivals: Arrivals = POISSON
    orders: int = 0
    """Commands in all; 0: no limit."""
    seconds: float = 0
    """0: no limit."""
    keep: bool = False
    """Leave open orders in the book at the end."""


def drive(gateway: Gateway, course: Course, recorder: str, row: int, ledgers: str | None = None, niceness: int = 0) -> int:
    """Follow `course` and record it in `row` of the recorder at that path; returns how many open orders were canceled at the end.

    ledgers: path of the table in whose same row it keeps what it holds. niceness: added to that of this process. Begins at the moment the parent
    says there. Raises ExchangeError when the matcher dies, LaneFull.
    """
    if niceness:
        os.nice(niceness)
    ctypes.CDLL(None).prctl(_TIMER_SLACK, 1, 0, 0, 0)  # sleeps until a command is due end when they should, not up to 50 µs later
    record = open_recorder(recorder)[row : row + 1]
    with attach(gateway.name) as segment:
        instruments = len(segment.config.instruments)
        ledger = new_ledger(instruments) if ledgers is None else open_ledger(ledgers, instruments, row)
        return _Run(gateway, course, Recording(record["parent"], record["row"], record["latency"][0], record["service"][0], ledger), segment).run()


class _Run:
    def __init__(self, gateway: Gateway, course: Course, recording: Recording, segment: Segment) -> None:
        self._gateway, self._course = gateway, course
        self._parent, self._row, self._ledger = recording.parent, recording.row, recording.ledger
        window = 1 << (segment.config.lane_capacity + segment.config.report_capacity + BATCH).bit_length()
        portfolio = new_portfolio(course.traded, course.seed, course.trader, window)
        self._portfolio = Portfolio(*(plain(array) for array in portfolio))
        self._portfolio.tally["open_target"] = min(RESTING_AT_MOST, segment.config.session_orders // 2)
        self._driving = Driving(np.zeros(1, DRIVER), new_pacer(course.rate, course.burst, course.seed << 16 ^ course.trader, course.arrivals))
        self._driving.driver["flow"] = checked_flow(course.flow).kind
        self._driving.driver["wanted"] = course.orders or FOR_EVER
        self._bundles = (self._portfolio, _reading(segment), _buffers(window), gateway.rings())
        self._watched = (recording, Waiting(*gateway.waiting_words()))
        cancel_all(gateway)  # what an earlier holder of the session left
        self._forget()

    def run(self) -> int:
        """From ready to done."""
        self._warm()
        self._row["state"] = READY
        self._await_start()
        self._row["state"] = RUNNING
        look = time.monotonic() + _LOOK_SECONDS
        while (code := drive_slice(self._driving, *self._bundles, *self._watched)) != FINISHED:
            if code == LOST:
                self._begin_anew()
            if time.monotonic() > look:
                look = time.monotonic() + _LOOK_SECONDS
                check_matcher(self._gateway)
        self._row["state"] = ENDING
        canceled = 0 if self._course.keep else cancel_all(self._gateway, self._count_fills)
        self._row["state"] = DONE
        return canceled

    def _warm(self) -> None:
        """Load the kernels: a slice in which nothing is wanted."""
        driver, wanted = self._driving.driver, int(self._driving.driver["wanted"][0])
        driver["wanted"] = 0
        while drive_slice(self._driving, *self._bundles, *self._watched) != FINISHED:
            continue
        driver["wanted"], driver["closed"] = wanted, 0

    def _await_start(self) -> None:
        """Wait for the parent's word, and for the moment it says."""
        while not self._parent["start_ns"][0]:
            time.sleep(_NAP_SECONDS)
        start = int(self._parent["start_ns"][0])
        while (left := start - time.monotonic_ns()) > 0:
            time.sleep(left / 2e9)
        self._row["began_ns"] = self._driving.pacer["next_ns"] = start
        self._driving.driver["end_ns"] = start + int(self._course.seconds * 1e9) if self._course.seconds else FOR_EVER

    def _begin_anew(self) -> None:
        """Reports were lost, so what we think is open may not be: have nothing open, and go on with the plan."""
        driver = self._driving.driver
        self._row["dropped"] += driver["pending"]
        driver["pending"] = 0
        cancel_all(self._gateway, self._count_fills)
        self._forget()

    def _forget(self) -> None:
        """No order of ours is known; the next command follows what was submitted."""
        next_id = self._gateway.submit_many(np.zeros(0, COMMAND)).first_id
        forget_orders(self._portfolio, next_id)
        self._driving.driver["next_send"] = self._driving.driver["next_answer"] = next_id

    def _count_fills(self, reports: Records) -> None:
        fold_reports(self._ledger, plain(reports))
        self._row["fills"] += (reports["kind"] == EventKind.EXECUTED).sum()


def _reading(segment: Segment) -> Reading:
    snapshots = Snapshots(*(plain(segment.array(name)) for name in ("snapshot_latest", "snapshots", "snapshot_levels")))
    return Reading(snapshots, np.zeros(1, SNAPSHOT), np.zeros(2 * segment.config.depth, PRICE_LEVEL))


def _buffers(window: int) -> Buffers:
    commands = np.zeros(BATCH, COMMAND)
    return Buffers(commands, commands.view(COMMAND_WORDS), np.zeros(BATCH, REPORT), np.zeros(window, np.int64), np.zeros(window, np.int64))
