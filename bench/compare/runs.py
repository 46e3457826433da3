"""The runs: which command measures what, and both builds in turns, A B, B A, A B …, each run a process of its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from bench.compare.quiet import OTHERS_MAX, watched
from bench.compare.trees import Tree
from shm_exchange.domain.errors import ConfigError

Progress = Callable[[str], None]
Run = Callable[[Tree], float]

TRIES = 3
"""Of one round, where others use the machine."""


class Measure(NamedTuple):
    """A bench command short enough to be run dozens of times, and the figure of it that is compared."""

    arguments: tuple[str, ...]
    figure: str
    size: int | None  # default of its --count, where it has one


MEASURES = {
    "throughput": Measure(("throughput", "--repeat", "5"), "orders_per_second", 200_000),
    "latency": Measure(("latency", "--repeat", "1", "--blocks", "40", "--rates", "100000"), "order_rtt_ns_p50", None),
    "referee": Measure(("referee", "--scenario", "normal", "--repeat", "5"), "best_messages_per_second", 200_000),
    "transports": Measure(("transports", "--repeat", "1"), "transports.0.messages_per_second", 2_000_000),
    "snapshot": Measure(("snapshot", "--repeat", "3"), "reads_per_second", 1_000_000),
}
"""By name of the bench command. Several short measurements in one process, of which the best counts, cost less than several processes."""


def is_rate(figure: str) -> bool:
    """Whether more is better; of everything else less is."""
    return figure.rpartition(".")[2].endswith(("per_second", "_rate"))


def run_once(tree: Tree, arguments: list[str], figure: str) -> float:
    """One run of a bench command: its figure. Raises ConfigError with the last line of what the run said."""
    done = tree.run(["-m", "bench", *arguments, "--json"])
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise ConfigError(f"bench {arguments[0]} of {tree.given} ended with {done.returncode}: {last}")
    return best(json.loads(done.stdout), figure)


def best(result: dict[str, Any], figure: str) -> float:
    """The figure of the best measurement in one result, because what disturbs only ever slows; the figure itself where there was only one."""
    runs = result.get("runs")
    if not (isinstance(runs, list) and runs and all(isinstance(run, dict) for run in runs)):
        return pick(result, figure)
    found = [pick(run, figure) for run in runs]
    return max(found) if is_rate(figure) else min(found)


def pick(result: dict[str, Any], path: str) -> float:
    """The number at a dotted path; a whole number picks a row of a list. Raises ConfigError naming what is there."""
    here: Any = result
    for key in path.split("."):
        row = isinstance(here, list) and key.isdecimal() and int(key) < len(here)
        if not row and not (isinstance(here, dict) and key in here):
            there = ", ".join(map(str, here)) if isinstance(here, dict) else f"{len(here)} rows" if isinstance(here, list) else "a plain value"
            raise ConfigError(f"no figure {path!r}: at {key!r} there is {there}; give --figure one of them")
        here = here[int(key)] if row else here[key]
    if isinstance(here, bool) or not isinstance(here, int | float):
        raise ConfigError(f"figure {path!r} is {here!r}, no number: give --figure one that is")
    return float(here)


class Rounds(NamedTuple):
    """One figure a round of each build."""

    a: list[float]
    b: list[float]
    disturbed: int  # rounds during which others used much of the machine, each time they were tried


def in_turns(a: Tree, b: Tree, rounds: int, run: Run, tell: Progress) -> Rounds:
    """A begins the first round, B the second, and so on. Each runs once before, uncounted: kernels compile.

    A round during which others used the machine is tried again; of the tries the one that they disturbed least counts.
    """
    for name, tree in (("A", a), ("B", b)):
        tell(f"warming {name} ({tree.given}): compiles its kernels if it must")
        run(tree)
    made = Rounds([], [], 0)
    for number in range(rounds):
        order = (0, 1) if number % 2 == 0 else (1, 0)
        tries: list[tuple[float, float, float]] = []
        while len(tries) < TRIES and not (tries and tries[-1][0] <= OTHERS_MAX):
            tries.append(_round((a, b), order, run))
            others, figure_a, figure_b = tries[-1]
            tell(f"round {number + 1} of {rounds}: A {figure_a:,.1f}, B {figure_b:,.1f}, others used {others:.0%} of the machine")
        others, figure_a, figure_b = min(tries)
        made = Rounds([*made.a, figure_a], [*made.b, figure_b], made.disturbed + (others > OTHERS_MAX))
    return made


def _round(pair: tuple[Tree, Tree], order: tuple[int, int], run: Run) -> tuple[float, float, float]:
    """(share that others used during the worse of the two runs, A's figure, B's)."""
    figures, shares = [0.0, 0.0], []
    for which in order:
        figures[which], share = watched(partial(run, pair[which]))
        shares.append(share)
    return max(shares), figures[0], figures[1]
