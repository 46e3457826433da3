"""`python -m bench throughput`: commands per second of one gateway through a production matcher, everything published and every report taken.

Batch: COMMAND records through `submit_many`, reports drained in between, all in a kernel. Scalar: `gateway.limit` in a Python loop.
"""

from __future__ import annotations

import time

import numpy as np

from bench.canonical import to_commands
from bench.drivers import drive_pipeline
from bench.flow import generate
from bench.measurement import Measurement
from bench.pair import bench_config, cores, exchange
from bench.progress import Steps
from bench.referee import FIRST, REPORTS_A_MESSAGE, SESSION
from shm_exchange.client.gateway import Gateway
from shm_exchange.domain.enums import Side, TimeInForce
from shm_exchange.layout.records import COMMAND_WORDS, REPORT

SCENARIO, SEED = "normal", 23
SCALAR_ORDERS = 100_000
_WINDOW = 1000


def run(count: int, steps: Steps) -> Measurement:
    """Both figures; `count`: commands of the batch run (the referee's normal flow, cut there)."""
    steps.expect(3)
    steps(f"generating {count:,} commands")
    commands = to_commands(generate(SCENARIO, SEED, (count + 1) // 2 + 1)[:count], SESSION, FIRST)
    steps("batch calls")
    with exchange(bench_config("throughput")) as supervisor, Gateway.attach(supervisor.name, session="throughput") as gateway:
        out = np.zeros(REPORTS_A_MESSAGE * len(commands), REPORT)
        out["number"] = 0
        spin = cores()[0] != cores()[1]
        nanoseconds, reports = drive_pipeline(*gateway.rings(), commands.view(COMMAND_WORDS), out, spin)
    steps("scalar calls from Python")
    with exchange(bench_config("throughput")) as supervisor, Gateway.attach(supervisor.name, session="throughput") as gateway:
        scalar = _scalar(gateway)
    figures = {
        "orders_per_second": len(commands) / nanoseconds * 1e9,
        "commands": len(commands),
        "reports": reports,
        "python_orders_per_second": SCALAR_ORDERS / scalar,
    }
    return Measurement(figures)


def _scalar(gateway: Gateway) -> float:
    """Seconds for orders one call at a time, until all are answered; each rests nowhere, so the book stays small."""
    start = time.perf_counter()
    answers = 0
    for sent in range(1, SCALAR_ORDERS + 1):
        gateway.limit("MID", Side.BUY, price_ticks=20_000, quantity=1, time_in_force=TimeInForce.IOC)
        if sent % _WINDOW == 0:
            answers += len(gateway.poll_array())
    while answers < 2 * SCALAR_ORDERS:  # ACCEPTED and CANCELED
        gateway.wait()
        answers += len(gateway.poll_array())
    return time.perf_counter() - start
