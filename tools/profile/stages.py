"""`python -m tools.profile stages`: the slowest orders of a run as a timeline for Perfetto (https://ui.perfetto.dev) or chrome://tracing.

A track is one order, the slowest on top; on it lie its stages: planned → enqueued → dequeued → matched → visible. Tracks share one clock, so what
held up several orders at once stands in one column. The stamps are those of `bench latency`, taken by a matcher of its own that stamps every order.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from shm_exchange.cli.screen import Screen, table
from shm_exchange.domain.errors import ConfigError
from tools.profile.options import positive

_PROCESS = 1
Stamps = np.ndarray[Any, np.dtype[np.void]]


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The command and its options."""
    parser = commands.add_parser(
        "stages",
        help="the slowest orders of a run as a timeline for Perfetto",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--slowest", type=positive(int), default=100, metavar="N", help="how many orders (default 100)")
    parser.add_argument("--rate", type=positive(int), default=100_000, metavar="R", help="orders a second, open loop (default 100,000)")
    parser.add_argument("--seconds", type=positive(float), default=2.0, metavar="S", help="for how long (default 2)")
    parser.add_argument("--out", type=Path, default=Path("stages.json"), metavar="FILE", help="the trace (default stages.json)")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.set_defaults(run=run, takes_command=False)


def run(arguments: argparse.Namespace, _command: Sequence[str]) -> int:
    """Stamp a run, write the trace, show the slowest few."""
    from bench.passes import Load
    from bench.stages import slowest
    from bench.stamped import stamped_pass

    screen = Screen(as_json=arguments.json)
    if arguments.out.is_dir() or not arguments.out.parent.is_dir():
        raise ConfigError(f"--out {arguments.out} is no file that can be written; name one in a folder that exists")
    screen.say(f"stamping {arguments.rate:,} orders/s for {arguments.seconds:g} s")
    done, stamps = stamped_pass(Load(arguments.rate, arguments.seconds))
    found = slowest(stamps, arguments.slowest)
    arguments.out.write_text(json.dumps(trace(found)))
    rows = [_row(order) for order in found]
    screen.result({"orders": len(stamps), "dropped": done.dropped, "trace": str(arguments.out), "slowest": rows})
    names = list(rows[0]) if rows else []
    cells = ([f"{value:,}" for value in row.values()] for row in rows[:10])
    screen.show(table(*(f">{name}" for name in names), rows=cells, title=f"the slowest of {len(stamps):,} orders, nanoseconds"))
    screen.show(f"{len(rows)} of them in {arguments.out}: open it in https://ui.perfetto.dev")
    return 0


def trace(stamps: Stamps) -> dict[str, Any]:
    """Chrome trace events of orders, slowest first, from their stamps: int64 fields `order_id` and the moments of their way, `…_ns`, in order."""
    moments = _moments(stamps)
    begin = min((int(order[moments[0]]) for order in stamps), default=0)
    events: list[dict[str, Any]] = [_meta("process_name", 0, name="the slowest orders")]
    for track, order in enumerate(stamps, 1):
        times = [int(order[moment]) for moment in moments]
        order_id, whole = int(order["order_id"]), times[-1] - times[0]
        events += [_meta("thread_name", track, name=f"{track}. order {order_id}"), _meta("thread_sort_index", track, sort_index=track)]
        events.append(_slice(f"order {order_id}, {whole / 1e3:,.1f} µs", track, times[0] - begin, whole, {"order_id": order_id}))
        for (before, start), (after, end) in pairwise(zip(moments, times, strict=True)):
            events.append(_slice(_stage(before, after), track, start - begin, end - start, {"ns": end - start}))
    return {"displayTimeUnit": "ns", "traceEvents": events}


def _moments(stamps: Stamps | np.void) -> list[str]:
    return [name for name in stamps.dtype.names or () if name.endswith("_ns")]


def _stage(before: str, after: str) -> str:
    return f"{before.removesuffix('_ns')} → {after.removesuffix('_ns')}"


def _row(order: np.void) -> dict[str, int]:
    """An order in figures: its stages, and all of them together."""
    names = _moments(order)
    parts = {_stage(before, after): int(order[after] - order[before]) for before, after in pairwise(names)}
    return {"order": int(order["order_id"]), **parts, "all": sum(parts.values())}


def _meta(what: str, track: int, **values: Any) -> dict[str, Any]:
    return {"ph": "M", "name": what, "pid": _PROCESS, "tid": track, "args": values}


def _slice(name: str, track: int, start_ns: int, duration_ns: int, values: dict[str, Any]) -> dict[str, Any]:
    """A box on a track; the format counts in microseconds, with digits behind the point."""
    return {"ph": "X", "name": name, "cat": "order", "pid": _PROCESS, "tid": track, "ts": start_ns / 1e3, "dur": duration_ns / 1e3, "args": values}
