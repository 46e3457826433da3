"""`python engine_worker.py MESSAGES CORE`, with one build on the import path: the rules of that build on the referee's flow, a pass for every line.

Answers on standard output: "ready", then for every line on standard input the nanoseconds of one pass. Nothing of it crosses a core or a process,
so what others do to the machine disturbs it least. It is started by its file, so that a build that has no such program can be measured too.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any

import numpy as np

from bench.flow import generate
from bench.referee import SESSION, _log_with_logon
from shm_exchange.domain.config import ExchangeConfig
from shm_exchange.domain.instrument import Instrument
from shm_exchange.engine.apply import Log, apply
from shm_exchange.engine.book import Book, new_book
from shm_exchange.engine.outputs import Outputs, private_outputs

SCENARIO, SEED = "normal", 23
BATCH = 8192
"""Commands between two looks of Python: what they cause fits the rings."""
_SIZES = {"max_orders": 65_536, "max_sessions": 2, "session_orders": 65_536, "session_pages": 4096, "max_pages": 8192}
CONFIG = ExchangeConfig("engine", (Instrument("MID", "0.005"),), **_SIZES, report_capacity=1 << 16, event_capacity=1 << 16)


def _plain(bundle: Any) -> Any:
    """The same memory as plain ndarrays, which kernels recognise at once."""
    return type(bundle)(*(array.view(np.ndarray) for array in bundle))


def one_pass(log: Log, total: int) -> int:
    """Nanoseconds for all log records, on a fresh book; publishing is skipped."""
    book: Book = _plain(new_book(CONFIG, 1))
    outputs: Outputs = _plain(private_outputs(CONFIG))
    own, state = outputs.sessions[SESSION], book.state[0]
    nanoseconds = 0
    for last in [*range(BATCH, total, BATCH), total]:
        started = time.perf_counter_ns()
        apply(book, outputs, log, last)
        nanoseconds += time.perf_counter_ns() - started
        own["unpublished"] = book.sessions[SESSION]["next_report"]
        own["limit"] = own["unpublished"] + own["capacity"]
        outputs.state["touched"], outputs.state["events_unpublished"] = 0, state["next_event"]
        state["snapshots_due"], book.traded["snapshot_due"] = 0, 0
    assert own["skipped"] == 0
    return nanoseconds


def main() -> None:
    """Be ready, then answer until the input ends."""
    messages, core = int(sys.argv[1]), int(sys.argv[2])
    os.sched_setaffinity(0, {core})
    log = _plain(_log_with_logon(generate(SCENARIO, SEED, messages)))
    total = len(generate(SCENARIO, SEED, messages)) + 1
    one_pass(log, total)
    print("ready", flush=True)
    for _ in sys.stdin:
        print(one_pass(log, total), flush=True)


if __name__ == "__main__":
    main()
