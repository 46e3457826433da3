"""Who holds which byte, as the kernel tells it, beside real processes that do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from shm_exchange.domain.config import ExchangeConfig
from shm_exchange.shm import SUPERVISOR_BYTE, attach, create
from shm_exchange.shm.holders import Span, holders, process_state
from shm_exchange.shm.root import root_path
from tests.cli.programs import environment
from tests.litmus.waiting import stopped

HOLD = """
import sys
from shm_exchange.shm import attach
segment = attach({name!r}, {directory!r}, write=True)
assert segment.try_lock(3) and segment.try_lock(4)
print("held", flush=True)
sys.stdin.read()
"""


def test_every_process_is_listed_with_its_bytes(config: ExchangeConfig, name: str, directory: str) -> None:
    path = root_path(name, directory)
    with create(config, directory) as segment:
        program = HOLD.format(name=name, directory=directory)
        with (
            attach(name, directory) as reader,
            subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment(), text=True) as child,
        ):
            assert child.stdout is not None
            assert child.stdout.readline() == "held\n"
            own, other = sorted(holders(path), key=lambda holder: holder.pid != os.getpid())
            assert (own.pid, own.spans) == (os.getpid(), (Span(SUPERVISOR_BYTE, SUPERVISOR_BYTE),))
            assert other.pid == child.pid
            assert other.holds(3)
            assert other.holds(4)
            assert not other.holds(5)
            assert not other.is_stopped
            with stopped(child.pid):
                assert [holder.is_stopped for holder in holders(path) if holder.pid == child.pid] == [True]
            child.kill()
            child.wait()
            assert [holder.pid for holder in holders(path)] == [os.getpid()]
            reader.close()
        segment.destroy()
    assert holders(path) == []


def test_a_process_that_is_gone_has_no_state(tmp_path: Path) -> None:
    assert process_state(os.getpid()) == "R"
    assert process_state(1, tmp_path) == ""
