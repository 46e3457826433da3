"""`python -m bench COMMAND`: measurements, with the machine they were made on. Prints; asserts nothing."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench import environment
from bench.flow import SCENARIOS
from bench.measurement import Measurement
from bench.report import check_folder, write_report
from bench.statistics import merge_runs
from shm_exchange.domain.errors import ExchangeError


def _tell(text: str) -> None:
    sys.stderr.write(text + "\n")


def _referee(arguments: argparse.Namespace) -> dict[str, Any]:
    from bench import referee

    if arguments.scenario == "all" and not arguments.orders:
        return referee.run_all(arguments.seed, arguments.count, arguments.boundary, arguments.repeat, _tell)
    return referee.run(arguments.scenario, arguments.seed, arguments.count, arguments.boundary, arguments.repeat, arguments.orders, _tell)


def _repeated(measure: Callable[[], dict[str, Any]], arguments: argparse.Namespace) -> dict[str, Any]:
    runs = []
    for number in range(arguments.repeat):
        runs.append(measure())
        _tell(f"run {number + 1} of {arguments.repeat} done")
    return merge_runs(runs) if len(runs) > 1 else runs[0]


def _latency(arguments: argparse.Namespace) -> dict[str, Any]:
    from bench import latency

    return _repeated(lambda: latency.run(arguments.blocks, arguments.rates), arguments)


def _throughput(arguments: argparse.Namespace) -> dict[str, Any]:
    from bench import throughput

    return _repeated(lambda: throughput.run(arguments.count), arguments)


def _transports(arguments: argparse.Namespace) -> dict[str, Any]:
    from bench import transports

    return _repeated(lambda: transports.run(arguments.count), arguments)


def _snapshot(arguments: argparse.Namespace) -> dict[str, Any]:
    from bench import snapshot

    return _repeated(lambda: snapshot.run(arguments.count), arguments)


def _compare(arguments: argparse.Namespace) -> Measurement:
    from bench.compare import command

    return command.run(arguments, _tell)


def _peers(arguments: argparse.Namespace) -> Measurement:
    from bench.peers import command

    return command.run(arguments, _tell)


def _failed(made: Measurement, arguments: argparse.Namespace) -> bool:
    from bench.compare import command

    return arguments.command == "compare" and command.failed(made, arguments)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, not {number}")
    return number


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)

    def command(name: str, run: Callable[[argparse.Namespace], dict[str, Any]], text: str, repeat: int, count: int) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text)
        added.add_argument("--json", action="store_true", help="one JSON object on standard output")
        _add_report(added)
        added.add_argument("--repeat", type=_positive, default=repeat, metavar="N", help=f"runs; medians are printed (default {repeat})")
        added.add_argument("--count", type=_positive, default=count, metavar="N", help=f"how many (default {count})")
        added.set_defaults(run=run)
        return added

    referee = command("referee", _referee, "the public workload: digests and messages per second; --count: new orders", 3, 1_000_000)
    referee.add_argument("--scenario", choices=[*SCENARIOS, "all"], default="all")
    referee.add_argument("--seed", type=int, default=23)
    referee.add_argument("--orders", type=Path, metavar="FILE", help="an orders_*.bin file instead of a generated flow")
    referee.add_argument("--boundary", choices=["kernel", "pipeline"], default="kernel")
    latency = command("latency", _latency, "order, matched, report: round trips against a bare cache line; --count is not used", 1, 1)
    latency.add_argument("--blocks", type=_positive, default=100, metavar="N", help="pairs of blocks of 2,000 (default 100)")
    latency.add_argument("--rates", type=_positive, nargs="*", default=[100_000, 500_000], metavar="R", help="open-loop orders per second")
    command("throughput", _throughput, "one gateway, batch calls and scalar calls; --count: commands", 3, 2_000_000)
    command(
        "transports", _transports, "the lane beside faster-fifo, multiprocessing.Queue and Pipe; --count: messages through the lane", 1, 5_000_000
    )
    command("snapshot", _snapshot, "snapshot reads against a full-speed writer; --count: reads", 1, 10_000_000)
    _add_comparisons(commands)
    return parser


def _add_comparisons(commands: Any) -> None:
    """The commands that run others: two builds in turns."""
    from bench.compare import command as compare
    from bench.peers import command as peers

    for name, run, add_arguments, text in (
        ("compare", _compare, compare.add_arguments, "two builds in turns: is B slower than A?"),
        ("peers", _peers, peers.add_arguments, "engines that pip can install beside ours, one flow through the Python calls of each"),
    ):
        added = commands.add_parser(name, help=text, description=text)
        added.add_argument("--json", action="store_true", help="one JSON object on standard output")
        _add_report(added)
        add_arguments(added)
        added.set_defaults(run=run)


def _add_report(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--report", type=Path, metavar="FOLDER", help="also write JSON, HDR logs, pictures and one HTML page to this folder")


def _table(result: dict[str, Any], indent: str = "") -> str:
    """Figures for people: nested rows indented, large numbers grouped."""
    lines = []
    for key, value in result.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            lines += [f"{indent}{key}:"] + [_table(row, indent + "    ") for row in value]
        elif isinstance(value, dict):
            lines += [f"{indent}{key}:", _table(value, indent + "    ")]
        else:
            shown = f"{value:,.3f}".rstrip("0").rstrip(".") if isinstance(value, float) else f"{value:,}" if type(value) is int else str(value)
            lines.append(f"{indent}{key:32} {shown}")
    return "\n".join(lines)


def _report_problem(folder: Path) -> str:
    """Why no report can be written there, before minutes are spent on measuring."""
    try:
        check_folder(folder)
    except ExchangeError as error:
        return str(error)
    return ""


def main() -> int:
    """Run one measurement; 0 when it was made."""
    arguments = _parser().parse_args()
    if arguments.report and (problem := _report_problem(arguments.report)):
        _tell(f"error: {problem}")
        return 1
    card = environment.environment()
    _tell(environment.card(card))
    for warning in environment.warnings(card):
        _tell(f"warning: {warning}")
    try:
        made = arguments.run(arguments)
        measurement = made if isinstance(made, Measurement) else Measurement(made)
        if arguments.report:
            command = shlex.join(["python", "-m", "bench", *sys.argv[1:]])
            _tell(f"report: {write_report(arguments.report, arguments.command, measurement, card, command, _tell)}")
    except ExchangeError as error:
        _tell(f"error: {error}")
        return 1
    for warning in measurement.warnings:
        _tell(f"warning: {warning}")
    result = measurement.figures | {"environment": card}
    sys.stdout.write(json.dumps(result) + "\n" if arguments.json else _table({k: v for k, v in result.items() if k != "environment"}) + "\n")
    return int(_failed(measurement, arguments))


if __name__ == "__main__":
    raise SystemExit(main())
