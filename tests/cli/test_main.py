"""The program itself: help without delay, and what it says when something is wrong."""

from __future__ import annotations

import subprocess
import sys

import pytest
from typer.testing import CliRunner, Result

from shm_exchange.cli.main import app
from shm_exchange.domain.errors import ExchangeError
from tests.cli.programs import call, environment

COMMANDS = ("demo", "run", "list", "status", "top", "stop", "warm", "clean")


def invoke(*arguments: str) -> Result:
    """Within this process: enough for what ends before anything starts."""
    return CliRunner().invoke(app, list(arguments))


def test_help_names_every_command() -> None:
    done = call("--help")
    assert done.returncode == 0
    assert all(command in done.stdout for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    done = invoke(command, "--help")
    assert done.exit_code == 0
    assert "Usage" in done.output


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys\n"
        "sys.argv = ['shm-exchange', 'run', '--help']\n"
        "from shm_exchange.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "sys.exit(bool({'numba', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], env=environment(), capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr


def test_the_version_is_a_line() -> None:
    done = call("--version")
    assert done.returncode == 0
    assert done.stdout.startswith("shm-exchange ")
    assert done.stdout.count("\n") == 1


@pytest.mark.parametrize("arguments", [("dmeo",), ("run", "--depht", "3"), ("demo", "--gateways", "0"), ("status", "--jsn")])
def test_a_wrong_command_line_ends_with_2(arguments: tuple[str, ...]) -> None:
    assert invoke(*arguments).exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("status", "nobody-has-this"), "there is no exchange 'nobody-has-this'"),
        (("stop", "nobody-has-this"), "there is no exchange 'nobody-has-this'"),
        (("clean", "nobody-has-this"), "there is no exchange 'nobody-has-this'"),
        (("run", "a b"), "exchange name 'a b' must be 1 to 48 letters, digits, '-' or '_'"),
        (("run", "--depth", "99"), "depth must be a whole number from 1 to 64, not 99"),
        (("run", "--instrument", "ACME:0"), "tick_size of ACME must be a positive decimal"),
        (("run", "--instrument", "A:1:1:1:1:1"), "instrument 'A:1:1:1:1:1' has too many parts"),
        (("run", "/nowhere.toml"), "cannot read /nowhere.toml: No such file or directory"),
    ],
)
def test_an_error_says_what_is_wrong(arguments: tuple[str, ...], said: str) -> None:
    done = invoke(*arguments)
    assert isinstance(done.exception, ExchangeError)
    assert str(done.exception).startswith(said)
    assert "\n" not in str(done.exception)
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(("status", "nobody-has-this"), "there is no exchange 'nobody-has-this'"), (("run", "--core", "4096"), "core 4096 cannot be used")],
)
def test_an_error_is_one_line_and_ends_with_1(arguments: tuple[str, ...], said: str) -> None:
    done = call(*arguments)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.splitlines()[-1].startswith(f"shm-exchange: {said}")
    assert "Traceback" not in done.stderr


def test_warm_says_where_kernels_are_and_does_nothing_twice() -> None:
    call("warm")
    done = call("warm")
    assert done.returncode == 0
    assert done.stdout.startswith("nothing to compile; kernels are in /")
