"""What spawned gateways look like: the table that moves, the line a second, and the report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import ConsoleDimensions, Group, RenderableType
from rich.table import Table
from rich.text import Text

from shm_exchange.cli.screen import duration_text, table
from shm_exchange.runtime.affinity import parallel_processes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shm_exchange.supervisor.gateways import GatewayRun, Seen
    from shm_exchange.supervisor.wanted import Wanted

_WIDE = 120
_FRAME_LINES = 6
"""Of the moving table, beside its gateways."""
_ALL = "all"
_COUNTS = {"sent": "sent", "answered": "answered", "full": "lane_full", "rejects": "rejected", "fills": "fills", "drops": "dropped"}
_COLUMNS = _COUNTS | {name: name for name in ("p50", "p90", "p99", "p99.9", "p99.99", "max")}
_STATE_STYLES = {"running": "green", "done": "dim", "starting": "dim", "ready": "dim", "ending": "yellow", "ended": "yellow"}


def note(wanted: Wanted) -> str:
    """What to know before reading the figures."""
    running, cores = wanted.gateways + 1, parallel_processes()
    if running <= cores:
        return ""
    return f"note: {running} processes share {cores} cores: latencies are also those of the scheduler"


def line(run: GatewayRun, seen: list[Seen]) -> str:
    """Progress as one line of text."""
    states = [gateway.state for gateway in seen]
    head = f"{run.seconds:5.1f} s  " + ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    if not run.is_flow:
        return f"{head}  {sum(gateway.figures.get('commands', 0) for gateway in seen):,} commands"
    merged = run.merged()
    latency = merged["latency_ns"]
    return f"{head}  {merged['answered']:,} of {merged['sent']:,} answered  p50 {_time(latency['p50'])}  p99 {_time(latency['p99'])}"


def picture(run: GatewayRun, seen: list[Seen], size: ConsoleDimensions) -> RenderableType:
    """Progress as a table, within a terminal of that size."""
    wanted, room = run.wanted, max(1, size.height - _FRAME_LINES)
    pace = f"{wanted.rate:,.0f}/s each" if wanted.rate else "no rate"
    burst = f" in bursts of {wanted.burst:,}" if wanted.burst else ""
    head = Text(f"{wanted.target} × {wanted.gateways} on {run.name}, {pace}{burst}: {run.seconds:.1f} s; Ctrl-C ends it", style="bold")
    shown = seen[:room] if len(seen) <= room else seen[: room - 1]
    rest: list[RenderableType] = [Text(f"… and {len(seen) - len(shown)} more", style="dim")] if len(shown) < len(seen) else []
    if not run.is_flow:
        return Group(head, Text(), _lane_table(shown), *rest)
    rows = [(gateway.session, gateway.state, gateway.figures) for gateway in shown]
    return Group(head, Text(), _flow_table([*rows, (_ALL, "", run.merged())], size.width, moving=True), *rest)


def report(figures: dict[str, Any], width: int) -> list[RenderableType]:
    """What each gateway measured, and all together."""
    gateways = figures["gateways"]
    if "merged" not in figures:
        rows = [(gateway["session"], gateway["pid"], gateway["state"], repr(gateway["result"])) for gateway in gateways]
        return [table("gateway", ">process", "state", "returned", rows=rows)]
    merged = figures["merged"]
    measured = [(gateway["session"], gateway["state"], gateway) for gateway in gateways]
    shown = _flow_table([*measured, (_ALL, "", merged)] if len(measured) > 1 else measured, width)
    words = [
        ("latency", "from the planned moment to the answer; service: from sending"),
        ("answered", f"{merged['answered']:,} of {merged['sent']:,} in {merged['seconds']:.2f} s: {merged['answered_per_second']:,}/s"),
        ("dropped", f"{merged['dropped']:,} that were due and never sent; a lane was full {merged['lane_full']:,} times"),
    ]
    if merged["reports_lost"]:
        words.append(("lost", f"{merged['reports_lost']:,} reports, with the answers among them: these gateways read too slowly"))
    return [shown, Text(), _latencies(merged), Text(), table("", "", rows=words)]


def problems(figures: dict[str, Any]) -> list[str]:
    """What went wrong, a line each, with a traceback below where there is one."""
    found = [gateway["problem"] for gateway in figures["gateways"] if gateway["problem"]]
    if "merged" in figures:
        found = [f"{problem}; what it had measured counts" if "\n" not in problem else problem for problem in found]
        if figures["merged"]["misfits"]:
            found.append(
                f"this must not be: {figures['merged']['misfits']} reports do not add up; run it again with --seed {figures['seed']} and report it"
            )
    if not figures["matcher_alive"]:
        name = figures["exchange"]
        found.append(f"the matcher of exchange {name!r} ended meanwhile, and the gateways with it; look with `shm-exchange status {name}`")
    return found


def _flow_table(rows: Iterable[tuple[str, str, dict[str, Any]]], width: int, *, moving: bool = False) -> Table:
    """A row a gateway. What a narrow terminal has no room for is left out."""
    columns = _columns(width, moving=moving)
    states = moving or width >= _WIDE
    made = table("gateway", *(["state"] if states else []), *(f">{heading}" for heading in columns))
    for session, state, figures in rows:
        style = "bold" if session == _ALL else ""
        shown = [Text(state, style=_STATE_STYLES.get(state, "bold red"))] if states else []
        made.add_row(Text(session, style=style), *shown, *(Text(_cell(figures, column), style=style) for column in columns.values()))
    return made


def _columns(width: int, *, moving: bool) -> dict[str, str]:
    """Headings, and the names of the figures below them."""
    left_out = set() if width >= _WIDE else {"answered", "full", "p90", "p99.99", "p99.9" if moving else ""}
    return {heading: name for heading, name in _COLUMNS.items() if heading not in left_out}


def _cell(figures: dict[str, Any], name: str) -> str:
    return f"{figures[name]:,}" if name in figures else _time(figures["latency_ns"][name])


def _lane_table(seen: list[Seen]) -> Table:
    counts = ("commands", "depth", "open_orders", "reports", "reports_waiting")
    rows = [(gateway.session, gateway.pid, gateway.state, *(f"{gateway.figures.get(name, 0):,}" for name in counts)) for gateway in seen]
    return table("gateway", ">process", "state", ">commands", ">waiting", ">open", ">reports", ">unread", rows=rows)


def _latencies(merged: dict[str, Any]) -> Table:
    """Both distributions of all together. A percentile above which there are fewer than ten samples is not told."""
    names = list(merged["latency_ns"])
    rows = [
        ("latency", *(_time(merged["latency_ns"][name]) for name in names)),
        ("service", *(_time(merged["service_ns"][name]) for name in names)),
    ]
    return table("", *(f">{name}" for name in names), rows=rows)


def _time(nanoseconds: int | None) -> str:
    return "-" if nanoseconds is None else duration_text(nanoseconds)
