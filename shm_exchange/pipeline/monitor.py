"""A look at a pool or a pipeline while it runs: rows for a terminal, a page for a scraper, and a warning when too much waits."""

from __future__ import annotations

import logging
from typing import NamedTuple, Protocol

from shm_exchange.domain.errors import ConfigError
from shm_exchange.pipeline.exposition import exposition
from shm_exchange.pipeline.metrics import PipelineMetrics, PoolMetrics, SourceMetrics

_log = logging.getLogger("shm_exchange.pipeline")


class Measured(Protocol):
    """Whatever has metrics."""

    def metrics(self) -> PoolMetrics | PipelineMetrics:
        """It now."""


class Row(NamedTuple):
    """A line of the table, as text; `HEADER` names the columns."""

    name: str
    produced: str
    handled: str
    failed: str
    dropped: str
    waiting: str
    average: str
    p99: str
    lag: str
    state: str


HEADER = Row("stage", "produced", "handled", "failed", "dropped", "waiting", "average", "p99", "lag", "state")


class Monitor:
    """Counters and times of a pool or a pipeline. warn_above: how many may wait in front of a stage; None: no warning. Raises ConfigError."""

    def __init__(self, watched: Measured, warn_above: int | None = None) -> None:
        if warn_above is not None and (isinstance(warn_above, bool) or not isinstance(warn_above, int) or warn_above < 1):
            raise ConfigError(f"warn_above must be a whole number of at least 1 item, not {warn_above!r}; leave it out for no warning")
        self._watched = watched
        self._warn_above = warn_above
        self._above: set[str] = set()

    def look(self) -> list[Row]:
        """A row for each source and stage; warns once for each time that more than `warn_above` items wait."""
        metrics = self._watched.metrics()
        stages = _stages(metrics)
        for stage in stages:
            self._warn(stage)
        sources = metrics.sources if isinstance(metrics, PipelineMetrics) else ()
        return [_source_row(source) for source in sources] + [_stage_row(stage) for stage in stages]

    def text(self) -> str:
        """The rows as a table in plain characters."""
        rows = [HEADER, *self.look()]
        widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
        return "\n".join(
            "  ".join(_aligned(cell, width, column) for column, (cell, width) in enumerate(zip(row, widths, strict=True))).rstrip() for row in rows
        )

    def exposition(self) -> str:
        """The same in the Prometheus exposition format."""
        return exposition(self._watched.metrics())

    def _warn(self, stage: PoolMetrics) -> None:
        if self._warn_above is None:
            return
        if stage.queue_size <= self._warn_above:
            self._above.discard(stage.name)
        elif stage.name not in self._above:
            self._above.add(stage.name)
            _log.warning("%s: %d items wait, more than %d", stage.name, stage.queue_size, self._warn_above)


def duration(seconds: float) -> str:
    """Short, in the unit that fits: "820 µs", "1.2 s"."""
    for factor, unit in ((1e6, "µs"), (1e3, "ms")):
        if seconds * factor < 999.5:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds:,.3g} s" if seconds < 999.5 else f"{seconds:,.0f} s"


def _stages(metrics: PoolMetrics | PipelineMetrics) -> tuple[PoolMetrics, ...]:
    return (metrics,) if isinstance(metrics, PoolMetrics) else metrics.stages


def _stage_row(stage: PoolMetrics) -> Row:
    alive = sum(worker.alive for worker in stage.workers)
    lag = duration(stage.lag_average_seconds) if stage.lag_average_seconds else "–"
    return Row(
        stage.name,
        f"{stage.items_produced:,}",
        f"{stage.items_consumed:,}",
        f"{stage.failures:,}",
        f"{stage.total_dropped:,}",
        f"{stage.queue_size:,} of {stage.queue_maxsize:,}",
        duration(stage.average_seconds),
        duration(stage.p99_seconds),
        lag,
        "failed" if stage.problem else f"{alive} of {stage.num_workers} at work" if alive else "done",
    )


def _source_row(source: SourceMetrics) -> Row:
    return Row(source.name, f"{source.produced:,}", "–", "–", f"{source.refused:,}", "–", "–", "–", "–", "makes items" if source.alive else "done")


def _aligned(cell: str, width: int, column: int) -> str:
    """Words to the left, numbers to the right."""
    return cell.ljust(width) if column in (0, len(HEADER) - 1) else cell.rjust(width)
