"""`python -m tools.profile record`: one process of an exchange, sampled while it is busy.

python -m tools.profile record --role matcher -- shm-exchange demo --orders 5000000 --rate 0
python -m tools.profile record --role gateway --out mine -- python -m bench throughput --count 20000000
python -m tools.profile record NAME                    an exchange that runs already
"""

from __future__ import annotations

import argparse
import shutil
import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.text import Text

from shm_exchange.cli.screen import Screen, table
from shm_exchange.domain.errors import ConfigError
from shm_exchange.runtime.perf_map import PERF_FOLDER, VARIABLE
from tools.profile import formats, recipes, sampling
from tools.profile.flamegraph import COLORS, flamegraph
from tools.profile.kernels import map_file
from tools.profile.options import positive
from tools.profile.stacks import COMPILED, IN_PYTHON
from tools.profile.target import GATEWAY, MATCHER, Running, Target, Wish, busy, running, running_exchange

_ROWS = 15
_FEW_SAMPLES = 200
_RATE_MAX = 20_000


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The command and its options."""
    parser = commands.add_parser(
        "record",
        help="sample the matcher or a gateway: table, flame graph, collapsed stacks, speedscope",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", nargs="?", default="", metavar="NAME", help="an exchange that runs; or give a command behind --")
    parser.add_argument("--role", choices=[MATCHER, GATEWAY], default=MATCHER, help="whom to look at (default matcher)")
    parser.add_argument("--session", default="", help="which gateway (default: the busiest)")
    parser.add_argument("--pid", type=positive(int), help="any process, at once")
    parser.add_argument("--seconds", type=positive(float), default=5.0, metavar="S", help="for how long (default 5)")
    parser.add_argument("--rate", type=positive(int, _RATE_MAX), default=997, metavar="HZ", help="samples a second (default 997)")
    parser.add_argument("--patience", type=positive(float), default=300.0, metavar="S", help="how long it may take to become busy (default 300)")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="where the files go (default profile-ROLE-TIME)")
    parser.add_argument("--sampler", choices=["auto", "perf", "py-spy"], default="auto", help="what samples (default: perf, else py-spy)")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    instead = parser.add_mutually_exclusive_group()
    for recipe in recipes.RECIPES:
        instead.add_argument(f"--{recipe}", dest="recipe", action="store_const", const=recipe, help=f"instead: {recipes.RECIPES[recipe].text}")
    parser.set_defaults(run=run, takes_command=True)


def run(arguments: argparse.Namespace, command: Sequence[str]) -> int:
    """Find the process, sample it, write the files, show the table."""
    screen = Screen(as_json=arguments.json)
    _check(arguments, command)
    if arguments.recipe:
        recipes.refuse(arguments.recipe)
        sampler, notes = "", list[str]()
    else:
        sampler, notes = sampling.choose(arguments.sampler)
    with TemporaryDirectory(prefix="shm_exchange-maps-") as maps, running(command, Path(maps)) if command else nullcontext() as child:
        target = _target(arguments, child, maps, screen)
        screen.say(f"{arguments.recipe or 'sampling'}: {target}, {arguments.seconds:g} s")
        if arguments.recipe:
            return _recipe(arguments, target, screen)
        out = arguments.out or Path(f"profile-{target.role}-{time.strftime('%Y%m%d-%H%M%S')}")
        out.mkdir(parents=True, exist_ok=True)
        profile = sampling.sample(target.pid, sampler, arguments.seconds, arguments.rate, out)
        if (kept := map_file(target.pid)) and kept.exists():
            shutil.copy(kept, out)  # for perf itself: put it into /tmp, then perf report -i perf.data
        status = child.poll() if child else 0
        if status is None:
            screen.say("sampled; ending the command")
        elif status:
            notes.append(f"the command itself ended with {status}")
    profile.notes = notes + _doubts(profile)
    _write(profile, target, out)
    _show(profile, target, out, screen)
    return 0


def _check(arguments: argparse.Namespace, command: Sequence[str]) -> None:
    if sum(map(bool, (arguments.name, arguments.pid, command))) > 1:
        raise ConfigError("a command behind --, the name of an exchange, or --pid: give only one of them")
    if arguments.session and arguments.role != GATEWAY:
        raise ConfigError("--session names a gateway: add --role gateway")
    if arguments.out and arguments.out.exists() and not arguments.out.is_dir():
        raise ConfigError(f"--out {arguments.out} is a file; name a folder")
    if arguments.pid and not Path(f"/proc/{arguments.pid}").exists():
        raise ConfigError(f"there is no process {arguments.pid}; `shm-exchange status NAME` shows those of an exchange")


def _target(arguments: argparse.Namespace, child: Running | None, maps: str, screen: Screen) -> Target:
    if arguments.pid:
        return Target("", "process", "", arguments.pid)
    name = "" if child else running_exchange(arguments.name)
    return busy(Wish(arguments.role, name, arguments.session, maps if child else ""), child, arguments.patience, screen.say)


def _recipe(arguments: argparse.Namespace, target: Target, screen: Screen) -> int:
    text = recipes.run(arguments.recipe, target.pid, arguments.seconds)
    screen.result({"recipe": arguments.recipe, "process": target.pid, "text": text})
    screen.show(Text(text))
    return 0


def _doubts(profile: sampling.Profile) -> list[str]:
    """What makes this profile worth less."""
    found = []
    if not profile.named:
        found.append(f"process {profile.pid} keeps no map of its kernels, so they are missing here: start it with {VARIABLE}={PERF_FOLDER}")
    native = sum(count for stack, count in profile.stacks if stack[0] == IN_PYTHON and all(frame.kind != COMPILED for frame in stack))
    if native > profile.samples / 2:
        found.append("most of it ran inside the interpreter: --sampler py-spy shows the functions of Python")
    if profile.samples < _FEW_SAMPLES:
        found.append(f"only {profile.samples} samples: shares are rough; sample longer with --seconds, or give it more to do")
    return found


def _write(profile: sampling.Profile, target: Target, out: Path) -> None:
    subtitle = f"{profile.samples:,} samples in {profile.seconds:.1f} s, {profile.sampler}, {profile.rate} a second of running time"
    (out / "flame.svg").write_text(flamegraph(formats.merged(profile), str(target), subtitle), encoding="utf-8")
    (out / "stacks.collapsed").write_text(formats.collapsed(profile), encoding="utf-8")
    (out / "speedscope.json").write_text(formats.speedscope(profile, str(target)), encoding="utf-8")


def _show(profile: sampling.Profile, target: Target, out: Path, screen: Screen) -> None:
    rows = formats.table(profile)
    figures = target._asdict() | {"sampler": profile.sampler, "rate": profile.rate, "seconds": round(profile.seconds, 3), "samples": profile.samples}
    top = [{**row._asdict(), "own": round(row.own, 4), "total": round(row.total, 4)} for row in rows]
    screen.result(figures | {"notes": profile.notes, "folder": str(out), "top": top})
    shown = rows[:_ROWS]
    cells = ((f"{row.own:.1%}", f"{row.total:.1%}", Text(row.name, overflow="ellipsis"), Text(row.kind, style=COLORS[row.kind])) for row in shown)
    screen.show(table(">itself", ">with calls", "function", "kind", rows=cells, title=str(target)))
    if rest := rows[_ROWS:]:
        screen.show(f"and {len(rest)} more with {sum(row.own for row in rest):.1%} together")
    for note in profile.notes:
        screen.show(Text(f"note: {note}"))
    screen.show(Text(f"files: {out}/flame.svg (a browser shows names and shares), stacks.collapsed, speedscope.json"))
