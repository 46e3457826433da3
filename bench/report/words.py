"""Numbers and names as people read them: units chosen by size, thousands grouped."""

from __future__ import annotations

import re

_DURATIONS = ((1e9, "s"), (1e6, "ms"), (1e3, "µs"), (1.0, "ns"))
_COUNTS = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


def duration(nanoseconds: float | None) -> str:
    """`376 ns`, `1.24 µs`, `200 ms`; a dash for a figure that was not measured."""
    if nanoseconds is None:
        return "–"
    for factor, unit in _DURATIONS:
        if abs(nanoseconds) >= factor:
            return f"{_three(nanoseconds / factor)} {unit}"
    return f"{_three(nanoseconds)} ns"


def count(number: float) -> str:
    """`10.5 M`, `400 k`, `950`: for axes and labels."""
    for factor, unit in _COUNTS:
        if abs(number) >= factor:
            return f"{_three(number / factor)} {unit}"
    return _three(number)


def _three(number: float) -> str:
    """Three significant digits without trailing zeros, never an exponent."""
    size = abs(number)
    digits = 0 if size >= 100 else 1 if size >= 10 else 2
    text = f"{number:,.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def figure(key: str, value: object) -> str:
    """A value as its name says: durations with a unit, percentages, whole numbers grouped, dashes for what was not measured."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        if is_duration(key):
            return duration(value)
        text = f"{value:,}" if isinstance(value, int) else f"{value:,.0f}" if abs(value) >= 1000 else _three(value)
        return f"{text} %" if key.endswith("percent") else text
    if isinstance(value, list | tuple):
        return ", ".join(figure(key, item) for item in value) or "none"
    return str(value)


def is_duration(key: str) -> bool:
    """Whether a figure of this name is nanoseconds: `order_rtt_ns_p50`, `p99`, `latency_ns_max`; `latency_ns_samples` counts."""
    if key.endswith("_samples"):
        return False
    return "ns" in key.split("_") or re.fullmatch(r"p\d+(\.\d+)?", key) is not None


def title(key: str) -> str:
    """`order_rtt_ns_p50` → `order rtt p50`: the unit stands with the value."""
    return " ".join(word for word in key.split("_") if word not in ("ns", "percent"))


def slug(name: str) -> str:
    """A name as a file name: `open loop, 100,000/s` → `open-loop-100000-s`."""
    return re.sub(r"[^a-z0-9.]+", "-", re.sub(r"(?<=\d),(?=\d)", "", name.lower())).strip("-.") or "histogram"


def percent_text(percent: float) -> str:
    """`99.9 %` of 99.9, without a tail of zeros."""
    return f"{percent:.6f}".rstrip("0").rstrip(".") + " %"
