"""`shm-exchange run`: an exchange in the foreground, until Ctrl-C, SIGTERM or `shm-exchange stop`."""

from __future__ import annotations

import inspect
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shm_exchange.domain.errors import ConfigError, ExchangeError, ProcessDied

if TYPE_CHECKING:
    from shm_exchange.cli.screen import Screen
    from shm_exchange.domain.config import ExchangeConfig
    from shm_exchange.shm import Segment
    from shm_exchange.supervisor.kept import Plan
    from shm_exchange.supervisor.supervisor import Supervisor

_SIZES = {
    "max_orders": "Open orders at most.",
    "max_sessions": "Sessions (lanes) at most.",
    "lane_capacity": "Commands a lane holds; a power of two.",
    "report_capacity": "Reports a session may leave unread; a power of two.",
    "event_capacity": "Events kept for readers; a power of two.",
    "log_capacity": "Commands kept in the log; a power of two.",
    "depth": "Price levels a side in a snapshot.",
    "max_pages": "Pages of 64 price levels at most.",
    "session_orders": "Open orders a session may have.",
    "session_pages": "Pages a session may open.",
    "sweep_budget": "Commands taken from one lane in a sweep.",
}
_SMALL = 65_536
_PANEL = "Journal"


def _with_sizes(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command one flag for every size of an exchange."""
    signature = inspect.signature(command, eval_str=True)
    kept = [parameter for parameter in signature.parameters.values() if parameter.kind is not parameter.VAR_KEYWORD]
    kind = inspect.Parameter.KEYWORD_ONLY
    flags = [
        inspect.Parameter(size, kind, default=None, annotation=Annotated[int | None, typer.Option(help=text, rich_help_panel="Sizes")])
        for size, text in _SIZES.items()
    ]
    command.__signature__ = signature.replace(parameters=kept + flags)  # type: ignore[attr-defined]
    return command


@_with_sizes
def run(
    source: Annotated[str | None, typer.Argument(metavar="[FILE|NAME]", help="A TOML file, or the name of the exchange.", show_default=False)] = None,
    *,
    name: Annotated[str | None, typer.Option(help="Name of the exchange (default: demo).", show_default=False)] = None,
    instrument: Annotated[list[str] | None, typer.Option(help="SYMBOL:TICK:LOT[:MIN:MAX]; repeatable.", show_default=False)] = None,
    core: Annotated[int | None, typer.Option(help="Pin the matcher to this core.", show_default=False)] = None,
    keeper_core: Annotated[int | None, typer.Option(help="Pin the keeper to this core.", show_default=False)] = None,
    journal: Annotated[
        str | None,
        typer.Option(help="off, async (survives kill -9), group or sync (and power loss).", show_default="async", rich_help_panel=_PANEL),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option("--dir", help="Folder of the journal.", show_default="$XDG_STATE_HOME/shm_exchange/NAME", rich_help_panel=_PANEL),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where the journal ends, with a new term.", rich_help_panel=_PANEL)] = False,
    new: Annotated[bool, typer.Option("--new", help="Begin anew; a journal that is there is moved aside.", rich_help_panel=_PANEL)] = False,
    adopt: Annotated[bool, typer.Option("--adopt", help="Take over an exchange whose supervisor died.", rich_help_panel=_PANEL)] = False,
    print_config: Annotated[bool, typer.Option("--print-config", help="Print the effective TOML and end.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output once it runs.")] = False,
    **sizes: int | None,
) -> None:
    """Run an exchange in the foreground, until Ctrl-C or `shm-exchange stop`.

    Flags override the file. Without any instrument it has ACME with a tick of 0.01. If this process is killed, the matcher goes on
    (--adopt takes over).
    """
    from shm_exchange.cli.configuration import configured, journal_table, toml_text
    from shm_exchange.cli.screen import Screen
    from shm_exchange.supervisor.kept import Plan, effective, planned

    config = configured(source, name, instrument or (), sizes)
    told = journal_table(source) | {key: value for key, value in (("mode", journal), ("directory", folder)) if value is not None}
    if print_config:
        typer.echo(toml_text(config, effective(config.name, told)), nl=False)
        return
    screen, cores = Screen(as_json=as_json), (core, keeper_core)
    if resume + new + adopt > 1:
        raise ConfigError("--resume, --new and --adopt exclude one another: go on from files, begin anew, or take over what runs")
    given = any(value is not None for value in sizes.values()) or bool(instrument)
    if adopt:
        if given or journal is not None or folder is not None:
            raise ConfigError("--adopt takes over what runs as it is: leave out sizes, instruments and journal")
        _run(Plan(config), cores, screen, adopts=True)
        return
    plan = planned(config, told, resume=resume, new=new)
    if resume and given and plan.config != config:
        raise ConfigError("--resume goes on with the sizes and instruments that the journal says: leave out those flags")
    if plan.note:
        screen.say(plan.note)
    _run(plan, cores, screen)


def _run(plan: Plan, cores: tuple[int | None, int | None], screen: Screen, *, adopts: bool = False) -> None:
    from shm_exchange.cli.screen import Compiling
    from shm_exchange.runtime.warm import ensure_warm
    from shm_exchange.supervisor.supervisor import Supervisor

    name = plan.config.name
    if not adopts:
        show_sizes(plan.config, screen)
    with Compiling(screen) as progress:
        ensure_warm(progress)
    with _signals(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
        try:
            if adopts:
                supervisor = Supervisor.adopt(name, cores=cores, abort_on=(signals.fileno(),))
            else:
                supervisor = Supervisor(
                    plan.config, cores=cores, end_with_parent=False, abort_on=(signals.fileno(),), journal=plan.journal, term=plan.term
                )
            with supervisor:
                _serve(supervisor, signals, screen)
        except ExchangeError:
            signals.taken()
            if not signals.seen:
                raise
            screen.say(f"exchange {name!r} was stopped before it ran")
    for number in sorted(signals.seen - {signal.SIGTERM}):
        raise typer.Exit(128 + number)


def _signals(*numbers: signal.Signals) -> Any:
    """A SignalPipe that remembers which signals came: they decide the exit code."""
    from shm_exchange.runtime.signals import SignalPipe

    class Remembering(SignalPipe):
        seen: set[signal.Signals] = set()  # noqa: RUF012 (one object is ever made)

        def taken(self) -> set[signal.Signals]:
            self.seen |= (news := super().taken())
            return news

    return Remembering(*numbers)


def _serve(supervisor: Supervisor, signals: Any, screen: Screen) -> None:
    """From "it runs" to "it was stopped"."""
    from shm_exchange.supervisor.serve import serve_in_foreground
    from shm_exchange.supervisor.status import status_of

    name, segment = supervisor.name, supervisor.segment
    figures = {"name": name, "pid": os.getpid(), "matcher_pid": supervisor.matcher.pid, "memory_bytes": segment.layout.size}
    figures |= {"journal": segment.journal.directory, "journal_mode": segment.journal.mode.name.lower(), "term": segment.term.number}
    screen.result(figures | {"instruments": [instrument.symbol for instrument in segment.config.instruments]})
    screen.say(f"exchange {name!r} runs (matcher: process {supervisor.matcher.pid}); end it with Ctrl-C or `shm-exchange stop {name}`")
    if segment.journal.directory:
        screen.say(f"its journal ({segment.journal.mode.name.lower()}) is {segment.journal.directory}; term {segment.term.number}")
    if screen.moving:
        from rich.live import Live

        with Live(console=screen.err, get_renderable=_Pulse(segment), refresh_per_second=1, transient=True):
            death = serve_in_foreground(supervisor, signals)
    else:
        death = serve_in_foreground(supervisor, signals)
    last = status_of(segment)
    if death := death or supervisor.stop():
        raise ProcessDied(death)
    screen.say(f"exchange {name!r} stopped after {last['commands']:,} commands and {last['trades']:,} trades")


class _Pulse:
    """One line of figures, anew every second."""

    def __init__(self, segment: Segment) -> None:
        self._segment = segment
        self._before = (time.monotonic(), 0)

    def __call__(self) -> str:
        from shm_exchange.supervisor.status import status_of

        status, now = status_of(self._segment), time.monotonic()
        when, commands = self._before
        speed = (status["commands"] - commands) / max(now - when, 1e-3)
        self._before = now, status["commands"]
        sessions = sum(lane["alive"] for lane in status["lanes"])
        return f"{speed:,.0f} commands/s   {status['trades']:,} trades   {status['open_orders']:,} open orders   {sessions} sessions"


def show_sizes(config: ExchangeConfig, screen: Screen) -> None:
    """What the exchange takes, before it takes it. On standard error: it is no result."""
    from shm_exchange.cli.screen import bytes_text, table
    from shm_exchange.engine.book import book_bytes
    from shm_exchange.layout.regions import describe

    rows = describe(config)
    large = sorted((row for row in rows if row.bytes >= _SMALL), key=lambda row: -row.bytes)
    total = sum(row.bytes for row in rows)
    shared = [(row.structure, f"{row.count:,}", bytes_text(row.bytes), row.writer) for row in large]
    shared.append(("small words", "", bytes_text(total - sum(row.bytes for row in large)), "each by one"))
    private = [(f"own: {what}", "", bytes_text(count), "matcher") for what, count in book_bytes(config).items()]
    own = sum(book_bytes(config).values())
    screen.say(f"exchange {config.name!r} takes {bytes_text(total)} of shared memory, and of its matcher's own, as they are used, {bytes_text(own)}")
    screen.err.print(table("structure", ">records", ">bytes", "written by", rows=[*shared, *private]))
