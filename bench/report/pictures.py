"""The pictures of a measurement, drawn with matplotlib: each function fills one figure, for one look."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from bench.measurement import Measurement
from bench.report.look import Look, nines_axis, rate_axis, time_axis
from bench.report.summary import curve, density, summary
from bench.report.words import count, duration
from shm_exchange.participants.histogram import Counts

_DPI = 160
_LINES = ("-", "--", "-.", ":")
_MARKS = ("o", "s", "^", "D")
_BARS_A_DOUBLING = 12
_SEGMENT_MIN = 0.075
"""A narrower share of a bar has no room for its number."""

Draw = Callable[[Measurement, Figure, Look], None]


def drawable(measurement: Measurement) -> dict[str, tuple[str, Draw]]:
    """The pictures that this measurement has data for: file name → (what it shows and how to read it, how to draw it)."""
    known: dict[str, tuple[bool, str, Draw]] = {
        "percentiles": (bool(_filled(measurement)), PERCENTILES_TEXT, _percentiles),
        "stages": (bool(measurement.stages), STAGES_TEXT, _stages),
        "sweep": (len(measurement.curve) > 1, SWEEP_TEXT, _sweep),
        "histograms": (bool(_filled(measurement)), HISTOGRAMS_TEXT, _histograms),
    }
    return {name: (text, draw) for name, (there, text, draw) in known.items() if there}


def render(draw: Draw, measurement: Measurement, look: Look) -> bytes:
    """A PNG."""
    with mpl.rc_context(look.settings()):
        figure = Figure(figsize=look.size, layout="constrained")
        draw(measurement, figure, look)
        png = io.BytesIO()
        figure.savefig(png, format="png", dpi=_DPI, pil_kwargs={"optimize": True})
    return png.getvalue()


def _filled(measurement: Measurement) -> dict[str, Counts]:
    return {name: counts for name, counts in measurement.histograms.items() if counts.any()}


PERCENTILES_TEXT = (
    "Latency by percentile. Each step to the right is another nine: one sample in a hundred lies beyond 99 %, one in a thousand beyond 99.9 %. "
    "Where a line turns thin and dotted, fewer than ten samples lie beyond: that part is luck."
)


def _percentiles(measurement: Measurement, figure: Figure, look: Look) -> None:
    axes = figure.add_subplot()
    filled = _filled(measurement)
    lowest, highest, rarest = np.inf, 0.0, 10.0
    for index, (name, counts) in enumerate(filled.items()):
        rarity, values, solid = curve(counts)
        rarity, values = np.append(1.0, rarity), np.append(values[0], values)
        color = look.colors[index % len(look.colors)]
        axes.plot(rarity[: solid + 1], values[: solid + 1], _LINES[index % len(_LINES)], color=color, label=name, drawstyle="steps-pre")
        axes.plot(rarity[solid:], values[solid:], ":", color=color, linewidth=1.3, drawstyle="steps-pre")
        lowest, highest, rarest = min(lowest, max(values[0], 1.0)), max(highest, values[-1]), max(rarest, rarity[-1])
    axes.set_yscale("log")
    axes.set_ylim(lowest / 1.3, highest * 1.4)
    time_axis(axes.yaxis, lowest / 1.3, highest * 1.4)
    nines_axis(axes, rarest * 1.3, narrow=look.narrow)
    axes.set_xlabel("percentile")
    axes.set_ylabel("latency")
    if look.narrow or len(filled) > 4:
        figure.legend(loc="outside upper left", ncols=1 if look.narrow else 3)
    else:
        axes.legend(loc="upper left")


STAGES_TEXT = (
    "Where the time goes, by percentile: the shares of each stage of an order's way, with their durations where there is room. "
    "All bars are equally long; the whole latency stands at the right."
)


def _stages(measurement: Measurement, figure: Figure, look: Look) -> None:
    axes = figure.add_subplot()
    rows = list(measurement.stages)
    names = list(dict.fromkeys(stage for stages in measurement.stages.values() for stage in stages))
    room = _SEGMENT_MIN * (2.2 if look.narrow else 1.0)
    for row, percentile in enumerate(rows):
        stages = measurement.stages[percentile]
        total, left = sum(stages.values()) or 1.0, 0.0
        for index, name in enumerate(names):
            share = stages.get(name, 0.0) / total
            color = look.colors[index % len(look.colors)]
            axes.barh(row, share, left=left, height=0.62, color=color, edgecolor=look.paper, linewidth=1.2, label=name if row == 0 else None)
            if share >= room:
                ink = "#ffffff" if _is_dark(color) else "#111111"
                axes.text(left + share / 2, row, duration(stages[name]), ha="center", va="center", color=ink, fontsize=8 if look.narrow else 9)
            left += share
        axes.text(1.015, row, duration(sum(stages.values())), ha="left", va="center", fontweight="bold")
    axes.set_yticks(range(len(rows)), rows)
    axes.tick_params(axis="y", labelcolor=look.ink)
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1.0], ["0 %", "25 %", "50 %", "75 %", "100 %"])
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("share of the latency")
    figure.legend(loc="outside upper left", ncols=2 if look.narrow else 5, handlelength=1.0)


def _is_dark(color: str) -> bool:
    red, green, blue = (int(color[at : at + 2], 16) for at in (1, 3, 5))
    return 0.299 * red + 0.587 * green + 0.114 * blue < 140


SWEEP_TEXT = (
    "Latency against load: each point is a run at a fixed rate of planned send times. The knee is the last rate before the tail takes off "
    "or orders are dropped; hollow points dropped orders."
)


def _sweep(measurement: Measurement, figure: Figure, look: Look) -> None:
    axes = figure.add_subplot()
    rows = measurement.curve
    seen: list[float] = []
    for index, key in enumerate(("p50", "p99", "p99.9")):
        points = [(row["rate"], row[key], row.get("dropped", 0)) for row in rows if row.get(key)]
        if not points:
            continue
        color = look.colors[index]
        rates, values = [rate for rate, _, _ in points], [value for _, value, _ in points]
        axes.plot(rates, values, _LINES[index], marker=_MARKS[index], markersize=5.5, color=color, label=key)
        lossy = [(rate, value) for rate, value, dropped in points if dropped]
        if lossy:
            axes.plot(*zip(*lossy, strict=True), _MARKS[index], markersize=5.5, markerfacecolor=look.paper, markeredgecolor=color)
        seen += values
    axes.set_yscale("log")
    axes.set_xscale("log")
    if seen:
        axes.set_ylim(min(seen) / 1.4, max(seen) * 1.6)
        time_axis(axes.yaxis, min(seen) / 1.4, max(seen) * 1.6)
    _mark_knee(axes, rows, look)
    _rate_ticks(axes, [row["rate"] for row in rows], 4 if look.narrow else 8)
    axes.set_xlabel("orders a second, offered")
    axes.set_ylabel("latency")
    axes.legend(loc="upper left")


def _mark_knee(axes: Any, rows: list[dict[str, Any]], look: Look) -> None:
    knee = next((row for row in rows if row.get("knee")), None)
    if knee is None:
        return
    axes.axvline(knee["rate"], color=look.soft, linewidth=1.2, linestyle=(0, (4, 3)))
    right = knee["rate"] > np.sqrt(rows[0]["rate"] * rows[-1]["rate"])
    axes.annotate(
        f"knee: {count(knee['rate'])}/s",
        (knee["rate"], 0.98),
        xycoords=("data", "axes fraction"),
        xytext=(-6 if right else 6, 0),
        textcoords="offset points",
        ha="right" if right else "left",
        va="top",
        color=look.ink,
    )


def _rate_ticks(axes: Any, rates: list[float], most: int) -> None:
    """Some of the measured rates themselves, far enough apart to be read, the last one always."""
    rate_axis(axes.xaxis)
    span, chosen = np.log(max(rates) / min(rates)) or 1.0, [max(rates)]
    for rate in sorted(rates, reverse=True):
        if np.log(chosen[-1] / rate) >= span / most:
            chosen.append(rate)
    axes.set_xticks(chosen)
    axes.minorticks_off()


HISTOGRAMS_TEXT = (
    "How often each latency was seen: samples for each doubling of the time. Heights are logarithmic, so that rare ones show too. "
    "The upright line is the median."
)


def _histograms(measurement: Measurement, figure: Figure, look: Look) -> None:
    filled = _filled(measurement)
    if len(filled) > 2:
        figure.set_size_inches(look.size[0], look.size[1] * (0.4 + 0.3 * len(filled)))
    panels = figure.subplots(len(filled), 1, sharex=True, squeeze=False)[:, 0]
    bars = {name: density(counts, _BARS_A_DOUBLING) for name, counts in filled.items()}
    low, high = min(edges[0] for edges, _ in bars.values()) / 1.2, max(edges[-1] for edges, _ in bars.values()) * 1.2
    for index, (axes, (name, (edges, heights))) in enumerate(zip(panels, bars.items(), strict=True)):
        color = look.colors[index % len(look.colors)]
        axes.stairs(heights, edges, baseline=0.1, fill=True, color=color, alpha=0.85)
        axes.axvline(summary(filled[name])["p50"] or np.nan, color=look.ink, linewidth=1.0)
        axes.set_title(f"{name}, {int(filled[name].sum()):,} samples", loc="left", fontsize=9.5, color=look.ink)
        axes.set_yscale("log")
        axes.set_ylim(1, max(heights.max() * 2, 10))
        axes.yaxis.set_major_locator(mpl.ticker.LogLocator(10, numticks=5))
        rate_axis(axes.yaxis)
        axes.set_xscale("log")
        axes.set_xlim(low, high)
    time_axis(panels[-1].xaxis, low, high, 6 if look.narrow else 12)
    panels[-1].set_xlabel("latency")
    figure.supylabel("samples for each doubling of the time", color=look.soft, fontsize=10)
