"""The program `shm-exchange`: its commands, and how they end.

0    done, and everything that was checked holds        1    it does not, or an error: one line on standard error says what, why, what to do
2    the command line itself is wrong                   130  Ctrl-C (143 SIGTERM, 129 SIGHUP), after cleaning up
"""

from __future__ import annotations

import errno
import signal
import sys
import warnings
from importlib.metadata import PackageNotFoundError, version
from types import FrameType
from typing import Annotated, Any

import typer

from shm_exchange.cli import demo, end, look, replay, run, warm
from shm_exchange.domain.errors import ExchangeError

_CURES = {
    errno.EMFILE: "allow more open files with `ulimit -n 4096`, or start fewer processes",
    errno.ENFILE: "the whole machine has too many open files; end something",
    errno.EAGAIN: "allow more processes with `ulimit -u`, or start fewer",
    errno.ENOMEM: "the machine is out of memory; end something, or use smaller sizes",
    errno.ENOSPC: "make room in /dev/shm and in the folder for temporary files",
}
"""What the system may be out of, and what to do."""

app = typer.Typer(
    name="shm-exchange",
    help="An exchange in shared memory: many gateway processes, one matcher, no locks.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _command in (demo.demo, run.run, replay.replay, look.list_, look.status, end.stop, warm.warm, end.clean):
    app.command(_command.__name__.rstrip("_"))(_command)


def _print_version(wanted: bool) -> None:
    if not wanted:
        return
    try:
        typer.echo(f"shm-exchange {version('shm-exchange')}")
    except PackageNotFoundError:
        typer.echo("shm-exchange (from a checkout that is not installed)")
    raise typer.Exit


@app.callback()
def _options(
    *, show_version: Annotated[bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")] = False
) -> None:
    """Options of the program itself."""


def main() -> None:
    """Run the command line, and exit."""
    warnings.formatwarning = _warning_text
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    try:
        app()
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
