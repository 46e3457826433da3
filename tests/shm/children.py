"""Child programs of the tests of the memory room: they say a line when they are ready, and wait until they are told to go on."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import shm_exchange

CHECKOUT = Path(shm_exchange.__file__).parents[1]

PROLOGUE = """
import gc, mmap, os, signal, sys
from shm_exchange.domain.config import ExchangeConfig
from shm_exchange.domain.errors import *
from shm_exchange.domain.instrument import Instrument
from shm_exchange.layout.regions import Writer
from shm_exchange.shm import *
from shm_exchange.shm.locks import LockFile
name, directory = sys.argv[1:]
config = ExchangeConfig(name, (Instrument("ACME"),), max_sessions=4, lane_capacity=64, report_capacity=64, event_capacity=256, log_capacity=256)
def say(*words):
    print(*words, flush=True)
def wait():
    sys.stdin.read(1)
"""


class Child:
    """A running child program."""

    def __init__(self, program: str, name: str, directory: str) -> None:
        command = [sys.executable, "-c", PROLOGUE + textwrap.dedent(program), name, directory]
        self.process = subprocess.Popen(command, cwd=CHECKOUT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=1)

    def hear(self) -> str:
        """The next line it says; nothing once it ended."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def go_on(self) -> None:
        """End its `wait`."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def kill(self) -> None:
        """Kill -9, and wait until the kernel has taken everything from it."""
        self.process.kill()
        self.process.wait()

    def end(self) -> int:
        """Let it run to its end; its exit status, negative for a signal."""
        self.process.communicate()
        return self.process.returncode

    def close(self) -> None:
        """Whatever it does: it ends now."""
        self.process.kill()
        self.process.communicate()
