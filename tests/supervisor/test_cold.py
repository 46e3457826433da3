"""Processes that start at once on a cold kernel cache: one compiles, all run, whatever they call first."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from shm_exchange.domain.instrument import Instrument
from shm_exchange.supervisor import Exchange

if TYPE_CHECKING:
    from collections.abc import Iterator

OWN_KERNELS = """
import numpy as np
from shm_exchange.layout.headers import REPORT_HEAD, REPORT_TAIL
from shm_exchange.layout.records import REPORT
from shm_exchange.ring.reports import READER, acknowledge, await_report
def run():
    reader, head = np.ones(1, READER), np.zeros(1, REPORT_HEAD)
    acknowledge(reader, head)
    found = await_report(reader, np.ones(4, REPORT), np.zeros(1, REPORT_TAIL), 1)
    misses = sum(sum(kernel.stats.cache_misses.values()) for kernel in (acknowledge, await_report))
    return f"{head['head'][0]} {found} {misses}"
"""
GATEWAYS = """
from shm_exchange import Gateway, Side
def run():
    with Gateway.attach(argument, session=f"cold-{number}") as gateway:
        gateway.limit("ACME", Side.BUY, price_ticks=100, quantity=1)
        gateway.wait(60)
        return gateway.poll()[0].kind.name
"""
EXCHANGES = """
from shm_exchange import Exchange, Gateway, Instrument, Side
def run():
    name = f"{argument}-{number}"
    sizes = dict(max_sessions=2, max_orders=1024, lane_capacity=64, report_capacity=64, event_capacity=256, log_capacity=256)
    with Exchange.start(name, [Instrument("ACME")], sweep_budget=16, **sizes), Gateway.attach(name, session="cold", timeout=60) as gateway:
        gateway.limit("ACME", Side.BUY, price_ticks=100, quantity=1)
        gateway.limit("ACME", Side.SELL, price_ticks=100, quantity=1)
        kinds = []
        while "EXECUTED" not in kinds and gateway.wait(60):
            kinds += [report.kind.name for report in gateway.poll()]
        return kinds[-1]
"""
STARTS = """
import sys
number, argument = sys.argv[1:]
{program}
print("ready", flush=True)
sys.stdin.read(1)
print(run())
"""


@pytest.fixture
def cold(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def at_once(count: int, program: str, cold: Path, argument: str = "") -> list[str]:
    """Start processes, and let them go when all are ready; what each of them says."""
    environment = os.environ | {"SHM_EXCHANGE_CACHE": str(cold)}
    processes = []
    for number in range(count):
        command = [sys.executable, "-c", STARTS.format(program=program), str(number), argument]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        processes.append(subprocess.Popen(command, text=True, env=environment, cwd=Path.cwd(), **pipes))  # type: ignore[call-overload]
    for process in processes:
        assert process.stdout.readline() == "ready\n", process.communicate()[1]
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    answers = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0] * count, "".join(said for _, said in answers)
    return [answer.strip() for answer, _ in answers]


@pytest.mark.long
def test_each_kernel_is_compiled_by_one_of_them(cold: Path) -> None:
    """Without a supervisor, and without having asked for warmth."""
    answers = [answer.split() for answer in at_once(4, OWN_KERNELS, cold)]
    assert [answer[:2] for answer in answers] == [["1", "True"]] * 4
    assert sum(int(misses) for *_, misses in answers) == 2


@pytest.fixture
def exchange(name: str) -> Iterator[Exchange]:
    with Exchange.start(name, [Instrument("ACME")], max_sessions=16) as exchange:
        yield exchange


@pytest.mark.long
def test_sixteen_gateways_start_cold(cold: Path, exchange: Exchange) -> None:
    assert at_once(16, GATEWAYS, cold, exchange.name) == ["ACCEPTED"] * 16


@pytest.mark.long
def test_sixteen_exchanges_start_cold(cold: Path, name: str) -> None:
    assert at_once(16, EXCHANGES, cold, name) == ["EXECUTED"] * 16
