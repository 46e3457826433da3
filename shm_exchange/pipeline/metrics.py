"""What a pool, and a pipeline, say of themselves: numbers that add up.

    items_produced == total_processed + failures + (total_dropped - refused) + conflated + queue_size + in_hand

Counts are of the whole life; times are seconds.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np

from shm_exchange.layout.histogram import percentiles
from shm_exchange.pipeline.fan import Fan
from shm_exchange.pipeline.queue import Figures
from shm_exchange.pipeline.table import error_text, finished, in_hand
from shm_exchange.pipeline.team import Team


class WorkerMetrics(NamedTuple):
    """One worker, and those it took the place of."""

    name: str
    pid: int | None
    """None: a thread, or a task."""
    alive: bool
    """It has acknowledged, and is not over."""
    processed: int
    failures: int
    in_hand: int
    queue_size: int
    """Of the queue it reads, which others may read as well."""
    average_seconds: float
    error: str
    """The last exception of its handler, as text."""


class SourceMetrics(NamedTuple):
    """One source."""

    name: str
    pid: int | None
    alive: bool
    produced: int
    """Accepted by its output."""
    refused: int


@dataclass(frozen=True)
class PoolMetrics:
    """A pool of workers, or a stage, and the queue in front of it."""

    name: str
    num_workers: int
    total_processed: int
    """Handled without an exception."""
    failures: int
    """Handled with an exception."""
    total_dropped: int
    """Refused, overwritten, lost with a worker or a queue, or not handled when it was stopped."""
    refused: int
    """Of those the ones that were never accepted (policy `timeout`)."""
    conflated: int
    drops_per_minute: int
    """Within the last 60 seconds."""
    queue_size: int
    queue_maxsize: int
    queue_utilisation: float
    """From 0 to 1."""
    in_hand: int
    items_produced: int
    """Accepted."""
    items_consumed: int
    """Handled, well or not."""
    average_seconds: float
    """Of handling an item, its output included."""
    p99_seconds: float
    lag_average_seconds: float
    """From the time of the tick to its handling; 0 where items have no tick_time."""
    lag_p99_seconds: float
    blocked_seconds: float
    """How long producers have waited for room."""
    producer_connected: bool
    restarts: int
    """Workers that were killed and replaced."""
    problem: str
    """Why it ended too early, or nothing."""
    workers: tuple[WorkerMetrics, ...]

    def as_json(self) -> dict[str, Any]:
        """Plain data, for json.dumps."""
        return asdict(self) | {"workers": [worker._asdict() for worker in self.workers]}


@dataclass(frozen=True)
class PipelineMetrics:
    """A pipeline: a row for each source, stage and queue."""

    name: str
    sources: tuple[SourceMetrics, ...]
    stages: tuple[PoolMetrics, ...]
    queues: tuple[Figures, ...]

    def as_json(self) -> dict[str, Any]:
        """Plain data, for json.dumps."""
        return {
            "name": self.name,
            "sources": [source._asdict() for source in self.sources],
            "stages": [stage.as_json() for stage in self.stages],
            "queues": [queue._asdict() | {"utilisation": queue.utilisation} for queue in self.queues],
        }


def measured(team: Team, fan: Fan, *, refused: int, connected: bool, dropped_lately: int, is_final: bool = False) -> PoolMetrics:
    """A team and its queue now. is_final: nobody works any more, so that what was not finished is lost."""
    rows, queue = team.table.rows, fan.figures()
    processed, failures = int(rows["processed"].sum()), int(rows["failed"].sum())
    handled = processed + failures
    times, lags = rows["times"].sum(axis=0), rows["lag_times"].sum(axis=0)
    size, held = (0, 0) if is_final else (queue.size, sum(in_hand(row) for row in rows))
    return PoolMetrics(
        name=team.work.name,
        num_workers=len(rows),
        total_processed=processed,
        failures=failures,
        total_dropped=dropped(team, queue, is_final=is_final),
        refused=refused,
        conflated=queue.conflated,
        drops_per_minute=dropped_lately,
        queue_size=size,
        queue_maxsize=queue.maxsize,
        queue_utilisation=size / queue.maxsize,
        in_hand=held,
        items_produced=queue.produced - refused,
        items_consumed=handled,
        average_seconds=_average(int(rows["handling_ns"].sum()), handled),
        p99_seconds=percentiles(times, [99])[0] / 1e9,
        lag_average_seconds=_average(int(rows["lag_ns"].sum()), int(rows["lags"].sum())),
        lag_p99_seconds=percentiles(lags, [99])[0] / 1e9,
        blocked_seconds=queue.blocked_seconds,
        producer_connected=connected,
        restarts=team.restarts,
        problem=team.problem,
        workers=tuple(_worker(team, fan, number) for number in range(len(rows))),
    )


def dropped(team: Team, queue: Figures, *, is_final: bool = False) -> int:
    """Items that nobody handled and nobody will. is_final: everything that was put and not finished is among them."""
    rows = team.table.rows
    given_up = int(rows["given_up"].sum())
    if is_final:
        return given_up + queue.produced - queue.conflated - sum(finished(row) for row in rows)
    return given_up + max(0, queue.dropped - team.rescued)


def refused_by(teams: list[Team]) -> int:
    """Items that the output of these did not accept."""
    return sum(int(np.sum(team.table.rows["refused"])) for team in teams)


def source_metrics(team: Team) -> SourceMetrics:
    """A source now."""
    row, member = team.table.rows[0], team.slots[0].member
    alive = member is not None and not team.is_over
    return SourceMetrics(team.work.name, None if member is None else member.pid, alive, int(row["processed"]), int(row["refused"]))


def _worker(team: Team, fan: Fan, number: int) -> WorkerMetrics:
    slot = team.slots[number]
    row, member = slot.row, slot.member
    processed, failures = int(row["processed"]), int(row["failed"])
    return WorkerMetrics(
        name=team.work.name if len(team.slots) == 1 else f"{team.work.name}-{number + 1}",
        pid=None if member is None else member.pid,
        alive=member is not None and not slot.is_over and member.is_ready,
        processed=processed,
        failures=failures,
        in_hand=in_hand(row),
        queue_size=fan.queue_of(number).figures().size,
        average_seconds=_average(int(row["handling_ns"]), processed + failures),
        error=error_text(row),
    )


def _average(total_ns: int, count: int) -> float:
    return total_ns / count / 1e9 if count else 0.0
