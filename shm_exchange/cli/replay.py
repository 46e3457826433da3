"""`shm-exchange replay`: a file's orders, through an exchange, as fast as it goes or by the file's own clock."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shm_exchange.cli.look import Json
from shm_exchange.cli.warm import warm_all

if TYPE_CHECKING:
    from shm_exchange.cli.screen import Screen
    from shm_exchange.participants.flow_files import Source
    from shm_exchange.participants.replay import Outcome
    from shm_exchange.protocol.flow import Flow

_FORMS = ("auto", "referee", "csv", "lobster")
_PERCENTS = {"p50": 50.0, "p90": 90.0, "p99": 99.0, "p999": 99.9, "max": 100.0}
_LIVE_SESSIONS = 8
"""Lanes of a private exchange that are left to others."""
_CROWD = 16


def _checked_form(form: str) -> str:
    if form not in _FORMS:
        raise typer.BadParameter(f"{form!r} is none of {', '.join(_FORMS)}")
    return form


def _checked_speed(speed: float | None) -> float | None:
    if speed is not None and not 0 < speed < 1e9:
        raise typer.BadParameter("it must be above 0: 1 is as fast as it was, 10 ten times as fast")
    return speed


def replay(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="LOBSTER messages, a referee's orders_*.bin, or our CSV.", show_default=False)],
    *,
    exchange: Annotated[str | None, typer.Option(metavar="NAME", help="A running one (default: a private one).", show_default=False)] = None,
    speed: Annotated[
        float | None,
        typer.Option(callback=_checked_speed, help="Times as fast as the file's clock (default: as fast as it goes).", show_default=False),
    ] = None,
    rows: Annotated[int | None, typer.Option(min=1, help="Only the first rows.", show_default=False)] = None,
    symbol: Annotated[str | None, typer.Option(help="Instrument of rows that name none.", show_default=False)] = None,
    session: Annotated[str, typer.Option(help="Session of rows that name none.")] = "replay",
    form: Annotated[str, typer.Option("--format", callback=_checked_form, help=f"One of {', '.join(_FORMS)}.")] = "auto",
    book: Annotated[
        Path | None, typer.Option(metavar="FILE", help="LOBSTER's book file (default: the one that lies beside).", show_default=False)
    ] = None,
    levels: Annotated[int | None, typer.Option(min=1, help="Compare so many levels a side (default: all).", show_default=False)] = None,
    compare: Annotated[bool, typer.Option("--compare/--no-compare", help="Compare with the book file after every row.")] = True,
    save_csv: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the commands as our CSV, and end.", show_default=False)] = None,
    as_json: Json = False,
) -> None:
    """Replay a file of orders on an exchange, and check what can be checked.

    Others may trade on it meanwhile. With --speed every command has a planned moment, and the lateness is reported.

    With a LOBSTER book file the published book is compared after every row, as far as the files let it be known, and every execution must meet
    the order that the file names: it ends 1 where they part.

    Our CSV has a header row, such as time_ns,session,action,client_order_id,side,price,quantity, with decimals, and for action one of enter,
    cancel, reduce, replace, mass_cancel. There may also be time (ISO 8601, for time_ns), symbol, order_type, time_in_force, self_trade, flags.

    Example: shm-exchange replay AAPL_2012-06-21_message_10.csv --speed 10
    """
    from shm_exchange.cli.replay_screen import Advance, parting, summary
    from shm_exchange.cli.screen import Screen
    from shm_exchange.participants.flow_files import Wish, read_source

    screen = Screen(as_json=as_json)
    instruments = _instruments(exchange) if exchange is not None else None
    with Advance(screen) as advance:
        source = read_source(file, Wish(form, session, symbol, instruments, rows, book), advance)
    if save_csv is not None:
        _save(source, save_csv, screen)
        return
    warm_all(screen)
    with Advance(screen) as advance, ExitStack() as stack:
        figures: dict[str, Any] = {"file": str(file), "format": source.form, "speed": speed}
        figures |= _replay(source, exchange, speed or 0.0, levels, compare, advance, stack)
    screen.result(figures)
    screen.show(*summary(figures))
    if failed := [name for name, holds in figures["checks"].items() if not holds]:
        screen.say(f"shm-exchange: this does not hold: {', '.join(failed)}{parting(figures)}")
        raise typer.Exit(1)


def _instruments(exchange: str) -> Any:
    from shm_exchange.shm import attach

    with attach(exchange, populate=False) as segment:
        return segment.config.instruments


def _save(source: Source, path: Path, screen: Screen) -> None:
    from shm_exchange.domain.errors import ConfigError
    from shm_exchange.protocol.csv_writer import encode_flow

    try:
        path.write_bytes(encode_flow(source.flow))
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}; give --save-csv another file") from error
    screen.result({"saved": str(path), "commands": len(source.flow.commands)})
    screen.show(f"{len(source.flow.commands):,} commands are in {path}")


def _replay(source: Source, name: str | None, speed: float, levels: int | None, compare: bool, advance: Any, stack: ExitStack) -> dict[str, Any]:
    """Run it, on the exchange of that name or on a private one; everything that was found."""
    from shm_exchange.client import MarketView
    from shm_exchange.participants.replay import replay as run
    from shm_exchange.participants.replay_check import Comparison, check_executions
    from shm_exchange.supervisor.exchange import Exchange

    flow, day = source.flow, source.day
    wanted = 0 if day is None or day.levels is None or not compare else min(levels or day.levels.shape[2], day.levels.shape[2])
    private = name is None
    if name is None:
        market = stack.enter_context(Exchange.start(f"replay-{os.getpid()}", flow.instruments, **_sizes(flow, wanted)))
        name = market.name
        advance.news(f"exchange {name!r} is private to this replay and ends with it; others may attach meanwhile")
    comparison = None
    if wanted and day is not None:
        index = int(flow.commands["instrument"][0]) if len(flow.commands) else 0
        view = stack.enter_context(MarketView.attach(name, flow.instruments[index].symbol))
        comparison = Comparison(view, day, min(wanted, view.levels_at_most))
    total = len(flow.commands)
    outcome = run(
        name,
        flow,
        speed=speed,
        after_row=comparison.after_row if comparison else None,
        rows=source.rows,
        keep_fills=day is not None and compare,
        tell=lambda done: advance("replaying", done, total),
    )
    figures: dict[str, Any] = {"exchange": name, "private": private, "rows": source.rows, **_figures(outcome), "checks": {}, "lobster": None}
    if day is not None:
        figures["lobster"] = {"book_file": str(source.book) if source.book else None, "notes": {what: len(seen) for what, seen in day.notes.items()}}
        if comparison is not None:
            comparison.finish(source.rows)
            figures["lobster"]["book"] = comparison.figures(day, flow.instruments[index])
            figures["checks"]["levels_equal"] = comparison.rows_equal == source.rows
        if compare:
            figures["lobster"]["executions"] = found = check_executions(day, outcome)
            figures["checks"]["executions_met_the_named_order"] = found["executions"] == found["met_the_named_order"]
            figures["checks"]["new_orders_rested"] = not found["traded_on_entry"]
    if private:
        figures["checks"]["book_check"] = market.verify().holds
    return figures


def _sizes(flow: Flow, depth: int) -> dict[str, Any]:
    """Room for all that the file can have open at once, and for some live sessions besides."""
    from shm_exchange.domain.config import LEVELS_PER_PAGE
    from shm_exchange.domain.limits import DEPTH_MAX, OPEN_ORDERS_MAX, SESSIONS_MAX

    orders = min(OPEN_ORDERS_MAX, max(65_536, flow.open_orders_bound() + 8192))
    pages = min(OPEN_ORDERS_MAX, max(8192, flow.pages_bound(LEVELS_PER_PAGE) + 1024))
    return {
        "max_orders": orders,
        "session_orders": orders,
        "max_pages": pages,
        "session_pages": pages,
        "max_sessions": min(SESSIONS_MAX, len(flow.sessions) + _LIVE_SESSIONS),
        "report_capacity": 32_768 if len(flow.sessions) <= _CROWD else 8192,
        "depth": min(DEPTH_MAX, max(10, depth)),
    }


def _figures(outcome: Outcome) -> dict[str, Any]:
    """An outcome in plain words."""
    import numpy as np

    late = outcome.lateness_ns
    figures: dict[str, Any] = {
        "commands": outcome.commands,
        "seconds": outcome.seconds,
        "commands_per_second": outcome.commands / outcome.seconds if outcome.seconds else 0.0,
        "reports": outcome.reports,
        "trades": outcome.trades,
        "traded_lots": outcome.traded_quantity,
        "reports_of": {kind.name.lower(): count for kind, count in outcome.kinds.items()},
        "rejects": {reason.lower(): count for reason, count in outcome.rejects.items()},
        "lateness_ns": None,
    }
    if late is not None and len(late):
        figures["lateness_ns"] = {name: int(np.percentile(late, percent, method="inverted_cdf")) for name, percent in _PERCENTS.items()}
    return figures
