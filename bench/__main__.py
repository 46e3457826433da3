"""`python -m bench COMMAND`: measurements, with the machine they were made on. Prints; asserts nothing.

Results go to standard output: tables, or with --json one object. The machine, what goes on, and warnings go to standard error.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console

from bench import environment
from bench.arrivals import ARRIVALS
from bench.flow import SCENARIOS
from bench.measurement import Measurement, merged
from bench.passes import Load
from bench.progress import Steps
from bench.report import check_folder, write_report
from bench.text import show
from shm_exchange.domain.errors import ExchangeError

Arguments = argparse.Namespace
Run = Callable[[Arguments, Steps], Measurement]


def _referee(arguments: Arguments, steps: Steps) -> Measurement:
    from bench import referee

    return referee.run(arguments.scenario, arguments.seed, arguments.count, arguments.boundary, arguments.runs, arguments.orders, steps)


def _latency(arguments: Arguments, steps: Steps) -> Measurement:
    from bench import latency

    load = _load(arguments, arguments.rates[0], closed=arguments.closed_loop, patience_ms=arguments.patience_ms, stall_ms=arguments.stall_ms)
    return latency.run(arguments.blocks, arguments.rates, load, arguments.corrected, steps)


def _sweep(arguments: Arguments, steps: Steps) -> Measurement:
    from bench import sweep

    return sweep.run(arguments.first, arguments.limit, arguments.factor, _load(arguments, arguments.first, patience_ms=arguments.patience_ms), steps)


def _gateways(arguments: Arguments, steps: Steps) -> Measurement:
    from bench import gateways

    return gateways.run(arguments.gateways, _load(arguments, arguments.rate, patience_ms=arguments.patience_ms), steps)


def _throughput(arguments: Arguments, steps: Steps) -> Measurement:
    from bench import throughput

    return throughput.run(arguments.count, steps)


def _transports(arguments: Arguments, steps: Steps) -> Measurement:
    from bench import transports

    return transports.run(arguments.count, steps)


def _snapshot(arguments: Arguments, steps: Steps) -> Measurement:
    from bench import snapshot

    return snapshot.run(arguments.count, steps)


def _isolation(arguments: Arguments, steps: Steps) -> Measurement:
    from bench import isolation

    return isolation.run(arguments.count, steps)


def _journal(arguments: Arguments, steps: Steps) -> Measurement:
    from bench import journal

    return journal.run(arguments.count, arguments.rounds, arguments.dir, steps)


def _compare(arguments: Arguments, steps: Steps) -> Measurement:
    from bench.compare import command

    return command.run(arguments, steps.say)


def _peers(arguments: Arguments, steps: Steps) -> Measurement:
    from bench.peers import command

    return command.run(arguments, steps.say)


def _load(arguments: Arguments, rate: int, **more: Any) -> Load:
    return Load(rate, arguments.seconds, arguments.arrivals, arguments.seed, **more)


def _positive(text: str) -> int:
    return _at_least(1, int(text))


def _not_negative(text: str) -> int:
    return _at_least(0, int(text))


def _at_least(least: int, number: int) -> int:
    if number < least:
        raise argparse.ArgumentTypeError(f"must be at least {least}, not {number}")
    return number


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0.0 < seconds <= 3600.0:
        raise argparse.ArgumentTypeError(f"must be more than 0 and at most 3600 seconds, not {text}")
    return seconds


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)

    def command(name: str, run: Run, text: str, repeat: int, dest: str = "repeat") -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text)
        _add_outputs(added)
        added.add_argument("--repeat", dest=dest, type=_positive, default=repeat, metavar="N", help=f"runs; medians are printed (default {repeat})")
        added.set_defaults(run=run, **({} if dest == "repeat" else {"repeat": 1}))
        return added

    _add_loads(command)
    _add_counts(command)
    _add_comparisons(commands)
    return parser


def _add_outputs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.add_argument("--report", type=Path, metavar="FOLDER", help="also write JSON, HDR logs, pictures and one HTML page to this folder")


def _add_loads(command: Callable[..., argparse.ArgumentParser]) -> None:
    """Commands that send orders on a schedule."""
    latency = command("latency", _latency, "orders on schedule, from the planned moment to the last report: percentiles, stages, round trips", 1)
    latency.add_argument("--rates", type=_positive, nargs="+", default=[100_000, 500_000], metavar="R", help="orders per second, one pass each")
    latency.add_argument("--closed-loop", action="store_true", help="each order waits for the last answer: hides stalls, for comparison only")
    latency.add_argument("--corrected", action="store_true", help="with --closed-loop: also put back what it left out (as HdrHistogram does)")
    latency.add_argument("--stall-ms", type=_not_negative, default=0, metavar="N", help="stop the matcher for N ms in the middle of each pass")
    latency.add_argument("--blocks", type=_positive, default=100, metavar="N", help="pairs of blocks of 2,000 round trips (default 100)")
    sweep = command("sweep", _sweep, "raise the rate of one gateway until p99 knees, orders are dropped or the rate is not met", 1)
    sweep.add_argument("--first", type=_positive, default=100_000, metavar="R", help="the lowest rate (default 100000 orders/s)")
    sweep.add_argument("--limit", type=_positive, default=20_000_000, metavar="R", help="the highest rate (default 20000000)")
    sweep.add_argument("--factor", type=float, default=1.6, metavar="X", help="from one rate to the next (default 1.6)")
    gateways = command("gateways", _gateways, "K gateway processes at once against one matcher: each one's histogram, and the merged one", 1)
    gateways.add_argument("--gateways", type=_positive, nargs="+", default=[1, 2, 4, 8], metavar="K", help="how many (default 1 2 4 8)")
    gateways.add_argument("--rate", type=_positive, default=10_000, metavar="R", help="orders per second of each gateway (default 10000)")
    for added, seconds, patience in ((latency, 2.0, 1000), (sweep, 0.5, 50), (gateways, 2.0, 1000)):
        added.add_argument("--seconds", type=_seconds, default=seconds, metavar="S", help=f"length of one pass (default {seconds:g})")
        added.add_argument("--arrivals", choices=ARRIVALS, default="poisson", help="how orders are spread in time (default poisson)")
        added.add_argument("--seed", type=_not_negative, default=23, help="of the arrivals (default 23)")
        text = f"how long an order waits for room in its lane before it is dropped (default {patience})"
        added.add_argument("--patience-ms", type=_positive, default=patience, metavar="N", help=text)


def _add_counts(command: Callable[..., argparse.ArgumentParser]) -> None:
    """Commands that do a number of things as fast as they can."""
    # Its repetitions are runs of one flow, whose digests must agree: it counts them itself.
    referee = command("referee", _referee, "the public workload: digests and messages per second", 3, "runs")
    referee.add_argument("--scenario", choices=[*SCENARIOS, "all"], default="all")
    referee.add_argument("--seed", type=int, default=23)
    referee.add_argument("--orders", type=Path, metavar="FILE", help="an orders_*.bin file instead of a generated flow")
    referee.add_argument("--boundary", choices=["kernel", "pipeline"], default="kernel")
    throughput = command("throughput", _throughput, "one gateway, batch calls and scalar calls", 3)
    transports = command("transports", _transports, "the lane beside faster-fifo, multiprocessing.Queue and Pipe", 1)
    snapshot = command("snapshot", _snapshot, "snapshot reads against a full-speed writer", 1)
    isolation = command("isolation", _isolation, "one gateway beside a flood, a stopped one and one that never reads; and the promised bound", 3)
    # Its repetitions are rounds of all modes in turn: it counts them itself.
    journal = command("journal", _journal, "what each mode of the journal costs, beside the disk's own time; replay and recovery", 5, "rounds")
    journal.add_argument("--dir", type=Path, metavar="FOLDER", help="an existing folder on the disk that is meant (default: for temporary files)")
    counts = ((referee, 1_000_000, "new orders"), (throughput, 2_000_000, "commands"))
    for added, count, what in (
        *counts,
        (journal, 2_000_000, "commands of a run"),
        (isolation, 200_000, "round trips of a pass"),
        (transports, 5_000_000, "messages through the lane"),
        (snapshot, 10_000_000, "reads"),
    ):
        added.add_argument("--count", type=_positive, default=count, metavar="N", help=f"{what} (default {count})")


def _add_comparisons(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Commands that run others: two builds in turns, and other engines."""
    from bench.compare import command as compare
    from bench.peers import command as peers

    for name, run, add_arguments, text in (
        ("compare", _compare, compare.add_arguments, "two builds in turns: is B slower than A?"),
        ("peers", _peers, peers.add_arguments, "engines that pip can install beside ours, one flow through the Python calls of each"),
    ):
        added = commands.add_parser(name, help=text, description=text)
        _add_outputs(added)
        add_arguments(added)
        added.set_defaults(run=run, repeat=1)


