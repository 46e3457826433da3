"""The page: one HTML file with its pictures inside it, readable on a phone and on a desk, in the light and in the dark, without a network."""

from __future__ import annotations

import html
from base64 import b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench import environment
from bench.report.look import Look
from bench.report.words import figure, is_duration, title

_STYLE = Path(__file__).with_name("page.css")
_NOTHING_FROM_OUTSIDE = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_PROSE = 40
"""Letters beyond which a cell is a sentence, and needs room."""
_NARROW = "(max-width: 34rem)"
_DARK = "(prefers-color-scheme: dark)"

Pictures = Mapping[str, tuple[str, Mapping[Look, bytes]]]
"""By name: the caption, and a PNG for each look."""


def page(result: Mapping[str, Any], pictures: Pictures, files: Sequence[str]) -> str:
    """The whole page of what `result.json` holds."""
    sections = [
        _head(result),
        _warnings(result["warnings"]),
        _section("Figures", _figures(result["figures"])),
        *(_picture(name, caption, looks) for name, (caption, looks) in pictures.items()),
        _section("Percentiles", _table([{"measured": name} | row for name, row in result["histograms"].items()])),
        _section("Stages", _table([{"percentile": name} | _as_durations(row) for name, row in result["stages"].items()])),
        _section("Saturation sweep", _table(result["curve"])),
        _section("To repeat it", f"<pre>{html.escape(result['command'])}</pre>" + _checkout(result["environment"])),
        _section("The machine", _machine(result["environment"])),
        _section("Files", f"<p>Beside this page: {html.escape(', '.join(files))}. Histograms are in nanoseconds.</p>"),
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_NOTHING_FROM_OUTSIDE}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>bench {html.escape(result['name'])}</title>\n<style>\n{_STYLE.read_text()}</style>\n</head>\n<body>\n"
        + "\n".join(part for part in sections if part)
        + "\n</body>\n</html>\n"
    )


def _head(result: Mapping[str, Any]) -> str:
    facts = result["environment"]
    where = f"{facts['cpu_model']}, {len(facts['cores_usable'])} cores, Python {facts['python']}, numba {facts['numba']}"
    return f'<h1>bench {html.escape(result["name"])}</h1>\n<p class="when">{html.escape(result["when"])} · {html.escape(where)}</p>'


def _warnings(warnings: Sequence[str]) -> str:
    if not warnings:
        return '<p class="none">No warnings: nothing that was looked at weakens these figures.</p>'
    lines = "".join(f"<li>{html.escape(warning)}</li>" for warning in warnings)
    return f'<div class="warnings"><h2>Before you believe it</h2><ul>{lines}</ul></div>'


def _section(heading: str, body: str) -> str:
    return f"<h2>{heading}</h2>\n{body}" if body else ""


def _figures(figures: Mapping[str, Any]) -> str:
    """Plain figures as one list, nested ones as captioned tables behind it."""
    plain = {key: value for key, value in figures.items() if not _is_nested(value)}
    parts = [_facts(plain)] if plain else []
    for key, value in figures.items():
        if isinstance(value, Mapping):
            parts.append(_facts(value, title(key)))
        elif _is_nested(value):
            parts.append(_table(value, title(key)))
    return "\n".join(parts)


def _is_nested(value: object) -> bool:
    return isinstance(value, Mapping) or (isinstance(value, list) and bool(value) and isinstance(value[0], Mapping))


def _facts(figures: Mapping[str, Any], caption: str = "") -> str:
    named = f"<caption>{html.escape(caption)}</caption>" if caption else ""
    rows = "".join(f"<tr><th>{html.escape(title(key))}</th><td>{_cell(key, value)}</td></tr>" for key, value in figures.items())
    return f'<table class="facts">{named}{rows}</table>'


def _table(rows: Sequence[Mapping[str, Any]], caption: str = "") -> str:
    """Rows of one kind; columns in the order in which they first appear, whole sentences last, nested ones left to result.json."""
    if not rows:
        return ""
    columns = list(dict.fromkeys(key for row in rows for key, value in row.items() if not _is_nested(value)))
    prose = {key for key in columns if any(len(str(row.get(key, ""))) > _PROSE for row in rows)}
    columns.sort(key=lambda key: key in prose)
    numbers = {key for key in columns if all(row.get(key) is None or _is_number(row[key]) for row in rows)}
    kinds = {key: "number" if key in numbers else "prose" if key in prose else "word" for key in columns}
    head = "".join(f'<th class="{kinds[key]}">{html.escape(title(key))}</th>' for key in columns)
    body = "".join("<tr>" + "".join(f'<td class="{kinds[key]}">{_shown(row, key)}</td>' for key in columns) + "</tr>" for row in rows)
    named = f"<caption>{html.escape(caption)}</caption>" if caption else ""
    return f'<div class="scroll"><table>{named}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shown(row: Mapping[str, Any], key: str) -> str:
    return _cell(key, row[key]) if key in row else ""


def _cell(key: str, value: object) -> str:
    if isinstance(value, Mapping):
        value = ", ".join(f"{title(name)} {figure(name, inner)}" for name, inner in value.items())
    return html.escape(figure("p50" if key == "max" or is_duration(key) else key, value))


def _as_durations(stages: Mapping[str, float]) -> dict[str, float]:
    return {f"{stage}_ns": value for stage, value in stages.items()}


def _picture(name: str, caption: str, looks: Mapping[Look, bytes]) -> str:
    """One picture in four renderings; the browser takes the one that fits the page."""
    queries = {Look(dark=True, narrow=True): f"{_NARROW} and {_DARK}", Look(dark=False, narrow=True): _NARROW, Look(dark=True, narrow=False): _DARK}
    sources = "".join(f'<source media="{query}" srcset="{_data(looks[look])}">' for look, query in queries.items())
    image = f'<img alt="{html.escape(name)}: {html.escape(caption)}" src="{_data(looks[Look(dark=False, narrow=False)])}">'
    return f"<figure><picture>{sources}{image}</picture><figcaption>{html.escape(caption)}</figcaption></figure>"


def _data(png: bytes) -> str:
    return "data:image/png;base64," + b64encode(png).decode()


def _checkout(card: Mapping[str, Any]) -> str:
    revision = card["git_revision"]
    return f"<p>In a checkout of revision {html.escape(revision)}, with the versions below.</p>" if revision else ""


def _machine(card: dict[str, Any]) -> str:
    rows = (line.partition("  ") for line in environment.card(card).splitlines())
    facts = "".join(f"<tr><th>{html.escape(name)}</th><td>{html.escape(text.strip())}</td></tr>" for name, _, text in rows)
    verdicts = "".join(f"<li>{html.escape(text)}</li>" for text in environment.warnings(card)) or "<li>nothing here weakens a measurement</li>"
    return f'<table class="facts">{facts}</table><p>Verdicts:</p><ul>{verdicts}</ul>'
