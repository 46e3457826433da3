"""`shm-exchange demo`: gateways trade, a reader watches, and the end is a verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from shm_exchange.cli.look import Json
from shm_exchange.cli.warm import warm_all

if TYPE_CHECKING:
    from shm_exchange.cli.screen import Screen
    from shm_exchange.cli.simulation import Simulation

_REDRAW_SECONDS = 0.125
_LINE_SECONDS = 1.0
_GATEWAYS_MAX = 32


def demo(
    *,
    orders: Annotated[int, typer.Option(min=1, help="New orders in all; cancels and changes come on top.")] = 1_000_000,
    gateways: Annotated[int, typer.Option(min=1, max=_GATEWAYS_MAX, help="Gateway processes.")] = 4,
    seed: Annotated[int, typer.Option(min=0, help="Of the market; another seed, another day.")] = 1,
    rate: Annotated[int, typer.Option(min=0, help="New orders a second in all; 0: as fast as it goes.")] = 250_000,
    as_json: Json = False,
) -> None:
    """Watch gateway processes trade three instruments through one matcher, and see it checked.

    Ends 0 only if every check holds: no report is missing, no lot is lost, and the reader's books are the matcher's.
    """
    from shm_exchange.cli.screen import Screen

    screen = Screen(as_json=as_json)
    warm_all(screen)
    from shm_exchange.cli.demo_screen import summary
    from shm_exchange.cli.simulation import Plan, Simulation

    with Simulation(Plan(orders, gateways, seed, rate)) as simulation:
        _follow(simulation, screen)
        figures = simulation.verdict()
    screen.result(figures)
    screen.show(*summary(figures))
    if not all(figures["checks"].values()):
        raise typer.Exit(_say_failure(figures, screen))


def _follow(simulation: Simulation, screen: Screen) -> None:
    """Tell of progress until all have traded: a picture that moves, or a line every second."""
    from shm_exchange.cli.demo_screen import line, picture

    if not screen.moving:
        for moment in simulation.moments(_LINE_SECONDS):
            if moment.orders:
                screen.say(line(moment, simulation.plan))
        return
    with screen.live() as live:
        for moment in simulation.moments(_REDRAW_SECONDS):
            live.update(picture(moment, simulation.plan), refresh=True)


def _say_failure(figures: dict[str, Any], screen: Screen) -> int:
    failed = ", ".join(name for name, holds in figures["checks"].items() if not holds)
    screen.say(f"shm-exchange: this must not be: {failed} failed; run it again with --json --seed {figures['seed']} and report it")
    if figures["problem"]:
        screen.say(f"shm-exchange: the reader says: {figures['problem']}")
    return 1
