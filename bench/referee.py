"""`python -m bench referee`: the public workload through both boundaries, its digest and messages per second (referee.md's definitions).

kernel     the flow lies in this process's memory as a log; the matcher's own `process` kernel applies it, batch by batch, and every report goes
           through a report ring to a consumer process on another core, which copies it out. Done when the consumer has taken the last one.
pipeline   a gateway sends every message through its lane and drains its reports; a production matcher process does all it always does.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from bench.canonical import canonical_digest, to_commands, to_log_records
from bench.drivers import drive_kernel, drive_pipeline
from bench.flow import SCENARIOS, generate
from bench.measurement import Measurement
from bench.pair import bench_config, cores, exchange, peer, pinned
from bench.progress import Steps
from bench.statistics import median
from shm_exchange.client.gateway import Gateway
from shm_exchange.domain.enums import CommandKind
from shm_exchange.domain.limits import POSITION_BITS
from shm_exchange.domain.names import name_words
from shm_exchange.engine.apply import Log, log_of
from shm_exchange.layout.records import COMMAND_WORDS, LOG_RECORD, LOGON, REPORT
from shm_exchange.layout.regions import Writer
from shm_exchange.matcher.process import open_bundles
from shm_exchange.participants.flow_files import read_content
from shm_exchange.protocol.referee import decode_orders
from shm_exchange.shm.locks import MATCHER_BYTE
from shm_exchange.shm.segment import create

ALL = "all"
SESSION = 1
FIRST = 2
"""Lane position of the first message: the logon has the first."""
REPORTS_A_MESSAGE = 3
"""Room for outputs: the flow makes 1.15 reports a message; a file may make more."""


def run(scenario: str, seed: int, count: int, boundary: str, runs: int, orders: Path | None, steps: Steps) -> Measurement:
    """One scenario, or all five and the worst of them, the referee's figure."""
    if scenario != ALL or orders:
        return Measurement(_scenario(scenario, seed, count, boundary, runs, orders, steps))
    rows = [_scenario(each, seed, count, boundary, runs, None, steps) for each in SCENARIOS]
    worst = min(rows, key=lambda row: float(row["messages_per_second"]))
    return Measurement(
        {"scenarios": rows, "worst": {key: worst[key] for key in ("scenario", "messages_per_second", "best_three_messages_per_second")}}
    )


def _scenario(scenario: str, seed: int, count: int, boundary: str, runs: int, orders: Path | None, steps: Steps) -> dict[str, Any]:
    """One scenario: the flow once, then `runs` fresh exchanges; the digest must be the same in all of them."""
    steps.expect(runs + 1)
    steps(f"{scenario}: {'reading' if orders else 'generating'}")
    messages = decode_orders(read_content(orders), str(orders)) if orders else generate(scenario, seed, count)
    measure = _kernel_run if boundary == "kernel" else _pipeline_run
    seconds, digests, reports = [], set(), np.zeros(0, REPORT)
    for number in range(runs):
        steps(f"{scenario}: run {number + 1} of {runs}")
        taken, reports, first = measure(messages)
        seconds.append(taken)
        digest, trades = canonical_digest(messages, reports, SESSION, first)
        digests.add(digest)
        steps.say(f"{scenario}: run {number + 1} of {runs}: {len(messages) / taken / 1e6:.2f} M messages/s")
    if len(digests) != 1:
        raise SystemExit(f"{scenario}: runs of the same flow gave different reports; digests {sorted(digests)}")
    rates = [len(messages) / taken for taken in seconds]
    return {
        "scenario": "file" if orders else scenario,
        "seed": seed,
        "count": count,
        "boundary": boundary,
        "digest": digest,
        "messages": len(messages),
        "reports": len(reports),
        "trades": trades,
        "seconds": median(seconds),
        "messages_per_second": median(rates),
        "best_messages_per_second": max(rates),
        "best_three_messages_per_second": median(sorted(rates)[-3:]),
        "runs": [round(rate) for rate in rates],
    }


def _kernel_run(messages: np.ndarray) -> tuple[float, np.ndarray, int]:
    """(seconds, reports after the logon, first lane position) of one run: we are the matcher, a consumer process sits on the other core."""
    own, other = cores()
    room = REPORTS_A_MESSAGE * len(messages)
    with create(bench_config("referee")) as segment, tempfile.TemporaryDirectory() as folder:
        try:
            segment.try_lock(MATCHER_BYTE)
            control = segment.writable(Writer.SUPERVISOR)["control"]
            bundles = open_bundles(segment)
            log = _log_with_logon(messages)
            path = Path(folder) / "reports.npy"
            with peer("bench.consumer", segment.name, "referee", str(room), str(path), str(other)), pinned(own):
                nanoseconds = drive_kernel(bundles, log, len(messages) + 1, segment.config.sweep_budget, SESSION, own != other)
                control["stop"] = 1
            return nanoseconds / 1e9, np.load(path)[1:], FIRST
        finally:
            segment.destroy()


def _log_with_logon(messages: np.ndarray) -> Log:
    """The whole flow as log records behind one LOGON, in an array of a power of two, touched beforehand."""
    commands = to_log_records(to_commands(messages, SESSION, FIRST), SESSION)
    records = np.zeros(1 << len(commands).bit_length(), LOG_RECORD)
    records[1 : len(commands) + 1] = commands
    records["command_id"][0], records["kind"][0] = (SESSION << POSITION_BITS) | 1, CommandKind.LOGON
    logon = records[:1].view(LOGON)
    logon["session_low"], logon["session_high"] = name_words("referee")
    logon["account_low"], logon["account_high"] = name_words("referee")
    return log_of(records)


def _pipeline_run(messages: np.ndarray) -> tuple[float, np.ndarray, int]:
    """The same through a production matcher process; this process is the gateway."""
    with exchange(bench_config("referee")) as supervisor, Gateway.attach(supervisor.name, session="referee") as gateway:
        words = to_commands(messages, SESSION, FIRST).view(COMMAND_WORDS)
        out = np.zeros(REPORTS_A_MESSAGE * len(messages), REPORT)
        out["number"] = 0
        nanoseconds, count = drive_pipeline(*gateway.rings(), words, out, cores()[0] != cores()[1])
        return nanoseconds / 1e9, out[:count], FIRST
