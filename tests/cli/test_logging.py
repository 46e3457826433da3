"""What is logged, where to, and by whom: -v, -q, --log-file, and the same through the environment."""

from __future__ import annotations

import logging
import re
import subprocess
import sys
from pathlib import Path

import pytest

from shm_exchange.domain.errors import ConfigError
from shm_exchange.runtime.logs import VARIABLE, checked_level, log_as_told
from tests.cli.programs import Running, call, environment

LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} (DEBUG|INFO|WARNING|ERROR) +([a-z][a-z0-9 -]*)\[(\d+)\]  (.+)")


def _run_once(name: str, *options: str) -> str:
    """Start and stop an exchange; what it said on standard error."""
    with Running("run", "--name", name, "--max-orders", "1024", *options) as running:
        running.hear("runs")
        assert call("stop", name).returncode == 0
        running.process.wait(60)
        assert running.process.stderr is not None
        return running.said + running.process.stderr.read()


@pytest.mark.long
def test_children_log_into_the_same_file_with_role_and_process(tmp_path: Path) -> None:
    log = tmp_path / "log"
    _run_once("logged", "-v", "--log-file", str(log))
    found = [LINE.fullmatch(line) for line in log.read_text().splitlines()]
    assert all(found), log.read_text()
    by = {match[2]: int(match[3]) for match in found if match}
    assert {"shm-exchange", "matcher", "keeper"} <= by.keys()
    assert len({by[role] for role in ("shm-exchange", "matcher", "keeper")}) == 3
    assert any(match and "stopped after 0 commands" in match[4] for match in found)


@pytest.mark.long
def test_children_log_to_the_standard_error_of_the_program() -> None:
    said = _run_once("logged", "-v")
    assert re.search(r"INFO    matcher\[\d+\]  kernels loaded", said)


def test_quiet_says_nothing_but_errors() -> None:
    done = call("warm", "-q")
    assert (done.returncode, done.stderr) == (0, "")
    assert "kernels are in" in done.stdout
    assert call("-q", "status", "nobody-has-this").stderr.startswith("shm-exchange: there is no exchange")


def test_quiet_and_verbose_contradict_each_other() -> None:
    done = call("list", "-q", "-v")
    assert done.returncode == 2
    assert "contradict" in done.stderr


def test_a_log_that_cannot_be_written_is_said_in_a_line() -> None:
    done = call("list", "--log-file", "/nowhere/log")
    assert done.returncode == 1
    assert done.stderr == "shm-exchange: cannot write the log /nowhere/log: No such file or directory; name a file in a folder that is yours\n"


def test_the_package_alone_says_nothing() -> None:
    program = "import shm_exchange, logging; logging.getLogger('shm_exchange.client').error('x')"
    done = subprocess.run([sys.executable, "-c", program], env=environment(), capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture
def own_logger(monkeypatch: pytest.MonkeyPatch) -> logging.Logger:
    """The package's logger, as it was before, afterwards."""
    logger = logging.getLogger("shm_exchange")
    monkeypatch.setattr(logger, "handlers", list(logger.handlers))
    monkeypatch.setattr(logger, "level", logger.level)
    monkeypatch.setattr(logger, "propagate", logger.propagate)
    monkeypatch.setattr(logging, "raiseExceptions", logging.raiseExceptions)
    return logger


@pytest.mark.parametrize("told", ["", "LOUD /tmp/x", "INFO /nowhere/log", "INFO"])
def test_what_the_environment_says_wrongly_stops_nobody(told: str, own_logger: logging.Logger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, told)
    before = list(own_logger.handlers)
    log_as_told("matcher")
    assert own_logger.handlers == before


def test_a_level_that_does_not_exist() -> None:
    assert checked_level("info") == "INFO"
    with pytest.raises(ConfigError, match="not 'warn'; did you mean 'WARNING'"):
        checked_level("warn")
