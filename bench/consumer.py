"""`python -m bench.consumer NAME SESSION ROOM FILE CORE`: the other process of the referee's kernel boundary, which drains one session's reports."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np

from bench.drivers import consume
from shm_exchange.client.sessions import take_session
from shm_exchange.layout.records import REPORT
from shm_exchange.ring.reports import READER, acknowledge
from shm_exchange.shm.segment import attach


def main() -> None:
    """Take the session's lock, say that we are ready, drain until told to stop, and save what came."""
    name, session, room, path, core = sys.argv[1:]
    eager = len(os.sched_getaffinity(0)) > 1
    os.sched_setaffinity(0, {int(core)})
    segment = attach(name, write=True)
    number, own = take_session(segment, session, session)
    capacity = segment.config.report_capacity
    reports = segment.array("reports")[(number - 1) * capacity : number * capacity]
    tail, control = segment.array("report_tails")[number : number + 1], segment.array("control")
    out = np.zeros(int(room), REPORT).view(np.recarray)
    out["number"] = 0  # every page is touched before the clock runs
    reader = np.zeros(1, READER).view(np.recarray)
    reader[0].next_report = own["report_head"][0].head
    acknowledge(reader, own["report_head"])
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    count = consume(reader, reports, tail, own["report_head"], control, out, eager)
    np.save(Path(path), out[:count].view(np.ndarray))


if __name__ == "__main__":
    main()
