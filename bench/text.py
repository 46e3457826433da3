"""Figures for people: plain values first, then a table for every list of rows. Percentiles of one measure stand in one line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from bench.measurement import Measurement
from bench.stages import stacked_bars
from shm_exchange.cli.screen import table

_MEASURE = re.compile(r"(?P<measure>.+)_ns_(?P<figure>p[\d.]+|max)")
_INDENT = 4
_HIDDEN = re.compile(r".+_ns_samples")


def show(measured: Measurement, console: Console) -> None:
    """Everything that a terminal can show of a measurement."""
    console.print(Group(*_parts(measured.figures, console)))
    if measured.curve:
        console.print(Text("curve, nanoseconds", "bold"), Padding(_curve(measured.curve), (0, 0, 0, 2), expand=False))
    if measured.stages:
        console.print(Text("stages, mean of the orders around each percentile", "bold"))
        console.print(Padding(Text(stacked_bars(measured.stages, console.width - 2)), (0, 0, 0, 2), expand=False))


def _parts(figures: Mapping[str, Any], console: Console) -> list[RenderableType]:
    """Values, then what is nested."""
    values = [(key, value_text(value)) for key, value in figures.items() if not _is_nested(value)]
    parts: list[RenderableType] = [_pairs(values)] if values else []
    for key, value in figures.items():
        if isinstance(value, Mapping):
            parts += [
                Text(key, "bold"),
                Padding(Group(*(_rows([value], console) if _measures(value) else _parts(value, console))), (0, 0, 0, 2), expand=False),
            ]
        elif _is_nested(value):
            parts += [Text(key, "bold"), Padding(Group(*_rows(value, console)), (0, 0, 0, 2), expand=False)]
    return parts


def _is_nested(value: object) -> bool:
    return isinstance(value, Mapping) or (isinstance(value, list) and bool(value) and isinstance(value[0], Mapping))


def _measures(row: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Measure → percentile → nanoseconds."""
    found: dict[str, dict[str, Any]] = {}
    for key, value in row.items():
        if match := _MEASURE.fullmatch(key):
            found.setdefault(match["measure"], {})[match["figure"]] = value
    return found


def _rows(rows: list[Mapping[str, Any]], console: Console) -> list[RenderableType]:
    """A table: a line for every row, or for every measure of a row that has several; below it, lists inside a row.

    A table that is too wide becomes a block for each row.
    """
    plain = [key for key in rows[0] if not _MEASURE.fullmatch(key) and not _HIDDEN.fullmatch(key) and not _is_nested(rows[0][key])]
    figures = list(dict.fromkeys(figure for row in rows for measure in _measures(row).values() for figure in measure))
    numeric = [key for key in plain if all(not isinstance(row.get(key), str) for row in rows)]
    made = table(*(f">{key}" if key in numeric else key for key in plain), *(["ns", *(f">{figure}" for figure in figures)] if figures else []))
    for row in rows:
        _add(made, row, plain, figures)
    if console.measure(made).maximum + _INDENT > console.width:
        return _blocks(rows, console)
    parts: list[RenderableType] = [made]
    for row in rows:
        for key, value in row.items():
            if _is_nested(value) and not isinstance(value, Mapping):
                parts += [Text(f"{key} of {value_text(row[plain[0]])}", "dim"), Padding(Group(*_rows(value, console)), (0, 0, 0, 2), expand=False)]
    return parts


def _blocks(rows: list[Mapping[str, Any]], console: Console) -> list[RenderableType]:
    """One row after the other: its plain figures in running text, its measures as a table; or a line for every figure, where that fits no better."""
    blocks: list[RenderableType] = []
    for row in rows:
        measures = _measures(row)
        plain = [(key, value_text(value)) for key, value in row.items() if not _MEASURE.fullmatch(key) and not _HIDDEN.fullmatch(key)]
        made = table("ns", *(f">{figure}" for figure in next(iter(measures.values()), {})))
        for measure, values in measures.items():
            made.add_row(measure.replace("_", " "), *map(value_text, values.values()))
        if measures and console.measure(made).maximum + _INDENT <= console.width:
            blocks += [Text("  ".join(f"{key} {value}" for key, value in plain)), Padding(made, (0, 0, 0, 2), expand=False)]
        else:
            if len(rows) > 1:
                blocks.append(Text(" ".join(plain[0]), "dim"))
            blocks.append(Padding(_pairs([(key, value_text(value)) for key, value in row.items()]), (0, 0, 0, 2), expand=False))
    return blocks


def _pairs(values: list[tuple[str, str]]) -> Table:
    """Name and value; a long value goes on in the next line."""
    made = Table(box=None, pad_edge=False, show_header=False)
    made.add_column(no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in values:
        made.add_row(Text(name), Text(value))
    return made


def _add(made: Table, row: Mapping[str, Any], plain: list[str], figures: list[str]) -> None:
    cells = [value_text(row.get(key)) for key in plain]
    for measure, values in _measures(row).items() or [("", {})]:
        told = [measure.replace("_", " "), *(value_text(values.get(figure)) for figure in figures)] if figures else []
        made.add_row(*cells, *told)
        cells = [""] * len(plain)


def _curve(rows: list[dict[str, Any]]) -> Table:
    names = ("rate", "achieved", "p50", "p99", "p99.9", "dropped")
    made = table(*(f">{name}" for name in names), "")
    for row in rows:
        made.add_row(*(value_text(row[name]) for name in names), Text("◀ knee", "bold") if row["knee"] else "")
    return made


def value_text(value: object) -> str:
    """A figure with its digits grouped; "–" for one that is not known."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.3f}".rstrip("0").rstrip(".")
    if isinstance(value, int):
        return f"{value:,}"
    return ", ".join(map(value_text, value)) if isinstance(value, list) else str(value)
