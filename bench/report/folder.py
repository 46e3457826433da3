"""Writes the folder, and says beforehand whether it can: a measurement of minutes is not lost to a missing package or a full folder."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import environment
from bench.measurement import Measurement
from bench.report.summary import summary
from bench.report.words import slug
from shm_exchange.domain.errors import ConfigError, missing_extra

if TYPE_CHECKING:
    from bench.report.look import Look

RESULT = "result.json"
PAGE = "report.html"
_NEEDED = {"matplotlib": "plot", "hdrh": "profile"}
_SUFFIXES = (".hlog", ".hgrm", ".png")

Progress = Callable[[str], None]


def check_folder(folder: Path) -> None:
    """Make the folder; refuse one that holds anything but an older report. Raises ConfigError, MissingExtra."""
    for module, group in _NEEDED.items():
        try:
            import_module(module)
        except ImportError as error:
            raise missing_extra(group, error) from None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        strangers = sorted(path.name for path in folder.iterdir() if not _is_ours(path))
    except OSError as error:
        raise ConfigError(f"cannot write a report to {folder}: {error.strerror}; give --report another folder") from None
    if strangers:
        raise ConfigError(f"{folder} holds {strangers[0]}, which is no report's: give --report a new or empty folder")


def _is_ours(path: Path) -> bool:
    return path.name in (RESULT, PAGE) or path.suffix in _SUFFIXES


def write_report(folder: Path, name: str, measurement: Measurement, card: dict[str, Any], command: str, tell: Progress) -> Path:
    """Everything about one measurement, in place of what an older report left there; returns the page.

    name: of the bench command; card: of `environment.environment()`; command: the line to repeat it with.
    """
    from bench.report.look import LOOKS, Look
    from bench.report.page import page
    from bench.report.pictures import drawable, render

    check_folder(folder)
    for path in folder.iterdir():
        path.unlink()
    ended = time.time()
    files = _write_histograms(folder, measurement, ended)
    pictures: dict[str, tuple[str, dict[Look, bytes]]] = {}
    for picture, (caption, draw) in drawable(measurement).items():
        tell(f"report: drawing {picture}")
        pictures[picture] = (caption, {look: render(draw, measurement, look) for look in LOOKS})
        (folder / f"{picture}.png").write_bytes(pictures[picture][1][Look(dark=False, narrow=False)])
        files.append(f"{picture}.png")
    result = _result(name, measurement, card, command, ended)
    (folder / RESULT).write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n")
    (folder / PAGE).write_text(page(result, pictures, [RESULT, *files]))
    return folder / PAGE


def _result(name: str, measurement: Measurement, card: dict[str, Any], command: str, ended: float) -> dict[str, Any]:
    return {
        "name": name,
        "when": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(ended)),
        "command": command,
        "warnings": [*measurement.warnings, *(text for text in environment.warnings(card) if text not in measurement.warnings)],
        "figures": measurement.figures,
        "histograms": {each: summary(counts) for each, counts in measurement.histograms.items()},
        "stages": measurement.stages,
        "curve": measurement.curve,
        "environment": card,
    }


def _write_histograms(folder: Path, measurement: Measurement, ended: float) -> list[str]:
    """Both HDR files of each histogram; returns their names."""
    from bench.report.hdr import to_hdr, write_log, write_percentiles

    stems: list[str] = []
    for name, counts in measurement.histograms.items():
        stem = slug(name)
        stems.append(stem if stem not in stems else f"{stem}-{len(stems) + 1}")
        histogram = to_hdr(counts)
        write_log(folder / f"{stems[-1]}.hlog", name, histogram, ended)
        write_percentiles(folder / f"{stems[-1]}.hgrm", histogram)
    return [f"{stem}{suffix}" for stem in stems for suffix in (".hlog", ".hgrm")]
