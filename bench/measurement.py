"""What one measurement hands on: to the terminal, to --json, to the report folder, to `compare`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

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
