"""`shm-exchange top`: watch an exchange, or look once."""

from __future__ import annotations

import os
import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated

import typer

from shm_exchange.cli.look import Json, only_name
from shm_exchange.domain.errors import ConfigError, ExchangeNotFound, missing_extra

if TYPE_CHECKING:
    from shm_exchange.cli.top.probe import Probe
    from shm_exchange.cli.top.reading import Reader

_LOOK_SECONDS = 0.5
"""Between the two looks that a rate needs."""
_PROBES = 25
_NICENESS = 19
"""Where cores are few, the screen waits and not the exchange."""


def top(
    name: Annotated[str | None, typer.Argument(help="Which exchange, alive or dead; not needed where there is only one.", show_default=False)] = None,
    *,
    once: Annotated[bool, typer.Option("--once", help="One plain picture, and end.")] = False,
    probe: Annotated[
        bool, typer.Option("--probe", help="Take part with a session, and measure round trips; where cores are few, this changes what is measured.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Watch an exchange: processes, lanes, books, trades, and warnings in words.

    It reads memory only, so it also shows the last state of one that was killed. Keys: arrows or tab switch the instrument, ? tells the others.
    """
    name = name or only_name()
    if once or as_json:
        _look_once(name, with_probe=probe, as_json=as_json)
        return
    _check_terminal()
    try:
        from shm_exchange.cli.top.screen import TopScreen
    except ImportError as error:
        raise missing_extra("top", error) from None
    from shm_exchange.cli.top.reading import Reader

    with ExitStack() as opened:
        reader = Reader(name)
        opened.callback(reader.close)
        prober = opened.enter_context(_probe(reader)) if probe else None
        os.nice(_NICENESS)
        screen = TopScreen(reader, prober)
        screen.run()
    if screen.return_code:
        raise typer.Exit(screen.return_code)


def _check_terminal() -> None:
    """A screen needs somebody who sees it and has keys."""
    cure = "use --once for one plain picture, --json for an object, or `shm-exchange status`"
    if not all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)):
        raise ConfigError(f"there is no terminal to draw on; {cure}")
    if os.environ.get("TERM", "") in ("", "dumb", "unknown"):
        raise ConfigError(f"a terminal of type {os.environ.get('TERM', '')!r} cannot be drawn on; {cure}")


def _probe(reader: Reader) -> Probe:
    from shm_exchange.cli.top.probe import Probe

    if not reader.read().is_live:
        raise ExchangeNotFound(f"--probe needs a matcher that answers, and that of exchange {reader.config.name!r} is gone; look without it")
    return Probe(reader.config.name)


def _look_once(name: str, *, with_probe: bool, as_json: bool) -> None:
    from shm_exchange.cli.screen import Screen
    from shm_exchange.cli.top.alarms import alarms
    from shm_exchange.cli.top.figures import Pace
    from shm_exchange.cli.top.reading import Reader
    from shm_exchange.cli.top.rows import participants
    from shm_exchange.cli.top.sheet import figures_of, picture

    screen, pace = Screen(as_json=as_json), Pace()
    with ExitStack() as opened:
        reader = opened.enter_context(Reader(name, processes_seconds=0))
        prober = opened.enter_context(_probe(reader)) if with_probe else None
        reading = reader.read()
        figures = pace.add(reading)
        if reading.is_live:
            _wait(prober)
            reading = reader.read()
            figures = pace.add(reading)
        trips = prober.figures() if prober else None
    rows = participants(reading, figures)
    found = alarms(reading, rows)
    screen.result(figures_of(reading, figures, rows, found, trips))
    screen.show(*picture(reading, figures, rows, found, trips, min(screen.out.width, 120)))


def _wait(prober: Probe | None) -> None:
    """Half a second, in which a probe is busy."""
    for _ in range(_PROBES):
        if prober is not None:
            prober.measure()
        time.sleep(_LOOK_SECONDS / _PROBES)
