"""`python -m bench sweep`: one gateway at higher and higher rates, open loop, until it no longer keeps up.

A rate is over the knee when it dropped orders, achieved less than 90 % of what was planned, or has a p99 above ten times that of the lower rates
(their median). A hiccup of the machine is no knee: a rate that looks over is sent twice more, and the median of the three decides. Between the last
good rate and the first bad one the step is halved twice. The knee is the lowest rate over; what is sustained is the highest below it.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, Protocol

from bench import verdicts
from bench.hiccups import hiccups, platform_limited
from bench.measurement import Measurement
from bench.pair import bench_config, exchange, spare_core, two_cores
from bench.passes import Load, Pass, Sender
from bench.progress import Steps
from bench.statistics import median, recorded_percentiles
from shm_exchange.client.gateway import Gateway
from shm_exchange.domain.errors import ConfigError
from shm_exchange.participants.histogram import percentiles

KNEE = 10.0
ACHIEVED = 0.9
AGAIN = 2
HALVINGS = 2


def run(first: int, limit: int, factor: float, load: Load, steps: Steps) -> Measurement:
    """Rates from `first` to at most `limit`, each `factor` times the last. Raises ConfigError."""
    own, _ = two_cores("bench sweep")
    if factor <= 1:
        raise ConfigError(f"--factor {factor:g} does not raise the rate; give more than 1, such as 1.5")
    if limit < first:
        raise ConfigError(f"--limit {limit:,} lies below the first rate, {first:,}; raise it, or lower --first")
    measured, spare = Measurement({}), spare_core()
    with (
        exchange(bench_config("sweep")) as supervisor,
        Gateway.attach(supervisor.name, session="sweep") as gateway,
        hiccups(first, own, spare) as control,
    ):
        sender = Sender(gateway)
        sender.warm(first)
        control.interlude(replace(load, rate=first))
        sweep = Sweep(sender, load, measured, steps)
        sweep.climb(first, limit, factor)
        sweep.narrow()
        measured.histograms["hiccups"] = control.counts
        measured.figures = sweep.figures() | {"hiccups": control.figures()}
    measured.curve = sweep.rows()
    for row in measured.curve:
        if row["p99.9"] is None and not row["knee"]:
            needed = verdicts.seconds_for("99.9", row["rate"])
            measured.warnings.append(f"too few samples at {row['rate']:,}/s: p99.9 would be luck and is not told; it needs --seconds {needed:.3g}")
    lowest = measured.curve[0]["rate"]
    if limited := platform_limited(control.counts, measured.histograms[_name(lowest)], f"{lowest:,} orders/s"):
        measured.warnings.append(limited)
    if sweep.knee == lowest:
        measured.warnings.append(f"already {lowest:,} orders/s, the first rate, was over: lower --first, or use a quieter machine")
    if sweep.knee is None:
        measured.warnings.append(f"no knee up to {limit:,} orders/s: raise --limit")
    return measured


def _name(rate: int) -> str:
    return f"{rate:,}/s"


class Sends(Protocol):
    """What a sweep needs of a `passes.Sender`."""

    def send(self, load: Load) -> Pass:
        """One pass."""


class Sweep:
    """What was measured so far, by rate."""

    def __init__(self, sender: Sends, load: Load, measured: Measurement, steps: Steps) -> None:
        self._sender, self._load, self._measured, self._steps = sender, load, measured, steps
        self._rows: dict[int, dict[str, Any]] = {}
        self._over: dict[int, str] = {}
        """Rates over the knee, and why."""

    @property
    def knee(self) -> int | None:
        """The lowest rate that is over."""
        return min(self._over, default=None)

    def climb(self, first: int, limit: int, factor: float) -> None:
        """Raise the rate until one is over."""
        rate = first
        self._steps.expect(math.ceil(math.log(limit / first, factor)) + 1 + HALVINGS)
        while rate <= limit and self.knee is None:
            self._measure(rate)
            rate = math.ceil(rate * factor)

    def narrow(self) -> None:
        """Halve the step between the last good rate and the first bad one."""
        for _ in range(HALVINGS):
            good = [rate for rate in self._rows if rate not in self._over]
            if self.knee is None or not good:
                return
            self._measure(math.isqrt(max(good) * self.knee))

    def figures(self) -> dict[str, Any]:
        """The knee, in short."""
        sustained = max((rate for rate in self._rows if rate not in self._over), default=None)
        return {
            "sustained_rate": sustained,
            "sustained_p99_ns": self._rows[sustained]["p99"] if sustained else None,
            "knee_rate": self.knee,
            "knee_because": self._over[self.knee] if self.knee else "no rate was over",
            "knee_is": f"dropped orders, or achieved < {ACHIEVED:.0%} of the rate, or p99 > {KNEE:g} x the median p99 of lower rates; median of 3",
            "arrivals": self._load.arrivals,
            "seconds_a_rate": self._load.seconds,
        }

    def rows(self) -> list[dict[str, Any]]:
        """All rates in order; `knee` marks the one."""
        return [self._rows[rate] | {"knee": rate == self.knee} for rate in sorted(self._rows)]

    def _measure(self, rate: int) -> None:
        self._steps(f"{rate:,} orders/s for {self._load.seconds:g} s")
        load = replace(self._load, rate=rate)
        passes = [self._sender.send(load)]
        if self._why(passes):
            passes += [self._sender.send(load) for _ in range(AGAIN)]
        middle = sorted(passes, key=_p99)[len(passes) // 2]
        figures = recorded_percentiles(middle.latencies)
        self._rows[rate] = {
            "rate": rate,
            "achieved": round(_achieved(passes)),
            **{name: figures[name] for name in ("p50", "p99", "p99.9")},
            "dropped": median([done.dropped for done in passes]),
        }
        self._measured.histograms[_name(rate)] = middle.latencies
        if why := self._why(passes):
            self._over[rate] = why

    def _why(self, passes: list[Pass]) -> str:
        """Why this rate is over the knee; nothing when it is not."""
        rate = passes[0].load.rate
        if dropped := median([done.dropped for done in passes]):
            return f"dropped {dropped:,.0f} of {rate * passes[0].load.seconds:,.0f} orders"
        achieved = _achieved(passes)
        if achieved < ACHIEVED * rate:
            return f"achieved {achieved:,.0f} orders/s"
        below = (row["p99"] for other, row in self._rows.items() if other < rate and other not in self._over)
        lower = [known for known in below if known is not None]  # a short pass at a low rate has too few samples to tell
        p99 = median([_p99(done) for done in passes])
        if lower and p99 > KNEE * median(lower):
            return f"p99 {p99 / 1e3:,.1f} µs, {p99 / median(lower):,.0f} x that of the lower rates"
        return ""


def _p99(done: Pass) -> int:
    return percentiles(done.latencies, [99])[0]


def _achieved(passes: list[Pass]) -> float:
    return median([done.answered / done.seconds if done.seconds else 0.0 for done in passes])
