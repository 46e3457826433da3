"""What a spawned gateway measures, kept where its parent sees it: in shared memory, so it is there also when the gateway was killed.

A record a gateway: the words its parent writes, the words it writes itself, and two histograms filled by the kernel that sends and takes.

    latency   from the moment a command was PLANNED for until its answer was seen: waiting for its turn counts, nothing is omitted
    service   from the moment it was really submitted
"""

from __future__ import annotations

from typing import Any

import numpy as np

from shm_exchange.layout.headers import lines
from shm_exchange.participants.histogram import BUCKETS, Counts, percentiles
from shm_exchange.participants.memory import SharedTable, Table, open_table

STARTING, READY, RUNNING, ENDING, DONE = range(5)
STATES = ("starting", "ready", "running", "ending", "done")

PARENT = lines(
    ("start_ns", "i8"),  # the moment to begin; 0: wait
    ("stop", "i8"),  # 1: end early
)
ROW = lines(
    ("state", "i8"),
    ("sent", "i8"),  # commands in the lane
    ("answered", "i8"),
    ("rejected", "i8"),  # of the answered
    ("fills", "i8"),
    ("dropped", "i8"),  # due before the end and never sent
    ("lane_full", "i8"),  # attempts that found no room
    ("reports_lost", "i8"),
    ("misfits", "i8"),  # reports that do not add up with what was asked for
    ("latency_max", "i8"),  # ns
    ("service_max", "i8"),
    ("began_ns", "i8"),
    ("ended_ns", "i8"),  # the last answer was seen
)
RECORDER = np.dtype([("parent", PARENT), ("row", ROW), ("latency", "i8", (BUCKETS,)), ("service", "i8", (BUCKETS,))])

PERCENTS = (50.0, 90.0, 99.0, 99.9, 99.99)
TAIL_AT_LEAST = 10
"""A percentile is not told when fewer samples lie above it: it would be an anecdote."""


class Recorder(SharedTable):
    """The records of all gateways of a run, from their parent."""

    def __init__(self, gateways: int) -> None:
        super().__init__("gateway recorder", RECORDER, gateways)


def open_recorder(path: str) -> Table:
    """The records of a run, by the path its parent gave. Raises FileNotFoundError when the parent is gone."""
    return open_table(path, RECORDER)


def percent_name(percent: float) -> str:
    """Such as "p99.9"."""
    return f"p{percent:g}"


def distribution(counts: Counts, greatest: int) -> dict[str, int | None]:
    """The percentiles of a histogram in ns, and the greatest value seen; None where too few samples are above."""
    total = int(counts.sum())
    told: dict[str, int | None] = {}
    for percent, value in zip(PERCENTS, percentiles(counts, PERCENTS), strict=True):
        enough = round(total * (100 - percent) / 100, 6) >= TAIL_AT_LEAST
        told[percent_name(percent)] = min(value, greatest) if enough else None
    return told | {"max": greatest if total else None}


def figures_of(records: Table) -> dict[str, Any]:
    """Counts and distributions of one gateway, or of several merged. records: RECORDER[any]."""
    rows = records["row"]
    counts = {name: int(rows[name].sum()) for name in ("sent", "answered", "rejected", "fills", "dropped", "lane_full", "reports_lost", "misfits")}
    began, ended = rows["began_ns"][rows["began_ns"] > 0], int(rows["ended_ns"].max(initial=0))
    seconds = max(0, ended - int(began.min())) / 1e9 if len(began) else 0.0
    return {
        **counts,
        "unanswered": counts["sent"] - counts["answered"],
        "seconds": round(seconds, 6),
        "answered_per_second": round(counts["answered"] / seconds) if seconds else 0,
        "latency_ns": distribution(records["latency"].sum(axis=0), int(rows["latency_max"].max(initial=0))),
        "service_ns": distribution(records["service"].sum(axis=0), int(rows["service_max"].max(initial=0))),
    }
