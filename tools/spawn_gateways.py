"""`python -m tools.spawn_gateways NAME -n K --flow FLOW --rate R --cores 0,1`: `shm-exchange spawn` from a checkout, the flow as an option."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from typing import Annotated

import typer

from shm_exchange.cli.main import run_app
from shm_exchange.cli.spawn import TARGET_HELP, spawn


def _with_flow_option(command: Callable[..., None]) -> Callable[[], None]:
    """The same command, whose target is --flow."""

    def spawn_gateways(**given: object) -> None:
        command(**given)

    signature = inspect.signature(command, eval_str=True)
    flow = inspect.Parameter(
        "target", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[str | None, typer.Option("--flow", "-f", help=TARGET_HELP)]
    )
    others = [parameter for parameter in signature.parameters.values() if parameter.name != "target"]
    spawn_gateways.__signature__ = signature.replace(parameters=[others[0], flow, *others[1:]])  # type: ignore[attr-defined]
    spawn_gateways.__doc__ = command.__doc__ and command.__doc__.replace(
        "shm-exchange spawn demo maker", "python -m tools.spawn_gateways demo --flow maker"
    )
    return spawn_gateways


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, context_settings={"help_option_names": ["-h", "--help"]})
app.command()(_with_flow_option(spawn))

if __name__ == "__main__":
    run_app(app, sys.argv[1:])
