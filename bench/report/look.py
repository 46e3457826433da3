"""How pictures look: one palette that colour-blind readers can tell apart (Okabe and Ito's), light and dark, wide and narrow."""

from __future__ import annotations

from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter, NullLocator

from bench.report.words import count, duration, percent_text


class Look(NamedTuple):
    """One rendering of a picture: for a light or a dark page, for a desk or a phone."""

    dark: bool
    narrow: bool

    @property
    def size(self) -> tuple[float, float]:
        """Inches."""
        return (4.3, 3.9) if self.narrow else (8.4, 4.5)

    @property
    def suffix(self) -> str:
        """Part of a file name."""
        return ("-dark" if self.dark else "") + ("-narrow" if self.narrow else "")

    @property
    def ink(self) -> str:
        """Text and lines."""
        return "#e8e6e3" if self.dark else "#1c1d1f"

    @property
    def faint(self) -> str:
        """Grids and frames."""
        return "#3d4045" if self.dark else "#dcdcd8"

    @property
    def soft(self) -> str:
        """Second thoughts."""
        return "#a9adb3" if self.dark else "#5f6368"

    @property
    def paper(self) -> str:
        """Behind everything."""
        return "#1b1c1f" if self.dark else "#ffffff"

    @property
    def colors(self) -> list[str]:
        """In the order in which they are used."""
        if self.dark:
            return ["#56b4e9", "#e69f00", "#2fc495", "#e392c3", "#f0e442", "#b8bec7", "#d9773c"]
        return ["#0072b2", "#d55e00", "#009e73", "#b5588f", "#e69f00", "#56b4e9", "#5f6368"]

    def settings(self) -> dict[Any, Any]:
        """For `matplotlib.rc_context`."""
        return dict.fromkeys(("xtick.color", "ytick.color", "axes.labelcolor"), self.soft) | {
            "figure.facecolor": self.paper,
            "axes.facecolor": self.paper,
            "savefig.facecolor": self.paper,
            "text.color": self.ink,
            "axes.edgecolor": self.faint,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "axes.axisbelow": True,
            "grid.color": self.faint,
            "grid.linewidth": 0.7,
            "font.family": "sans-serif",
            "font.sans-serif": ["DejaVu Sans"],
            "font.size": 10,
            "axes.labelsize": 10,
            "legend.fontsize": 9,
            "legend.frameon": False,
            "lines.linewidth": 1.8,
            "xtick.major.size": 0,
            "ytick.major.size": 0,
        }


LOOKS = tuple(Look(dark, narrow) for narrow in (False, True) for dark in (False, True))


def time_axis(axis: Any, low: float, high: float, most: int = 9) -> None:
    """Durations on a logarithmic axis: named at 1, 2 and 5 of every power of ten where that is not too many, at powers alone where it is."""
    decades = max(high / low, 1.0)
    subs = (1.0, 2.0, 5.0) if decades < 10 ** (most / 3) else (1.0, 3.0) if decades < 10 ** (most / 2) else (1.0,)
    axis.set_major_locator(LogLocator(10, subs=subs, numticks=30))
    axis.set_major_formatter(FuncFormatter(lambda value, _: duration(round(value, 6))))
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())


def rate_axis(axis: Any) -> None:
    """Rates with k and M."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: count(value)))
    axis.set_minor_formatter(NullFormatter())


def nines_axis(axes: Axes, most: float, *, narrow: bool) -> None:
    """The x axis of a percentile curve: 1 / (1 - share) on a log scale, each step another nine; narrow: every second is named."""
    axes.set_xscale("log")
    ticks = [1.0, 2.0] + [10.0**power for power in range(1, 12) if 10.0**power <= most]
    named = {2.0, *ticks[3::2]} if narrow else set(ticks[1:])
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: percent_text(100 - 100 / value) if value in named else ""))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlim(1.0, most)
