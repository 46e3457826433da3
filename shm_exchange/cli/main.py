"""The program `shm-exchange`: its commands, and how they end.

0    done, and everything that was checked holds        1    it does not, or an error: one line on standard error says what, why, what to do
2    the command line itself is wrong                   130  Ctrl-C (143 SIGTERM, 129 SIGHUP), after cleaning up
"""

from __future__ import annotations

import errno
import signal
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer

from shm_exchange.cli import clean, demo, doctor, end, journal, look, pipeline, replay, run, spawn, warm
from shm_exchange.cli.top.command import top
from shm_exchange.domain.errors import ExchangeError

_CURES = {
    errno.EMFILE: "allow more open files with `ulimit -n 4096`, or start fewer processes",
    errno.ENFILE: "the whole machine has too many open files; end something",
    errno.EAGAIN: "allow more processes with `ulimit -u`, or start fewer",
    errno.ENOMEM: "the machine is out of memory; end something, or use smaller sizes",
    errno.ENOSPC: "make room in /dev/shm and in the folder for temporary files",
}
"""What the system may be out of, and what to do."""

_EVERYWHERE = ("-v", "-vv", "--verbose", "-q", "--quiet", "--log-file")
"""Options of the program itself, which people also write behind the command."""

app = typer.Typer(
    name="shm-exchange",
    help="An exchange in shared memory: many gateway processes, one matcher, no locks.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_COMMANDS: tuple[tuple[Callable[..., None], str], ...] = (
    (demo.demo, "shm-exchange demo --orders 100000 --gateways 2"),
    (run.run, "shm-exchange run --instrument ACME:0.01:1 --core 1"),
    (look.list_, "shm-exchange list"),
    (look.status, "shm-exchange status demo --json"),
    (top, "shm-exchange top demo"),
    (spawn.spawn, "shm-exchange spawn demo maker -n 2 --rate 10000"),
    (replay.replay, "shm-exchange replay flow.csv --speed 10"),
    (end.stop, "shm-exchange stop demo"),
    (warm.warm, "shm-exchange warm"),
    (doctor.doctor, "shm-exchange doctor --cores 2,3"),
    (clean.clean, "shm-exchange clean --all"),
)
"""Each with an example that its help shows."""
for _command, _example in _COMMANDS:
    app.command(_command.__name__.rstrip("_"), epilog=f"Example:  {_example}")(_command)
app.add_typer(journal.app, name="journal")
app.add_typer(pipeline.app, name="pipeline")


def _print_version(wanted: bool) -> None:
    if not wanted:
        return
    from importlib.metadata import PackageNotFoundError, version
    from platform import python_version

    from shm_exchange.layout.digest import LAYOUT_VERSION, layout_digest

    try:
        own = version("shm-exchange")
    except PackageNotFoundError:
        own = "(from a checkout that is not installed)"
    typer.echo(f"shm-exchange {own}, layout {LAYOUT_VERSION}-{layout_digest():016x}, numba {version('numba')}, Python {python_version()}")
    raise typer.Exit


@app.callback()
def _options(
    *,
    verbose: Annotated[
        int, typer.Option("--verbose", "-v", count=True, help="Log what happens; -vv: in detail. Children log too.", show_default=False)
    ] = 0,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no news: results and errors only.")] = False,
    log_file: Annotated[Path | None, typer.Option(help="Log there instead of to standard error.", show_default=False)] = None,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Package, layout and library versions.")
    ] = False,
) -> None:
    """An exchange in shared memory: many gateway processes, one matcher, no locks.

    -v, -q and --log-file may stand before or behind the command.
    """
    from shm_exchange.cli.screen import Screen
    from shm_exchange.runtime.logs import log_to, say_plainly

    if verbose and quiet:
        raise typer.BadParameter("--quiet and --verbose contradict each other")
    Screen.quiet = quiet
    if verbose or log_file is not None:
        log_to("shm-exchange", "DEBUG" if verbose > 1 else "ERROR" if quiet else "INFO", log_file)
    else:
        say_plainly("ERROR" if quiet else "WARNING")


def with_options_first(arguments: list[str]) -> list[str]:
    """The same command line with the program's own options in front, wherever they stood before a bare `--`."""
    front, rest = [], []
    words = iter(arguments)
    for word in words:
        if word == "--":
            rest += [word, *words]
        elif word.partition("=")[0] not in _EVERYWHERE:
            rest.append(word)
        else:
            front += [word, *([value] if word == "--log-file" and (value := next(words, None)) is not None else [])]
    return front + rest


def main() -> None:
    """Run the command line, and exit."""
    run_app(app, with_options_first(sys.argv[1:]))


def run_app(program: typer.Typer, arguments: list[str]) -> None:
    """Run a command line as ours, and exit: errors in one line, signals clean up."""
    warnings.formatwarning = _warning_text
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    try:
        program(arguments)
    except ExchangeError as error:
        typer.echo(f"shm-exchange: {error}", err=True)
        sys.exit(1)
    except OSError as error:
        if error.errno not in _CURES:
            raise
        typer.echo(f"shm-exchange: the system refused: {error.strerror}; {_CURES[error.errno]}", err=True)
        sys.exit(1)


def _leave(number: int, _frame: FrameType | None) -> None:
    """End as after Ctrl-C: everything that was opened closes."""
    sys.exit(128 + number)


def _warning_text(message: Warning | str, *_: Any, **__: Any) -> str:
    """A warning is for the user: no file and line of ours."""
    return f"shm-exchange: {message}\n"
