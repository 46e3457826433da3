"""`shm-exchange spawn market.toml`: a population of participants on a running exchange, or in simulated time."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rich.text import Text

from shm_exchange.cli.look import only_name
from shm_exchange.cli.screen import Screen, duration_text, table
from shm_exchange.cli.warm import warm_all
from shm_exchange.domain.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import ConsoleDimensions, RenderableType
    from rich.table import Table

    from shm_exchange.participants.description import Description
    from shm_exchange.participants.scheduler import Simulated
    from shm_exchange.supervisor.population import Moment, Population

_REDRAW_SECONDS, _LINE_SECONDS = 0.2, 1.0
_INTERRUPTED = 130
_FRAME_LINES = 6
_STYLES = {"running": "green", "done": "dim", "starting": "dim", "ready": "dim", "ending": "yellow", "ended": "yellow"}
SIMULATED_SECONDS = 30.0


class MarketWish(NamedTuple):
    """What the command line says beside the file."""

    path: Path
    name: str | None
    seconds: float | None
    orders: int | None
    seed: int | None
    is_simulated: bool


def is_market_file(word: str | None) -> bool:
    """Whether a word of the command line means a file: exchanges, flows and functions have no such names."""
    return word is not None and word.endswith(".toml")


def spawn_market(wish: MarketWish, screen: Screen) -> int:
    """From the file to the verdict; the exit status."""
    from shm_exchange.participants.market_file import read_description

    sys.path.insert(0, str(Path.cwd()))  # where people keep the module they name
    for name, value in (("seconds", wish.seconds), ("orders", wish.orders)):
        if value is not None and value <= 0:
            raise ConfigError(f"{name} must be above 0, not {value:g}")
    if wish.seed is not None and wish.seed < 0:
        raise ConfigError(f"a seed is a whole number from 0, not {wish.seed}")
    description = read_description(wish.path)
    if wish.is_simulated:
        return _simulate(description, wish, screen)
    name = wish.name or description.exchange or only_name()
    from shm_exchange.shm import attach
    from shm_exchange.supervisor.population import Population

    attach(name, populate=False).close()  # what is wrong is said before kernels are compiled
    warm_all(screen)
    with Population(description, name, seconds=wish.seconds or 0.0, orders=wish.orders or 0, seed=wish.seed) as population:
        try:
            _follow(population, screen)
        except KeyboardInterrupt:
            screen.say("shm-exchange: ending early; Ctrl-C again does not wait")
            population.stop()
        figures = population.figures()
    screen.result(figures)
    screen.show(*_report(figures))
    for problem in figures["problems"]:
        screen.say(f"shm-exchange: {problem}")
    return _INTERRUPTED if figures["interrupted"] else 1 if figures["problems"] else 0


def _simulate(description: Description, wish: MarketWish, screen: Screen) -> int:
    """In one thread and in simulated time: the same every time."""
    from shm_exchange.participants.description import config_for
    from shm_exchange.participants.scheduler import simulate

    warm_all(screen)
    if wish.seed is not None:
        description = description._replace(seed=wish.seed)
    config = config_for(description)
    orders = wish.orders or description.orders
    seconds = wish.seconds or description.seconds or SIMULATED_SECONDS
    seats = description.seats(tuple(instrument.symbol for instrument in config.instruments), seconds, orders)
    outcome = simulate(config, [seat for seat, _ in seats], seconds)
    screen.result(outcome._asdict() | {"seed": description.seed, "participants": [member._asdict() for member in outcome.participants]})
    screen.show(*_simulated(outcome, description.seed))
    if not outcome.is_balanced or outcome.book_check:
        screen.say(f"shm-exchange: this must not be: run it again with --seed {description.seed} and report it")
        return 1
    return 0


def _follow(population: Population, screen: Screen) -> None:
    """Tell how it goes until all have ended: a table that moves, or a line every second."""
    if not screen.moving:
        for seen in population.moments(_LINE_SECONDS):
            screen.say(_line(population, seen))
        return
    with screen.live() as live:
        for seen in population.moments(_REDRAW_SECONDS):
            live.update(_picture(population, seen, screen.err.size), refresh=True)


def _line(population: Population, seen: Sequence[Moment]) -> str:
    states = [moment.state for moment in seen]
    merged = population.merged()
    latency = merged["latency_ns"]
    head = f"{population.seconds:5.1f} s  " + ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    counts = f"{merged['answered']:,} of {merged['sent']:,} answered  {merged['fills']:,} fills"
    return f"{head}  {counts}  p50 {_time(latency['p50'])}  p99 {_time(latency['p99'])}"


def _picture(population: Population, seen: Sequence[Moment], size: ConsoleDimensions) -> RenderableType:
    from rich.console import Group

    room = max(1, size.height - _FRAME_LINES)
    shown = seen if len(seen) <= room else seen[: room - 1]
    head = Text(f"{len(seen)} participants on {population.name}: {population.seconds:.1f} s; Ctrl-C ends it", style="bold")
    rest: list[RenderableType] = [Text(f"… and {len(seen) - len(shown)} more", style="dim")] if len(shown) < len(seen) else []
    rows = [(moment.session, moment.state, moment.positions, moment.pnl, moment.figures) for moment in shown]
    return Group(head, Text(), _members([*rows, ("all", "", None, None, population.merged())]), *rest)


def _members(rows: Sequence[tuple[str, str, list[int] | None, list[float] | None, dict[str, Any]]]) -> Table:
    made = table("participant", "state", ">position", ">earned", ">orders", ">fills", ">p50", ">p99")
    for session, state, positions, pnl, figures in rows:
        latency = figures["latency_ns"]
        made.add_row(
            session,
            Text(state, style=_STYLES.get(state, "bold red") if state else ""),
            "" if positions is None else _amounts(positions),
            "" if pnl is None else _amounts(pnl),
            f"{figures['sent']:,}",
            f"{figures['fills']:,}",
            _time(latency["p50"]),
            _time(latency["p99"]),
        )
    return made


def _report(figures: dict[str, Any]) -> list[RenderableType]:
    """What became of each, and whether the books balance."""
    rows = [(member["session"], member["state"], member["positions"], member["pnl"], member) for member in figures["members"]]
    merged, balance = figures["merged"], figures["balance"]
    if balance["holds"]:
        verdict = f"positions and cash of all {figures['participants']} participants add up to zero, over {balance['trades']:,} trades"
    else:
        verdict = f"not to be checked: {balance['note']}" if balance["note"] else "BROKEN"
    words = [
        ("earned", "in ticks × lots: cash, and what is held at the mid; an amount for each of " + ", ".join(figures["symbols"])),
        ("answered", f"{merged['answered']:,} of {merged['sent']:,} in {merged['seconds']:.2f} s: {merged['answered_per_second']:,}/s"),
        ("balance", verdict),
    ]
    return [_members([*rows, ("all", "", None, None, merged)]), Text(), table("", "", rows=words)]


def _simulated(outcome: Simulated, seed: int) -> list[RenderableType]:
    rows = [
        (member.session, _amounts(member.positions), _amounts(member.pnl), f"{member.commands:,}", f"{member.fills:,}")
        for member in outcome.participants
    ]
    words = [
        ("SHA-256", outcome.event_log_hash),
        ("simulated", f"{outcome.seconds:g} s, seed {seed}: {outcome.commands:,} commands, {outcome.events:,} events, {outcome.trades:,} trades"),
        ("balance", "positions and cash add up to zero" if outcome.is_balanced else "BROKEN"),
    ]
    return [table("participant", ">position", ">earned", ">orders", ">fills", rows=rows), Text(), table("", "", rows=words)]


def _amounts(amounts: Sequence[float]) -> str:
    return " ".join(f"{amount:+,.0f}" if amount else "0" for amount in amounts)


def _time(nanoseconds: int | None) -> str:
    return "-" if nanoseconds is None else duration_text(nanoseconds)
