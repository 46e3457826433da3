"""`shm-exchange spawn`: gateway processes against an exchange that runs, with a flow and a rate, or with a function of yours."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shm_exchange.cli.look import Json, only_name
from shm_exchange.cli.warm import warm_all
from shm_exchange.domain.errors import ConfigError
from shm_exchange.participants.flows import FLOWS

if TYPE_CHECKING:
    from shm_exchange.cli.screen import Screen
    from shm_exchange.supervisor.gateways import GatewayRun
    from shm_exchange.supervisor.wanted import Wanted

LIST = "list"
TARGET_HELP = f"A market file (market.toml), a flow ({', '.join(FLOWS)}), or a function as module:function; `{LIST}` says what the flows do."
_REDRAW_SECONDS = 0.2
_LINE_SECONDS = 1.0
_INTERRUPTED = 130


def spawn(
    name: Annotated[str | None, typer.Argument(help="Which exchange; not needed where there is only one.", show_default=False)] = None,
    target: Annotated[str | None, typer.Argument(help=TARGET_HELP, show_default=False)] = None,
    *,
    count: Annotated[int, typer.Option("--count", "-n", help="Gateway processes.")] = 1,
    rate: Annotated[float | None, typer.Option(help="Commands a second of each, at Poisson moments; without it, as fast as the lane takes.")] = None,
    burst: Annotated[int | None, typer.Option(help="Commands that come at the same moment: bursts at Poisson moments.", show_default=False)] = None,
    orders: Annotated[int | None, typer.Option(help="End after so many commands of each.", show_default=False)] = None,
    seconds: Annotated[float | None, typer.Option(help="End after so long (a flow without either: 10).", show_default=False)] = None,
    symbol: Annotated[list[str] | None, typer.Option(help="Trade only this; repeatable.", show_default=False)] = None,
    seed: Annotated[int | None, typer.Option(help="Of the flow (default: 1).", show_default=False)] = None,
    cores: Annotated[str | None, typer.Option(help="Pin the processes in turn to these: 0,1 or 0-3.", show_default=False)] = None,
    session: Annotated[str | None, typer.Option(help="Session names, in which {n} counts.", show_default=False)] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave open orders in the book; else they are canceled at the end.")] = False,
    arrivals: Annotated[str | None, typer.Option(help="How a rate is spread: poisson, or hawkes (in clusters).", show_default=False)] = None,
    simulate: Annotated[bool, typer.Option("--simulate", help="Of a market file: in simulated time, in one thread, the same every time.")] = False,
    example: Annotated[bool, typer.Option("--example", help="Print a market file to begin with.")] = False,
    as_json: Json = False,
) -> None:
    """Spawn gateway processes on a running exchange, and see what each of them measures.

    A flow keeps to its plan whatever the exchange does, and latency counts from the planned moment: nothing is omitted. Every command counts as one,
    a cancel or a replacement like an order. A function is called as function(gateway, …), with the options that you give as its keywords.
    """
    from shm_exchange.cli.screen import Screen, table
    from shm_exchange.cli.spawn_market import MarketWish, is_market_file, spawn_market

    screen = Screen(as_json=as_json)
    if example:
        from shm_exchange.participants.market_file import EXAMPLE

        typer.echo(EXAMPLE, nl=False)
        return
    if target is None:
        name, target = None, name
    if is_market_file(target):
        given = {"--count": count != 1, "--rate": rate, "--burst": burst, "--symbol": symbol, "--cores": cores, "--session": session}
        for option, is_given in (given | {"--keep": keep, "--arrivals": arrivals}).items():
            if is_given:
                raise ConfigError(f"{option} does not go with a market file: say it of each participant, in {target}")
        raise typer.Exit(spawn_market(MarketWish(Path(str(target)), name, seconds, orders, seed, simulate), screen))
    if simulate:
        raise ConfigError("--simulate needs a market file; `shm-exchange spawn --example > market.toml` makes one")
    if target == LIST:
        screen.result({"flows": {flow: FLOWS[flow].says for flow in FLOWS}})
        screen.show(table("flow", "what each gateway sends", rows=((flow, FLOWS[flow].says) for flow in FLOWS)))
        return
    if target is None:
        raise ConfigError(f"say what to spawn: one of {', '.join(FLOWS)}, or module:function")
    from shm_exchange.shm import attach
    from shm_exchange.supervisor.wanted import Wanted, checked, parsed_cores

    chosen = parsed_cores(cores) if cores is not None else ()
    wanted = Wanted(target, count, rate, burst, orders, seconds, seed, tuple(symbol or ()), chosen, session, keep, arrivals)
    checked(wanted)
    name = name or only_name()
    attach(name, populate=False).close()  # what is wrong is said before kernels are compiled
    sys.path.insert(0, str(Path.cwd()))  # where people keep the module they name
    warm_all(screen)
    raise typer.Exit(_spawn(name, wanted, screen))


def _spawn(name: str, wanted: Wanted, screen: Screen) -> int:
    """From the first process to the report; the exit status."""
    from shm_exchange.cli.spawn_screen import note, report
    from shm_exchange.supervisor.gateways import GatewayRun

    with GatewayRun(name, wanted) as run:
        if said := note(wanted):
            screen.say(said)
        try:
            _follow(run, screen)
        except KeyboardInterrupt:
            screen.say("shm-exchange: ending early; Ctrl-C again does not wait")
            run.stop()
        figures = run.figures()
    screen.result(figures)
    screen.show(*report(figures, screen.out.width))
    return _verdict(figures, screen)


def _follow(run: GatewayRun, screen: Screen) -> None:
    """Tell how it goes until all have ended: a table that moves, or a line every second."""
    from shm_exchange.cli.spawn_screen import line, picture

    if not screen.moving:
        for seen in run.moments(_LINE_SECONDS):
            screen.say(line(run, seen))
        return
    with screen.live() as live:
        for seen in run.moments(_REDRAW_SECONDS):
            live.update(picture(run, seen, screen.err.size), refresh=True)


def _verdict(figures: dict[str, object], screen: Screen) -> int:
    """Say who died and what does not add up; the exit status."""
    from shm_exchange.cli.spawn_screen import problems

    found = problems(figures)
    for problem in found:
        screen.say(f"shm-exchange: {problem}")
    return _INTERRUPTED if figures["interrupted"] else 1 if found else 0
