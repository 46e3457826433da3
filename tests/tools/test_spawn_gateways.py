"""`python -m tools.spawn_gateways` is `shm-exchange spawn` with the flow as an option."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from shm_exchange import Exchange, Instrument
from shm_exchange.participants.flows import FLOWS
from tools.spawn_gateways import app

CHECKOUT = Path(__file__).parents[2]


def call(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tools.spawn_gateways", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=240, stdin=subprocess.DEVNULL, cwd=CHECKOUT)


@pytest.mark.long
def test_it_spawns_a_flow() -> None:
    with Exchange.start(f"w{os.getpid()}", [Instrument("ACME")], max_sessions=4) as exchange:
        done = call(exchange.name, "-n", "2", "--flow", "ping", "--rate", "4000", "--burst", "20", "--orders", "200", "--json")
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        assert (found["target"], found["burst"], found["merged"]["answered"], len(found["gateways"])) == ("ping", 20, 400, 2)


def test_it_lists_the_flows_without_an_exchange() -> None:
    done = CliRunner(env={"COLUMNS": "80"}).invoke(app, ["--flow", "list"])
    assert done.exit_code == 0
    assert all(f"{flow} " in done.stdout and FLOWS[flow].says in done.stdout for flow in FLOWS)
