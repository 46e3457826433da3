"""`python -m bench gateways`: K gateway processes at once against one matcher, each on a schedule of its own, each with its own histogram.

Gateway n trades instrument n, so that the reports of its pairs are its own alone; the matcher is one and serves all in turn. Processes come from
`Exchange.spawn`, the matcher spins or sleeps as the product decides. Histograms lie in one piece of memory that all have mapped.

Where every process can have a core, gateways spin. Else they sleep between orders, as a gateway without a core of its own would.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

import numpy as np

from bench import verdicts
from bench.measurement import Measurement
from bench.pair import TICK, cores
from bench.passes import FLIGHTS, Load, Pass, Recorders, Sender
from bench.progress import Steps
from bench.stages import STAMPS
from shm_exchange.client.gateway import Gateway
from shm_exchange.domain.errors import ConfigError, ExchangeError, ProcessDied
from shm_exchange.domain.instrument import Instrument
from shm_exchange.domain.limits import INSTRUMENTS_MAX, SESSIONS_MAX
from shm_exchange.participants.board import FIRST_TRADER_ROW, PARENT_ROW, Board, open_board
from shm_exchange.participants.histogram import BUCKETS, Counts
from shm_exchange.participants.memory import SharedTable, open_table
from shm_exchange.runtime.affinity import parallel_processes
from shm_exchange.supervisor.exchange import Exchange
from shm_exchange.supervisor.spawn import Child

RECORDER = np.dtype([("latencies", "i8", (BUCKETS,)), ("services", "i8", (BUCKETS,))])
"""What one gateway counts into."""
GATEWAYS_MAX = min(INSTRUMENTS_MAX, SESSIONS_MAX)
_NAP_SECONDS = 0.002
_PATIENCE_SECONDS = 60.0


def run(counts: list[int], load: Load, steps: Steps) -> Measurement:
    """One row for each number of gateways; `load`: what each of them sends."""
    if max(counts) > GATEWAYS_MAX:
        raise ConfigError(f"{max(counts)} gateways do not fit: an exchange has at most {GATEWAYS_MAX} sessions; give fewer")
    measured = Measurement({"rate_each": load.rate, "seconds": load.seconds, "arrivals": load.arrivals, "gateways": []})
    steps.expect(len(counts))
    for count in counts:
        name = _name(count)
        steps(f"{name}, {count * load.rate:,} orders/s in all, for {load.seconds:g} s")
        row = _together(measured, count, load)
        measured.figures["gateways"].append(row)
        measured.warnings += [text for text in (verdicts.crowded(count + 1, name), *verdicts.of_row(row, name)) if text]
    return measured


def _name(count: int) -> str:
    return "1 gateway" if count == 1 else f"{count} gateways"


def _together(measured: Measurement, count: int, load: Load) -> dict[str, Any]:
    """K gateways: start them, fire the gun, add up."""
    _, matcher = cores()
    instruments = [Instrument(f"MID{number}", TICK) for number in range(1, count + 1)]
    eager = count + 1 <= parallel_processes()
    with (
        closing(SharedTable("recorders", RECORDER, count)) as shared,
        Exchange.start(f"gateways-{os.getpid()}", instruments, core=matcher, max_sessions=count) as exchange,
    ):
        board = Board(traders=count)
        try:
            children = exchange.spawn(
                trade_on_schedule, board.path, shared.path, load, eager, session="gateway-{n}", core=_cores_of_gateways(), count=count
            )
            _await_ready(board, children)
            board.rows["go"][PARENT_ROW] = 1
            outcomes = [child.wait() for child in children]
        finally:
            board.close()
        if not exchange.verify().holds:
            raise ExchangeError("the book does not hold after the run: this is a bug of the exchange; run the tests")
        return _row(measured, load, outcomes, shared.rows)


def _cores_of_gateways() -> tuple[int, ...]:
    """All cores but the matcher's, where there are others."""
    usable = sorted(os.sched_getaffinity(0))
    return tuple(usable[:-1] or usable)


def _await_ready(board: Board, children: Sequence[Child[object]]) -> None:
    """Until every gateway has attached and warmed up. Raises ProcessDied."""
    deadline = time.monotonic() + _PATIENCE_SECONDS * max(1, len(children) // parallel_processes())
    while not board.rows["ready"][FIRST_TRADER_ROW:].all():
        for child in children:
            if child.poll() is not None:
                raise ProcessDied(child.problem or f"{child.name} ended before it began")
        if time.monotonic() > deadline:
            raise ExchangeError("the gateways were not ready in time: the machine is overloaded; use fewer of them")
        time.sleep(_NAP_SECONDS)


def trade_on_schedule(gateway: Gateway, board: str, recorders: str, load: Load, eager: bool) -> dict[str, Any]:
    """A gateway's process: warm up, wait for the gun, send, and say what became of it."""
    number = int(gateway.session.rpartition("-")[2])
    rows, own = open_board(board), open_table(recorders, RECORDER)[number - 1]
    sender = Sender(gateway, eager=eager, instrument=number - 1)
    sender.warm(max(load.rate, 2000))
    rows["ready"][FIRST_TRADER_ROW + number - 1] = 1
    while not rows["go"][PARENT_ROW]:
        time.sleep(_NAP_SECONDS)
    into = Recorders(own["latencies"], own["services"], np.zeros(FLIGHTS, STAMPS))
    done = sender.send(replace(load, seed=load.seed + number), into)
    return {"answered": done.answered, "dropped": done.dropped, "retries": done.retries, "seconds": done.seconds}


def _row(measured: Measurement, load: Load, outcomes: list[dict[str, Any]], recorders: np.ndarray[Any, np.dtype[np.void]]) -> dict[str, Any]:
    """The merged figures, and below them each gateway's."""
    count = len(outcomes)
    each = []
    for number, (outcome, recorder) in enumerate(zip(outcomes, recorders, strict=True), 1):
        latencies, services = recorder["latencies"].copy(), recorder["services"].copy()
        measured.histograms[f"{_name(count)}, number {number}"] = latencies
        each.append({"gateway": number, **Pass(load, latencies, services, **outcome).row()})
    merged = Pass(
        replace(load, rate=load.rate * count),
        _sum(recorders["latencies"]),
        _sum(recorders["services"]),
        sum(outcome["answered"] for outcome in outcomes),
        sum(outcome["dropped"] for outcome in outcomes),
        sum(outcome["retries"] for outcome in outcomes),
        max(outcome["seconds"] for outcome in outcomes),
    )
    measured.histograms[_name(count)] = merged.latencies
    return {"gateways": count, **merged.row(), "each": each}


def _sum(histograms: Counts) -> Counts:
    """Histograms add up."""
    return np.asarray(histograms.sum(axis=0), np.int64)
