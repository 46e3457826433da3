"""Hiccup control: how late a core alone is, on the very schedule that orders were sent on. What a bare core does not keep, no order can.

With three cores or more a spinner of its own runs on a core that nobody uses, all the while. With two, both have work to do: then the gateway's core
keeps the schedule without orders before every pass, while the matcher spins on its own; that shows what the host takes away, not what it takes
during a pass. A stamp costs what it costs between orders too: one clock read.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import numpy as np

from bench.arrivals import planned_times
from bench.pair import peer
from bench.passes import Load
from bench.schedule import wait_on_schedule
from bench.statistics import recorded_percentiles
from shm_exchange.participants.histogram import BUCKETS, Counts, new_histogram
from shm_exchange.participants.memory import SharedTable, open_table

RECORDER = np.dtype([("stop", "i8"), ("counts", "i8", (BUCKETS,))])
"""What the spinner of its own shares with us: our word, its histogram."""
_SECONDS = 0.5
_PIECE_SECONDS = 0.1
_NEAR = 0.5


class Hiccups:
    """Lateness of an idle core, nanoseconds."""

    def __init__(self, counts: Counts, core: int, *, apart: bool) -> None:
        self.counts, self.core = counts, core
        self._apart = apart

    def interlude(self, load: Load) -> None:
        """Between two passes: keep this load's schedule without orders, unless somebody does all the time."""
        if not self._apart:
            wait_on_schedule(planned_times(load.arrivals, load.rate, min(load.seconds, _SECONDS), load.seed + 1), time.monotonic_ns(), self.counts)

    def figures(self) -> dict[str, Any]:
        """Percentiles, and where they come from."""
        where = "on a core of its own, all the time" if self._apart else "on the gateway's core, between the passes"
        return {"core": self.core, "measured": where, **{f"late_ns_{key}": value for key, value in recorded_percentiles(self.counts).items()}}


@contextmanager
def hiccups(rate: int, own: int, spare: int | None) -> Iterator[Hiccups]:
    """A control for as long as the block lasts, on the spare core if there is one, else on our own, to which the caller is pinned."""
    if spare is None:
        yield Hiccups(new_histogram(), own, apart=False)
        return
    with closing(SharedTable("hiccups", RECORDER, 1)) as shared, peer("bench.hiccups", shared.path, str(spare), str(rate)):
        try:
            yield Hiccups(shared.rows[0]["counts"], spare, apart=True)
        finally:
            shared.rows["stop"] = 1


def platform_limited(late: Counts, latencies: Counts, name: str) -> str:
    """A warning when the bare core is nearly as late as the orders; nothing where that cannot be known."""
    ours, bare = recorded_percentiles(latencies)["p99.9"], recorded_percentiles(late)["p99.9"]
    if ours is None or bare is None or bare < _NEAR * ours:
        return ""
    return (
        f"platform-limited: at p99.9 the bare core was {bare / 1e3:,.1f} µs late, {name} took {ours / 1e3:,.1f} µs: "
        "this tail is the machine's; trust p50 and p90, or use a quieter machine"
    )


def _spin(path: str, core: str, rate: str) -> None:
    """The spinner's process."""
    os.sched_setaffinity(0, {int(core)})
    recorder = open_table(path, RECORDER)[0]
    wait_on_schedule(np.zeros(1, np.int64), time.monotonic_ns(), new_histogram())
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    number = 0
    while not recorder["stop"]:
        number += 1
        wait_on_schedule(planned_times("poisson", int(rate), _PIECE_SECONDS, number), time.monotonic_ns(), recorder["counts"])


if __name__ == "__main__":
    _spin(*sys.argv[1:])
