"""The command: its flags, the comparison, the verdict as a Measurement and as an exit code."""

from __future__ import annotations

import argparse
import math
import shlex
import statistics
from typing import Any

from bench.compare.rivals import side_by_side
from bench.compare.runs import MEASURES, Progress, Rounds, in_turns, is_rate, run_once
from bench.compare.trees import Tree, trees
from bench.compare.verdict import Verdict, check_rounds, judge
from bench.measurement import Measurement
from shm_exchange.domain.errors import ConfigError

ROUNDS = 16
ENGINE, ENGINE_MESSAGES = "engine", 50_000
_SCATTERED = 10
"""Percent; a comparison that could not find so much says little."""
_MEASURE_HELP = "the bench command that is run (default throughput); engine: the rules alone, in turns of milliseconds, for the smallest differences"
_EPILOG = """A and B are folders with a checkout, or git revisions of this one. Rounds alternate A B, B A; a verdict is wrong one time in a hundred.
example: python -m bench compare main . --measure latency --fail-if-slower 5"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Everything but --json and --report, which all commands have."""
    parser.epilog = _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("a", metavar="A", help="the build to compare with: a folder or a revision")
    parser.add_argument("b", metavar="B", help="the build in question")
    parser.add_argument("--measure", choices=(ENGINE, *MEASURES), default="throughput", help=_MEASURE_HELP)
    parser.add_argument(
        "--figure", metavar="PATH", help="another figure of its JSON, dotted, e.g. python_orders_per_second or open_loop.0.latency_ns_p99"
    )
    parser.add_argument("--rounds", type=int, default=ROUNDS, metavar="N", help=f"runs of each build, even (default {ROUNDS})")
    parser.add_argument("--count", type=int, metavar="N", help="--count of the command that is run (default: short, as fits many runs)")
    parser.add_argument("--fail-if-slower", type=float, metavar="PERCENT", help="exit 1 where B is found to be slower, by this much or more")


def run(arguments: argparse.Namespace, tell: Progress) -> Measurement:
    """Compare; raises ConfigError for builds, figures or numbers that do not fit."""
    check_rounds(arguments.rounds)
    if arguments.fail_if_slower is not None and not arguments.fail_if_slower >= 0:
        raise ConfigError(f"--fail-if-slower {arguments.fail_if_slower:g} would fail what is not slower: give a percentage of 0 or more")
    if arguments.measure == ENGINE:
        return _engines(arguments, tell)
    measure = MEASURES[arguments.measure]
    figure = arguments.figure or measure.figure
    count = arguments.count or measure.size
    command = [*measure.arguments, *(["--count", str(count)] if count else [])]
    with trees(arguments.a, arguments.b) as (a, b):
        rounds = in_turns(a, b, arguments.rounds, lambda tree: run_once(tree, command, figure), tell)
        verdict = judge(_times(rounds.a, figure), _times(rounds.b, figure))
        return measurement(a, b, rounds, verdict, ["python", "-m", "bench", *command], figure)


def _engines(arguments: argparse.Namespace, tell: Progress) -> Measurement:
    if arguments.figure is not None:
        raise ConfigError("--measure engine has one figure, nanoseconds of a turn: leave out --figure")
    messages = arguments.count or ENGINE_MESSAGES
    with trees(arguments.a, arguments.b) as (a, b):
        rounds = side_by_side(a, b, arguments.rounds, messages, tell)
        return measurement(a, b, rounds, judge(rounds.a, rounds.b), ["python", "bench/compare/engine_worker.py", str(messages), "1"], "ns_a_turn")


def failed(made: Measurement, arguments: argparse.Namespace) -> bool:
    """Whether --fail-if-slower was asked for and B is slower by so much: the interval leaves out 1, and the best estimate reaches the limit."""
    limit, figures = arguments.fail_if_slower, made.figures
    return limit is not None and figures["verdict"] == "slower" and figures["slower_percent"] >= limit


def _times(figures: list[float], figure: str) -> list[float]:
    """The smaller the better; a rate of nothing has no inverse, and `judge` says so."""
    return [1 / value if value else math.inf for value in figures] if is_rate(figure) else figures


def measurement(a: Tree, b: Tree, rounds: Rounds, verdict: Verdict, command: list[str], figure: str) -> Measurement:
    """What is printed of a comparison."""
    word = "no difference" if not verdict.differs else "slower" if verdict.ratio > 1 else "faster"
    made: dict[str, Any] = {
        "sentence": verdict.sentence(),
        "verdict": word,
        "ratio": verdict.ratio,
        "ratio_low": verdict.low,
        "ratio_high": verdict.high,
        "slower_percent": verdict.slower_percent,
        "smallest_found_percent": verdict.smallest_percent,
        "confidence_percent": verdict.confidence * 100,
        "rounds": verdict.rounds,
        "rounds_disturbed": rounds.disturbed,
        "command": shlex.join(command),
        "figure": figure,
        "a": a.facts() | {"median": statistics.median(rounds.a)},
        "b": b.facts() | {"median": statistics.median(rounds.b)},
        "by_round": [{"round": number + 1, "a": one, "b": other} for number, (one, other) in enumerate(zip(rounds.a, rounds.b, strict=True))],
    }
    return Measurement(made, warnings=_warnings(a, b, rounds, verdict))


def _warnings(a: Tree, b: Tree, rounds: Rounds, verdict: Verdict) -> list[str]:
    """What the reader must know of this comparison."""
    scatter = f"runs scatter so much that only a difference of {verdict.smallest_percent:.0f} % would have been found"
    found = [
        (a.folder == b.folder, "A and B are the same folder: this tells how well the machine compares, not the builds"),
        (rounds.disturbed > 0, f"others used the machine during {rounds.disturbed} of {verdict.rounds} rounds, however often those were tried"),
        (verdict.smallest_percent > _SCATTERED, f"{scatter}: stop what else is running, or give more --rounds"),
    ]
    return [text for applies, text in found if applies]
