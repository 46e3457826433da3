"""The program itself: help without delay, and what it says when something is wrong."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from typer.testing import CliRunner, Result

from shm_exchange.cli.main import app, with_options_first
from shm_exchange.domain.errors import ExchangeError
from shm_exchange.layout.digest import layout_digest
from tests.cli.programs import Running, call, environment

PROGRAM = [sys.executable, "-c", "import sys; sys.argv = ['shm-exchange']; from shm_exchange.cli.main import main; main()"]
COMMANDS = ("demo", "run", "list", "status", "top", "spawn", "replay", "journal", "stop", "warm", "doctor", "clean")


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


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_shows_an_example(command: str) -> None:
    assert f"Example:  shm-exchange {command}" in invoke(command, "--help").output


def test_the_version_is_a_line_and_names_the_layout() -> None:
    done = call("--version")
    assert done.returncode == 0
    assert re.fullmatch(rf"shm-exchange \S+, layout \d+-{layout_digest():016x}, numba \S+, Python 3\S+\n", done.stdout)


def test_the_shell_completes_commands_and_names() -> None:
    with Running("run", "--name", "completable", "--max-orders", "1024", "--journal", "off") as running:
        running.hear("runs")
        assert _completed("shm-exchange st") == ["status", "stop"]
        assert _completed("shm-exchange stop compl") == ["completable"]


def _completed(words: str) -> list[str]:
    """What bash would offer behind these words."""
    told = environment(_SHM_EXCHANGE_COMPLETE="complete_bash", COMP_CWORD=str(words.count(" ")), COMP_WORDS=words)
    return subprocess.run(PROGRAM, env=told, capture_output=True, text=True, check=False, timeout=60).stdout.split()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["run", "-v", "--depth", "3"], ["-v", "run", "--depth", "3"]),
        (["list", "--log-file", "x", "-q"], ["--log-file", "x", "-q", "list"]),
        (["list", "--log-file=x"], ["--log-file=x", "list"]),
        (["list", "--log-file"], ["--log-file", "list"]),
        (["spawn", "demo", "--", "-v"], ["spawn", "demo", "--", "-v"]),
    ],
)
def test_options_of_the_program_may_stand_behind_the_command(arguments: list[str], expected: list[str]) -> None:
    assert with_options_first(arguments) == expected


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
