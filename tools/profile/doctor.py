"""`python -m tools.profile doctor`: what of profiling works on this machine, and what to do about the rest. Ends 1 only if nothing can sample."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from typing import NamedTuple

from rich.text import Text

from shm_exchange.cli.screen import Screen, table
from shm_exchange.runtime import perf_map
from tools.profile import machine, recipes


class Verdict(NamedTuple):
    """One line."""

    what: str
    good: bool
    text: str
    """What is there; or what is not, and what to do."""


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The command and its options."""
    parser = commands.add_parser("doctor", help="what of this works here, and what to do about the rest", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.set_defaults(run=run, takes_command=False)


def run(arguments: argparse.Namespace, _command: Sequence[str]) -> int:
    """Show all verdicts."""
    screen = Screen(as_json=arguments.json)
    found = list(verdicts())
    able = any(verdict.good for verdict in found if verdict.what in ("perf", "py-spy"))
    screen.result({"able": able, "verdicts": [verdict._asdict() for verdict in found]})
    rows = ((Text("ok", "green") if verdict.good else Text("no", "yellow"), verdict.what, verdict.text) for verdict in found)
    screen.show(table("", "", "", rows=rows))
    return 0 if able else 1


def verdicts() -> Iterator[Verdict]:
    """All that profiling wants of a machine."""
    perf = machine.said_by("perf", "--version")[1].strip()
    yield _verdict("perf", machine.why_no_perf, f"{perf}, samples with {machine.sampling_event()}")
    yield _paranoid()
    yield _verdict("hardware counters", recipes.why_no_counters, ", ".join(machine.counters()))
    yield _verdict("memory accesses (--c2c)", recipes.why_no_memory_samples, "can be sampled")
    yield _verdict("scheduler (--sched)", recipes.why_no_scheduler_events, "can be watched")
    yield _verdict("Intel PT", recipes.why_no_processor_trace, "is there: perf record -e intel_pt//u, magic-trace")
    yield _verdict("py-spy", machine.why_no_py_spy, machine.said_by(machine.program("py-spy") or "py-spy", "--version")[1].strip())
    yield _verdict(
        "names of kernels", perf_map.why_not, f"numba {version('numba')} tells them; {perf_map.VARIABLE}={perf_map.PERF_FOLDER} keeps maps"
    )


def _verdict(what: str, problem: Callable[[], str], good: str) -> Verdict:
    text = problem()
    return Verdict(what, not text, text or good)


def _paranoid() -> Verdict:
    level = machine.setting(machine.PARANOID)
    event = machine.sampling_event() or ""
    if level is None:
        return Verdict("perf_event_paranoid", good=False, text="this kernel was built without perf events; use another kernel")
    if event and not event.endswith(":u"):
        return Verdict("perf_event_paranoid", good=True, text=f"{level}: Linux itself may be sampled too")
    return Verdict("perf_event_paranoid", good=False, text=f"{level}: sudo sysctl kernel.perf_event_paranoid=1 shows Linux itself too")
