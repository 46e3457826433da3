"""`run`, and what any terminal can do with an exchange that runs: list, status, stop, clean."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from shm_exchange import Gateway, Side
from tests.cli.programs import Running, await_no_files, call, environment, figures, files_of
from tests.litmus.exchanges import outgrow_the_log, take


def listed(name: str) -> dict[str, object]:
    (found,) = (entry for entry in figures("list")["exchanges"] if entry["name"] == name)
    assert isinstance(found, dict)
    return found


@pytest.mark.long
def test_list_status_and_stop_from_another_terminal(running: Running, name: str) -> None:
    entry = listed(name)
    assert (entry["alive"], entry["state"], entry["pid"]) == (True, "running", running.process.pid)
    with Gateway.attach(name, session="alice") as gateway:
        gateway.limit("ACME", Side.BUY, "99.50", 100)
        gateway.limit("ACME", Side.SELL, "99.60", 30)
        gateway.limit("ACME", Side.BUY, "99.60", 10)
        reports = 0
        while reports < 5 and gateway.wait(10):
            reports += len(gateway.poll())
        status = figures("status", name)
        text = call("status", name).stdout
    assert (status["matcher"], status["trades"], status["open_orders"]) == ("running", 1, 2)
    assert status["books"]["ACME"] | {"version": 0, "event_number": 0} == {
        "bid": ["99.50", "100"],
        "ask": ["99.60", "20"],
        "last": ["99.60", "10"],
        "version": 0,
        "event_number": 0,
    }
    assert [lane["session"] for lane in status["lanes"]] == ["alice"]
    assert "99.50" in text
    assert "alice" in text
    assert figures("stop", name) == {"name": name, "stopped": True}
    code, said = running.end()
    assert code == 0
    assert "stopped after 5 commands and 1 trades" in said
    assert not files_of(name)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0), pytest.param(signal.SIGHUP, 129, marks=pytest.mark.long)])
def test_a_signal_stops_it_cleanly(running: Running, name: str, number: signal.Signals, code: int) -> None:
    running.signal(number)
    assert running.end()[0] == code
    assert not files_of(name)


def test_run_shows_what_it_takes_before_it_runs(running: Running, name: str) -> None:
    running.signal(signal.SIGTERM)
    _, said = running.end()
    assert said.index("of shared memory") < said.index(f"exchange {name!r} runs")
    assert all(structure in said for structure in ("events", "reports", "lane", "log", "order pool"))


@pytest.mark.long
def test_a_name_that_runs_cannot_be_run_again_nor_cleaned(running: Running, name: str) -> None:
    again = call("run", name)
    assert again.returncode == 1
    assert f"exchange {name!r} is running: its supervisor (process {running.process.pid}, started " in again.stderr
    cleaned = call("clean", name, "--yes")
    assert cleaned.returncode == 1
    assert f"stop it with `shm-exchange stop {name}`" in cleaned.stderr
    misspelt = call("stop", name[:-1])
    assert misspelt.returncode == 1
    assert f"did you mean {name!r}?" in misspelt.stderr


@pytest.mark.long
def test_the_matcher_goes_on_when_run_is_killed(running: Running, name: str) -> None:
    running.signal(signal.SIGKILL)
    running.end()
    assert listed(name)["state"] == "running, unsupervised"
    with Gateway.attach(name, session="alice") as gateway:
        gateway.limit("ACME", Side.BUY, "99.50", 100)
        assert gateway.wait(10)
    assert figures("status", name)["supervisor_alive"] is False
    assert figures("stop", name)["stopped"]
    await_no_files(name)


@pytest.mark.long
def test_a_dead_matcher_is_replaced_and_run_says_so(running: Running, name: str) -> None:
    with Gateway.attach(name, session="alice") as gateway:
        order_id = gateway.limit("ACME", Side.BUY, "99.50", 100)
        assert [report.kind.name for report in take(gateway, 1)] == ["ACCEPTED"]
        os.kill(figures("status", name)["matcher_pid"], signal.SIGKILL)
        gateway.cancel(order_id)
        assert [(report.kind.name, report.order_id) for report in take(gateway, 1)] == [("CANCELED", order_id)]
        status = figures("status", name)
    assert (status["matcher"], status["matcher_lives"], status["open_orders"]) == ("running", 2, 0)
    assert figures("stop", name)["stopped"]
    code, said = running.end()
    assert code == 0
    assert f"shm-exchange: the matcher of exchange {name!r} was killed by SIGKILL; another takes over\n" in said
    assert not files_of(name)


def test_a_dead_matcher_that_cannot_be_replaced_ends_run_with_its_death(name: str) -> None:
    with Running("run", name, "--journal", "off", "--log-capacity", "64", "--sweep-budget", "32", "--json") as running:
        matcher = running.answer()["matcher_pid"]
        outgrow_the_log(name)
        os.kill(matcher, signal.SIGKILL)
        code, said = running.end()
    assert code == 1
    assert f"shm-exchange: the matcher of exchange {name!r} was killed by SIGKILL; without a journal its book cannot be rebuilt: stop" in said
    assert not files_of(name)


@pytest.mark.long
def test_clean_removes_what_the_dead_left_and_asks_before(name: str) -> None:
    program = (
        "import os, sys\nfrom shm_exchange.domain.config import ExchangeConfig\nfrom shm_exchange.domain.instrument import Instrument\n"
        f"from shm_exchange.shm import create\ncreate(ExchangeConfig({name!r}, (Instrument('ACME'),), max_sessions=1))\nos.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", program], env=environment(), check=False, timeout=60)
    assert listed(name)["state"] == "dead"
    status = call("status", name)
    assert status.returncode == 1
    asked = call("clean", name)
    assert asked.returncode == 1
    assert "say --yes" in asked.stderr
    assert files_of(name)
    done = call("clean", name, "--yes", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["removed"] == [name]
    assert not files_of(name)
