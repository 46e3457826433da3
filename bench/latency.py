"""`python -m bench latency`: how long from the moment an order was planned for until its reports are seen, and where that time goes.

open loop     orders at a fixed rate, whether or not earlier ones were answered. Latency runs from the planned moment; service time, beside it,
              from the moment the order was really sent: what a gateway that lags behind hides
closed loop   (--closed-loop) the next order waits for the last answer, so a stall is seen by one order; it is measured for comparison
stages        the same load once more, beside a matcher that stamps every order on its way
hiccups       the same schedule without orders: how late the bare core is
round trips   orders one at a time beside bare cache lines, and calls of the public API (`bench.paired`)
"""

from __future__ import annotations

from dataclasses import replace

from bench import verdicts
from bench.corrected import corrected
from bench.hiccups import Hiccups, hiccups, platform_limited
from bench.measurement import Measurement
from bench.pair import bench_config, exchange, spare_core, two_cores
from bench.paired import from_python, paired
from bench.passes import Load, Pass, Sender
from bench.progress import Steps
from bench.stages import breakdown
from bench.stamped import ORDERS_MAX, stamped_pass
from bench.statistics import recorded_percentiles
from shm_exchange.client.gateway import Gateway
from shm_exchange.domain.errors import ConfigError


def run(blocks: int, rates: list[int], load: Load, correct: bool, steps: Steps) -> Measurement:
    """All figures of one run; `load`: what is sent at each of the rates. Raises ConfigError."""
    own, _ = two_cores("bench latency")
    if correct and not load.closed:
        raise ConfigError("--corrected mends what a closed loop leaves out; an open loop leaves nothing out: add --closed-loop, or drop it")
    steps.expect(len(rates) + 3)
    steps("bare lines and orders, block by block")
    measured = Measurement(paired(blocks))
    spare = spare_core()
    with exchange(bench_config("latency")) as supervisor, Gateway.attach(supervisor.name, session="latency") as gateway:
        sender = Sender(gateway, matcher=supervisor.matcher.pidfd)
        with hiccups(rates[0], own, spare) as control:
            for rate in rates:
                steps(f"{load.loop} loop, {rate:,} orders/s for {load.seconds:g} s")
                _pass(measured, sender, replace(load, rate=rate), control, correct)
        measured.figures["hiccups"] = control.figures()
        measured.histograms["hiccups"] = control.counts
        steps("calls from Python")
        measured.figures |= from_python(gateway)
    steps(f"stages, {rates[0]:,} orders/s")
    _stages(measured, replace(load, rate=rates[0], closed=False, stall_ms=0, seconds=min(load.seconds, ORDERS_MAX / rates[0])))
    return measured


def _pass(measured: Measurement, sender: Sender, load: Load, control: Hiccups, correct: bool) -> None:
    """One rate."""
    name = f"{load.loop} loop, {load.rate:,}/s"
    sender.warm(load.rate)
    control.interlude(load)
    done = sender.send(load)
    row = done.row()
    if correct:
        row |= _correct(measured, done, name)
    measured.figures.setdefault(f"{load.loop}_loop", []).append(row)
    measured.histograms[name] = done.latencies
    measured.histograms[f"{name}, service time"] = done.services
    measured.warnings += verdicts.of_row(row, name)
    if limited := platform_limited(control.counts, done.latencies, name):
        measured.warnings.append(limited)


def _correct(measured: Measurement, done: Pass, name: str) -> dict[str, int | None]:
    counts = corrected(done.latencies, 1_000_000_000 // done.load.rate)
    measured.histograms[f"{name}, corrected"] = counts
    return {f"corrected_ns_{key}": value for key, value in recorded_percentiles(counts).items()}


def _stages(measured: Measurement, load: Load) -> None:
    """Where the time of an order goes."""
    done, stamps = stamped_pass(load)
    measured.figures["stamped"] = done.row()
    measured.histograms[f"stamped, {load.rate:,}/s"] = done.latencies
    measured.stages = breakdown(stamps)
