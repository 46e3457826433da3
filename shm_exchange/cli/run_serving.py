"""From a plan to "it runs" to "it was stopped": the supervisors of `shm-exchange run`, one, or one for each shard, all in this process."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import typer

from shm_exchange.domain.errors import ExchangeError, ProcessDied
from shm_exchange.domain.names import whole_name
from shm_exchange.supervisor.kept import Plan

if TYPE_CHECKING:
    from shm_exchange.cli.screen import Screen
    from shm_exchange.runtime.signals import SignalPipe
    from shm_exchange.supervisor.supervisor import Supervisor


class Wanted(NamedTuple):
    """What is to run in the foreground."""

    plans: Sequence[Plan]
    """One, or one for each shard."""
    cores: Sequence[int] = ()
    """Of the matchers; empty: any."""
    keeper_core: int | None = None
    adopts: bool = False
    """Take over what runs, instead of beginning."""


def serve(wanted: Wanted, screen: Screen) -> None:
    """Run it until it is told to end. Raises typer.Exit with the status that says why, and all that a start can raise."""
    from shm_exchange.cli.screen import Compiling
    from shm_exchange.runtime.warm import ensure_warm
    from shm_exchange.supervisor.sharding import core_of_each

    cores = core_of_each(wanted.cores or None, len(wanted.plans))
    with Compiling(screen) as progress:
        ensure_warm(progress)
    with _signals(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
        try:
            with _running(wanted, cores, signals) as supervisors:
                _serve(supervisors, signals, screen)
        except ExchangeError:
            signals.taken()
            if not signals.seen:
                raise
            screen.say(f"exchange {whole_name(wanted.plans[0].config.name)!r} was stopped before it ran")
    for number in sorted(signals.seen - {signal.SIGTERM}):
        raise typer.Exit(128 + number)


@contextmanager
def _running(wanted: Wanted, cores: Sequence[int | None], signals: SignalPipe) -> Iterator[list[Supervisor]]:
    """All of them, or none: who has begun is stopped, and who was adopted is left as it is, when another cannot be had."""
    from shm_exchange.supervisor.supervisor import Supervisor

    abort_on, supervisors = (signals.fileno(),), []
    with ExitStack() as undo:
        for plan, core in zip(wanted.plans, cores, strict=True):
            pins = (core, wanted.keeper_core)
            if wanted.adopts:
                supervisor = Supervisor.adopt(plan.config.name, cores=pins, abort_on=abort_on)
                undo.callback(supervisor.abandon)
            else:
                supervisor = Supervisor(plan.config, cores=pins, end_with_parent=False, abort_on=abort_on, journal=plan.journal, term=plan.term)
                undo.callback(supervisor.stop)
            supervisors.append(supervisor)
        undo.pop_all()
    with ExitStack() as running:
        for supervisor in supervisors:
            running.enter_context(supervisor)
        yield supervisors


def _signals(*numbers: signal.Signals) -> Any:
    """A SignalPipe that remembers which signals came: they decide the exit code."""
    from shm_exchange.runtime.signals import SignalPipe

    class Remembering(SignalPipe):
        seen: set[signal.Signals] = set()  # noqa: RUF012 (one object is ever made)

        def taken(self) -> set[signal.Signals]:
            self.seen |= (news := super().taken())
            return news

    return Remembering(*numbers)


def _serve(supervisors: Sequence[Supervisor], signals: SignalPipe, screen: Screen) -> None:
    """From "it runs" to "it was stopped"."""
    from shm_exchange.supervisor.serve import serve_in_foreground
    from shm_exchange.supervisor.status import status_of

    name, journal = whole_name(supervisors[0].name), supervisors[0].segment.journal
    figures = _figures(supervisors)
    screen.result(figures)
    matchers = ", ".join(str(supervisor.matcher.pid) for supervisor in supervisors)
    who = f"matcher: process {matchers}" if len(supervisors) == 1 else f"{len(supervisors)} matchers: processes {matchers}"
    screen.say(f"exchange {name!r} runs ({who}); end it with Ctrl-C or `shm-exchange stop {name}`")
    if journal.directory:
        screen.say(f"its journal ({journal.mode.name.lower()}) is {figures['journal']}; term {figures['term']}")
    if screen.moving:
        from rich.live import Live

        with Live(console=screen.err, get_renderable=_Pulse(supervisors), refresh_per_second=1, transient=True):
            death = serve_in_foreground(supervisors, signals)
    else:
        death = serve_in_foreground(supervisors, signals)
    last = [status_of(supervisor.segment) for supervisor in supervisors]
    troubles = [supervisor.stop() for supervisor in supervisors]
    if trouble := death if len(supervisors) == 1 and death else "\n".join(filter(None, troubles)):
        raise ProcessDied(trouble)
    commands, trades = (sum(row[key] for row in last) for key in ("commands", "trades"))
    screen.say(f"exchange {name!r} stopped after {commands:,} commands and {trades:,} trades")


def _figures(supervisors: Sequence[Supervisor]) -> dict[str, Any]:
    """Of the exchange; of one in shards, the same of each under "shards"."""
    rows: list[dict[str, Any]] = []
    for supervisor in supervisors:
        segment = supervisor.segment
        row: dict[str, Any] = {
            "name": supervisor.name,
            "pid": os.getpid(),
            "matcher_pid": supervisor.matcher.pid,
            "memory_bytes": segment.layout.size,
        }
        row |= {"journal": segment.journal.directory, "journal_mode": segment.journal.mode.name.lower(), "term": segment.term.number}
        rows.append(row | {"instruments": [instrument.symbol for instrument in segment.config.instruments]})
    if len(rows) == 1:
        return rows[0]
    figures = rows[0] | {"name": whole_name(rows[0]["name"]), "memory_bytes": sum(row["memory_bytes"] for row in rows)}
    figures["journal"] = rows[0]["journal"].rpartition("/")[0]
    figures["instruments"] = [symbol for row in rows for symbol in row["instruments"]]
    return figures | {"shards": rows}


class _Pulse:
    """One line of figures, anew every second."""

    def __init__(self, supervisors: Sequence[Supervisor]) -> None:
        self._segments = [supervisor.segment for supervisor in supervisors]
        self._before = (time.monotonic(), 0)

    def __call__(self) -> str:
        from shm_exchange.supervisor.status import status_of

        rows, now = [status_of(segment) for segment in self._segments], time.monotonic()
        when, before = self._before
        commands, trades, orders = (sum(row[key] for row in rows) for key in ("commands", "trades", "open_orders"))
        speed = (commands - before) / max(now - when, 1e-3)
        self._before = now, commands
        sessions = len({lane["session"] for row in rows for lane in row["lanes"] if lane["alive"]})
        return f"{speed:,.0f} commands/s   {trades:,} trades   {orders:,} open orders   {sessions} sessions"
