"""Metrics as text in the Prometheus exposition format, version 0.0.4: what a scraper reads. Nothing of this needs a library."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from shm_exchange.pipeline.metrics import PipelineMetrics, PoolMetrics

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_PREFIX = "shm_exchange_pipeline_"


class _Family(NamedTuple):
    """One metric: its name, kind and help, and where its value stands."""

    name: str
    kind: str
    help: str
    field: str


_STAGE = (
    _Family("workers", "gauge", "Workers of a stage.", "num_workers"),
    _Family("processed_total", "counter", "Items handled without an exception.", "total_processed"),
    _Family("failures_total", "counter", "Items handled with an exception.", "failures"),
    _Family("dropped_total", "counter", "Items that nobody handled and nobody will.", "total_dropped"),
    _Family("drops_last_minute", "gauge", "Items dropped within the last 60 seconds.", "drops_per_minute"),
    _Family("produced_total", "counter", "Items accepted from producers.", "items_produced"),
    _Family("consumed_total", "counter", "Items handled, well or not.", "items_consumed"),
    _Family("conflated_total", "counter", "Items replaced by a newer one of their key.", "conflated"),
    _Family("in_hand", "gauge", "Items being handled.", "in_hand"),
    _Family("queue_size", "gauge", "Items waiting in front of a stage.", "queue_size"),
    _Family("queue_maxsize", "gauge", "Items that can wait there.", "queue_maxsize"),
    _Family("queue_utilisation", "gauge", "Size by maxsize.", "queue_utilisation"),
    _Family("processing_average_seconds", "gauge", "Time to handle an item.", "average_seconds"),
    _Family("processing_p99_seconds", "gauge", "99 % of the items took less.", "p99_seconds"),
    _Family("lag_average_seconds", "gauge", "From the time of a tick to its handling.", "lag_average_seconds"),
    _Family("lag_p99_seconds", "gauge", "99 % of the items lagged less.", "lag_p99_seconds"),
    _Family("producer_connected", "gauge", "1 while somebody may still put.", "producer_connected"),
    _Family("restarts_total", "counter", "Workers that were killed and replaced.", "restarts"),
)
_WORKER = (
    _Family("worker_alive", "gauge", "1 while it works.", "alive"),
    _Family("worker_processed_total", "counter", "Items handled without an exception.", "processed"),
    _Family("worker_failures_total", "counter", "Items handled with an exception.", "failures"),
    _Family("worker_average_seconds", "gauge", "Time to handle an item.", "average_seconds"),
)
_SOURCE = (
    _Family("source_alive", "gauge", "1 while it makes items.", "alive"),
    _Family("source_produced_total", "counter", "Items that its output accepted.", "produced"),
    _Family("source_refused_total", "counter", "Items that its output did not accept.", "refused"),
)
_QUEUE = (
    _Family("queue_high_water", "gauge", "The greatest size that was seen.", "high_water"),
    _Family("queue_dropped_total", "counter", "Items dropped by the queue itself.", "dropped"),
    _Family("queue_blocked_seconds_total", "counter", "How long producers have waited for room.", "blocked_seconds"),
)


def exposition(metrics: PoolMetrics | PipelineMetrics) -> str:
    """A pool or a pipeline as a page for a scraper, newline at its end."""
    if isinstance(metrics, PoolMetrics):
        metrics = PipelineMetrics("", (), (metrics,), ())
    stages = metrics.stages
    common = {"pipeline": metrics.name} if metrics.name else {}
    workers = [(common | {"stage": stage.name, "worker": worker.name}, worker) for stage in stages for worker in stage.workers]
    lines = [
        *_families(_STAGE, [(common | {"stage": stage.name}, stage) for stage in stages]),
        *_families(_WORKER, workers),
        *_families(_SOURCE, [(common | {"source": source.name}, source) for source in metrics.sources]),
        *_families(_QUEUE, [(common | {"queue": queue.name}, queue) for queue in metrics.queues]),
    ]
    return "".join(f"{line}\n" for line in lines)


def _families(families: Iterable[_Family], rows: Sequence[tuple[dict[str, str], object]]) -> Iterator[str]:
    """HELP, TYPE, and a sample for each row: all samples of a family stand together."""
    for family in families if rows else ():
        name = _PREFIX + family.name
        yield f"# HELP {name} {family.help}"
        yield f"# TYPE {name} {family.kind}"
        for labels, row in rows:
            told = ",".join(f'{label}="{_escaped(value)}"' for label, value in labels.items())
            yield f"{name}{{{told}}} {float(getattr(row, family.field)):.17g}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
