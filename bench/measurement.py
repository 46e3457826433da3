"""What one measurement hands on: to the terminal, to --json, to the report folder, to `compare`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bench.statistics import merge_runs
from shm_exchange.participants.histogram import Counts


@dataclass
class Measurement:
    """Figures first; all else is what a picture is drawn from."""

    figures: dict[str, Any]
    """What is printed: nested, plain numbers and words."""
    histograms: dict[str, Counts] = field(default_factory=dict)
    """By name ("open loop, 100,000/s", "hiccups", …): counts of nanoseconds in the buckets of `participants.histogram`."""
    stages: dict[str, dict[str, float]] = field(default_factory=dict)
    """By percentile ("p50", "p99", …): stage → nanoseconds, in the order of an order's way."""
    curve: list[dict[str, Any]] = field(default_factory=list)
    """The saturation sweep, one row a rate: rate, achieved (orders per second), p50, p99, p99.9 (ns or None), dropped, knee (bool)."""
    warnings: list[str] = field(default_factory=list)
    """What the reader must know before believing it, in words."""


def merged(runs: Sequence[Measurement]) -> Measurement:
    """Several runs of the same as one: medians of the figures, histograms added up; stages and curve of the last run, which cannot be added."""
    if len(runs) == 1:
        return runs[0]
    names = dict.fromkeys(name for run in runs for name in run.histograms)
    return Measurement(
        figures=merge_runs([run.figures for run in runs]),
        histograms={name: np.sum([run.histograms[name] for run in runs if name in run.histograms], axis=0) for name in names},
        stages=runs[-1].stages,
        curve=runs[-1].curve,
        warnings=list(dict.fromkeys(warning for run in runs for warning in run.warnings)),
    )