def _measure(arguments: Arguments) -> Measurement:
    """All runs of one command as one."""
    with Steps() as steps:
        runs = [arguments.run(arguments, steps)]
        while len(runs) < arguments.repeat:
            runs.append(arguments.run(arguments, steps))
    return merged(runs)


def _as_json(measured: Measurement, card: dict[str, Any]) -> str:
    """Figures at the top; beside them what is there of the rest. Histograms are for the report."""
    rest = {"stages": measured.stages, "curve": measured.curve, "warnings": measured.warnings}
    return json.dumps(measured.figures | {key: value for key, value in rest.items() if value} | {"environment": card})


def _problem_of(folder: Path | None) -> str:
    """Why no report can be written there; asked before anything is measured."""
    try:
        if folder is not None:
            check_folder(folder)
    except (ExchangeError, OSError) as error:
        return str(error)
    return ""


def main() -> int:
    """Run one measurement; 0 when it was made, 1 when it could not be, 130 when it was broken off."""
    arguments = _parser().parse_args()
    err = Console(stderr=True, highlight=False, soft_wrap=True)

    def tell(text: str) -> None:
        err.print(text, markup=False)

    if problem := _problem_of(arguments.report):
        tell(f"error: {problem}")
        return 1
    card = environment.environment()
    tell(environment.card(card))
    for warning in environment.warnings(card):
        tell(f"warning: {warning}")
    try:
        measured = _measure(arguments)
        if arguments.report is not None:
            command = shlex.join(["python", "-m", "bench", *sys.argv[1:]])
            tell(f"report: {write_report(arguments.report, arguments.command, measured, card, command, tell)}")
    except ExchangeError as error:
        tell(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        tell("interrupted: nothing was measured")
        return 130
    if arguments.json:
        sys.stdout.write(_as_json(measured, card) + "\n")
    else:
        show(measured, Console(highlight=False, width=None if sys.stdout.isatty() else 200))
    for warning in measured.warnings:
        tell(f"warning: {warning}")
    return int(_failed(measured, arguments))


def _failed(measured: Measurement, arguments: Arguments) -> bool:
    """Whether a limit that was given is not kept."""
    from bench.compare import command

    return arguments.command == "compare" and command.failed(measured, arguments)


if __name__ == "__main__":
    raise SystemExit(main())
