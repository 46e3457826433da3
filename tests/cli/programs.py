"""The command line as people use it: a program in a process of its own."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self

import shm_exchange

CHECKOUT = Path(shm_exchange.__file__).parents[1]
PATIENCE = 240.0
"""A watchdog for a machine that also compiles; nothing is asserted about speed."""
_COMMAND = [sys.executable, "-m", "shm_exchange"]


def environment(**changes: str) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(CHECKOUT), "COLUMNS": "100"} | changes


def call(*arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
    """Run to the end, with nothing on standard input."""
    command = [*_COMMAND, *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=PATIENCE, env=environment(**changes), stdin=subprocess.DEVNULL, cwd="/"
    )


def figures(*arguments: str) -> dict[str, Any]:
    """The one JSON object of a command that ends well."""
    done = call(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    found = json.loads(line)
    assert isinstance(found, dict)
    return found


class Running:
    """A command that goes on by itself. At the end of the block it is asked to end, should it still run."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [*_COMMAND, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(), cwd="/"
        )
        self.said = ""

    def hear(self, what: str) -> str:
        """The next line of standard error that contains `what`."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said += line
            if what in line:
                return line
        raise AssertionError(f"it ended with {self.process.wait()} and never said {what!r}: {self.said}")

    def answer(self) -> dict[str, Any]:
        """The first line of standard output, which is JSON."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.end()
        found = json.loads(line)
        assert isinstance(found, dict)
        return found

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self) -> tuple[int, str]:
        """Wait for its end: the exit status, and all it said on standard error."""
        _, rest = self.process.communicate(timeout=PATIENCE)
        self.said += rest
        return self.process.returncode, self.said

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        try:
            self.process.communicate(timeout=PATIENCE)
        finally:
            self.process.kill()


def files_of(name: str) -> list[Path]:
    """What an exchange has in shared memory."""
    return list(Path("/dev/shm").glob(f"shm_exchange-{os.getuid()}-{name}*"))


def await_no_files(name: str) -> None:
    """Watch until nothing of an exchange is left."""
    deadline = time.monotonic() + PATIENCE
    while files_of(name):
        assert time.monotonic() < deadline, files_of(name)
        select.select([], [], [], 0.01)
