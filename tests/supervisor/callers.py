"""Processes that start exchanges, so that tests can kill them: they say a line of JSON when they are ready, and wait until they are told to go on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any, Self

from shm_exchange.runtime import pidfd
from shm_exchange.shm import exchanges

CHECKOUT = Path(__file__).parents[2]
PATIENCE = 30.0
"""Seconds until a process that should end is taken for one that does not."""

PROLOGUE = """
import json, os, signal, sys, threading
from shm_exchange.domain.config import ExchangeConfig
from shm_exchange.domain.errors import *
from shm_exchange.domain.instrument import Instrument
from shm_exchange.supervisor import Exchange
from shm_exchange.supervisor.serve import serve_in_foreground, supervisor_signals
from shm_exchange.supervisor.supervisor import Supervisor
from tests.supervisor import functions
name, argument = sys.argv[1:]
instruments = [Instrument("ACME")]
small = dict(max_orders=1024, max_sessions=4, lane_capacity=64, report_capacity=64, event_capacity=256, log_capacity=256, sweep_budget=16)
def say(**words):
    print(json.dumps(words), flush=True)
def wait():
    sys.stdin.read(1)
def pids(exchange):
    status = exchange.status()
    return {"supervisor": status["supervisor_pid"], "matcher": status["matcher_pid"], "children": [child.pid for child in exchange.children]}
def run_in_foreground(**options):
    with supervisor_signals(signal.SIGINT) as signals, Supervisor(ExchangeConfig(name, tuple(instruments), **small), **options) as supervisor:
        say(supervisor=os.getpid(), matcher=supervisor.matcher.pid, children=[])
        death = serve_in_foreground([supervisor], signals)
    say(death=death)
"""


class Caller:
    """A running program behind PROLOGUE, leader of a process group as a shell would make it."""

    def __init__(self, program: str, name: str, argument: str = "") -> None:
        command = [sys.executable, "-c", PROLOGUE + textwrap.dedent(program), name, argument]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        self.process = subprocess.Popen(command, cwd=CHECKOUT, text=True, process_group=0, **pipes)  # type: ignore[call-overload]

    def hear(self) -> dict[str, Any]:
        """What it says next."""
        line = self.process.stdout.readline()
        assert line, self.process.communicate()[1]
        words: dict[str, Any] = json.loads(line)
        return words

    def go_on(self) -> None:
        """End its `wait`."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def interrupt(self) -> None:
        """What Ctrl-C does: SIGINT to everybody in the foreground."""
        os.killpg(self.process.pid, signal.SIGINT)

    def kill(self) -> None:
        """Kill -9."""
        self.process.kill()
        self.process.wait()

    def end(self) -> tuple[int, str]:
        """Let it run to its end; its exit status, and what it wrote on standard error."""
        errors = self.process.communicate(timeout=PATIENCE)[1]
        return self.process.returncode, errors

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()


class Watch:
    """Handles of processes, taken while they live."""

    def __init__(self, *pids: int) -> None:
        self._handles = {pid: pidfd.open_pidfd(pid) for pid in pids}

    @classmethod
    def of(cls, words: dict[str, Any]) -> Watch:
        """Of all processes a caller has told."""
        return cls(words["supervisor"], words["matcher"], *words["children"])

    def living(self) -> list[int]:
        """Those that live now."""
        return [pid for pid, handle in self._handles.items() if not pidfd.has_ended(handle)]

    def send(self, pid: int, number: signal.Signals) -> None:
        """Send a signal to one of them."""
        pidfd.send(self._handles[pid], number)

    def expect_end(self, *pids: int) -> None:
        """Fail unless these, or all, end."""
        for pid in pids or self._handles:
            assert pidfd.has_ended(self._handles[pid], PATIENCE), f"process {pid} still runs"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._handles.values():
            pidfd.send(handle, signal.SIGCONT)
            pidfd.send(handle, signal.SIGKILL)
            os.close(handle)


def has_files(name: str) -> bool:
    """Whether anything of an exchange is left in /dev/shm."""
    return name in [info.name for info in exchanges()]
