"""`shm-exchange run`: an exchange in the foreground, until Ctrl-C, SIGTERM or `shm-exchange stop`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shm_exchange.domain.errors import ConfigError
from shm_exchange.domain.names import checked_whole_name, parsed_shard

if TYPE_CHECKING:
    from shm_exchange.cli.screen import Screen
    from shm_exchange.domain.config import ExchangeConfig
    from shm_exchange.supervisor.kept import Plan

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
    shards: Annotated[int | None, typer.Option(help="So many matchers, to which instruments are dealt in turn.", show_default="1")] = None,
    core: Annotated[str | None, typer.Option(help="Pin the matcher to this core; those of shards to a list: 0,1.", show_default=False)] = None,
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
    from shm_exchange.cli.configuration import configured, journal_table, shards_told, toml_text
    from shm_exchange.cli.run_serving import Wanted, serve
    from shm_exchange.cli.screen import Screen
    from shm_exchange.supervisor.kept import effective
    from shm_exchange.supervisor.wanted import parsed_cores

    config = configured(source, name, instrument or (), sizes)
    told = journal_table(source) | {key: value for key, value in (("mode", journal), ("directory", folder)) if value is not None}
    count = shards_told(source) if shards is None else shards
    if print_config:
        typer.echo(toml_text(config, effective(config.name, told), count), nl=False)
        return
    if resume + new + adopt > 1:
        raise ConfigError("--resume, --new and --adopt exclude one another: go on from files, begin anew, or take over what runs")
    screen, cores = Screen(as_json=as_json), () if core is None else parsed_cores(core)
    given = any(value is not None for value in sizes.values()) or bool(instrument)
    if adopt:
        if given or journal is not None or folder is not None or shards is not None:
            raise ConfigError("--adopt takes over what runs as it is: leave out sizes, instruments, shards and journal")
        serve(Wanted(_found(config), cores, keeper_core, adopts=True), screen)
        return
    checked_whole_name(config.name)
    plans = _plans(config, told, count, resume=resume, new=new, given=given)
    for plan in plans:
        if plan.note:
            screen.say(plan.note)
    show_sizes(plans[0].config, screen, len(plans))
    serve(Wanted(plans, cores, keeper_core), screen)


def _found(config: ExchangeConfig) -> list[Plan]:
    """What is to be adopted: one exchange, one shard, or all shards. Raises ExchangeNotFound where some are missing."""
    from shm_exchange.shm import shards_of
    from shm_exchange.supervisor.kept import Plan

    return [Plan(replace(config, name=each)) for each in shards_of(config.name, timeout=0) or (config.name,)]


def _plans(config: ExchangeConfig, told: Mapping[str, Any], shards: int | None, *, resume: bool, new: bool, given: bool) -> list[Plan]:
    """What is to begin, or to go on: one exchange, or each of its shards; how many of them a resume finds. Raises ConfigError, JournalError."""
    from shm_exchange.supervisor.kept import planned
    from shm_exchange.supervisor.sharding import planned_shards, resumed_shards, split

    if resume and shards is None:
        shards = resumed_shards(config.name, told) or None
    if shards is None or shards == 1:
        plans, meant = [planned(config, told, resume=resume, new=new)], [config]
    else:
        plans = planned_shards(config, told, shards, resume=resume, new=new)
        meant = split(config, shards) if given else []
    if resume and given and [plan.config for plan in plans] != meant:
        raise ConfigError("--resume goes on with the sizes and instruments that the journal says: leave out those flags")
    return plans


def show_sizes(config: ExchangeConfig, screen: Screen, shards: int = 1) -> None:
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
    shard = parsed_shard(config.name)
    who = f"each of the {shards} shards of exchange {shard.whole!r}" if shard else f"exchange {config.name!r}"
    screen.say(f"{who} takes {bytes_text(total)} of shared memory, and of its matcher's own, as they are used, {bytes_text(own)}")
    screen.err.print(table("structure", ">records", ">bytes", "written by", rows=[*shared, *private]))
