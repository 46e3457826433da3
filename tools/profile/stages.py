"""`python -m tools.profile stages`: the slowest orders of a run as a timeline for Perfetto (https://ui.perfetto.dev) or chrome://tracing.

A track is one order, the slowest on top; on it lie its stages: planned → enqueued → dequeued → matched → visible. Tracks share one clock, so what
held up several orders at once stands in one column. The stamps are those of `bench latency`, taken by a matcher of its own that stamps every order.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.stages import MOMENTS, STAGES, Stamps, latencies, slowest
from shm_exchange.cli.screen import Screen, table
from shm_exchange.domain.errors import ConfigError
from tools.profile.options import positive

_PROCESS = 1
_ROWS = 10


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
    from bench.stamped import stamped_pass

    screen = Screen(as_json=arguments.json)
    if arguments.out.is_dir() or not arguments.out.parent.is_dir():
        raise ConfigError(f"--out {arguments.out} is no file that can be written; name one in a folder that exists")
    screen.say(f"stamping {arguments.rate:,} orders/s for {arguments.seconds:g} s")
    done, stamps = stamped_pass(Load(arguments.rate, arguments.seconds))
    found = slowest(stamps, arguments.slowest)
    arguments.out.write_text(json.dumps(trace(found), ensure_ascii=False), encoding="utf-8")
    rows = [{"order": int(order["order_id"]), **_parts(order), "all": int(latencies(order))} for order in found]
    screen.result({"orders": len(stamps), "dropped": done.dropped, "trace": str(arguments.out), "slowest": rows})
    cells = ([f"{value:,}" for value in row.values()] for row in rows[:_ROWS])
    screen.show(table(*(f">{name}" for name in ("order", *STAGES, "all")), rows=cells, title=f"slowest of {len(stamps):,} orders, nanoseconds"))
    screen.show(f"{len(rows)} of them in {arguments.out}: open it in https://ui.perfetto.dev")
    return 0


def trace(stamps: Stamps) -> dict[str, Any]:
    """Chrome trace events of STAMPS records, slowest first."""
    begin = min((int(order[MOMENTS[0]]) for order in stamps), default=0)
    events: list[dict[str, Any]] = [_meta("process_name", 0, name="the slowest orders")]
    for track, order in enumerate(stamps, 1):
        order_id, whole = int(order["order_id"]), int(latencies(order))
        events += [_meta("thread_name", track, name=f"{track}. order {order_id}"), _meta("thread_sort_index", track, sort_index=track)]
        events.append(_slice(f"order {order_id}, {whole / 1e3:,.1f} µs", track, int(order[MOMENTS[0]]) - begin, whole))
        for stage, duration in _parts(order).items():
            events.append(_slice(stage, track, int(order[STAGES[stage][0]]) - begin, duration))
    return {"displayTimeUnit": "ns", "traceEvents": events}


def _parts(order: np.void) -> dict[str, int]:
    """Stage → nanoseconds."""
    return {stage: int(order[after] - order[before]) for stage, (before, after) in STAGES.items()}


def _meta(what: str, track: int, **values: str | int) -> dict[str, Any]:
    return {"ph": "M", "name": what, "pid": _PROCESS, "tid": track, "args": values}


def _slice(name: str, track: int, start_ns: int, duration_ns: int) -> dict[str, Any]:
    """A box on a track; the format counts in microseconds, with digits behind the point."""
    times = {"ts": start_ns / 1e3, "dur": duration_ns / 1e3, "args": {"ns": duration_ns}}
    return {"ph": "X", "name": name, "cat": "order", "pid": _PROCESS, "tid": track, **times}
