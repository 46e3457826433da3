"""What a reader must know before believing a run, in words: beside those of the machine (`environment.warnings`), those of the run itself."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from bench.statistics import PERCENTILES, TAIL_MIN
from shm_exchange.runtime.affinity import parallel_processes

_KEPT_UP = 0.9


def seconds_for(percent: str, rate: int) -> float:
    """How long a pass at `rate` must be to have TAIL_MIN samples beyond a percentile."""
    return float(TAIL_MIN / (1 - Fraction(percent) / 100) / rate)


def of_row(row: dict[str, Any], name: str) -> list[str]:
    """Warnings about one pass, from its figures."""
    return [text for text in (_few_samples(row, name), _dropped(row, name), _behind(row, name)) if text]


def _few_samples(row: dict[str, Any], name: str) -> str:
    unknown = [percent for percent in PERCENTILES if row[f"latency_ns_p{percent}"] is None]
    if not unknown:
        return ""
    told = f"p{unknown[0]} would be luck and is" if len(unknown) == 1 else f"p{unknown[0]} and beyond would be luck and are"
    needed = f"p{unknown[-1]} needs --seconds {seconds_for(unknown[-1], row['achieved'] or row['rate']):.3g}"
    return f"too few samples: {name} has {row['latency_ns_samples']:,}, so {told} not told; {needed}"


def _dropped(row: dict[str, Any], name: str) -> str:
    if not row["dropped"]:
        return ""
    return f"{name} dropped {row['dropped']:,} orders: their lane stayed full; they have no latency, so every figure looks better than it was"


def _behind(row: dict[str, Any], name: str) -> str:
    if row["loop"] == "closed" or row["achieved"] >= _KEPT_UP * row["rate"]:
        return ""
    return f"{name} kept up with {row['achieved']:,} orders/s only: beyond its capacity latency grows with the length of the run; lower the rate"


def crowded(processes: int, name: str) -> str:
    """A warning when processes outnumber what can run at the same time."""
    cores = parallel_processes()
    if processes <= cores:
        return ""
    here = f"{cores} core{'' if cores == 1 else 's'}"
    return (
        f"{name}: {processes} processes on {here}, not pinned one by one: this measures the scheduler, not the exchange; "
        "compare with the same number only"
    )
