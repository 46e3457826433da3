"""`spawn market.toml`: a population on a running exchange and in simulated time, from the command line."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from shm_exchange import Exchange, Instrument
from shm_exchange.cli.main import app
from shm_exchange.domain.errors import ExchangeError
from shm_exchange.participants.market_file import EXAMPLE
from tests.cli.programs import Running, call, figures

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def exchange() -> Iterator[Exchange]:
    with Exchange.start(f"m{os.getpid()}", [Instrument("ACME")]) as exchange:
        yield exchange


@pytest.fixture
def market(tmp_path: Path) -> Path:
    """The example, for this exchange."""
    path = tmp_path / "market.toml"
    path.write_text(CliRunner().invoke(app, ["spawn", "--example"]).stdout)
    assert path.read_text() == EXAMPLE
    return path


def test_the_example_runs_and_balances(exchange: Exchange, market: Path) -> None:
    found = figures("spawn", exchange.name, str(market), "--seconds", "1")
    assert (found["exchange"], found["participants"], found["seed"], found["problems"]) == (exchange.name, 8, 7, [])
    assert [member["state"] for member in found["members"]] == ["done"] * 8
    assert found["balance"]["holds"]
    assert found["merged"]["fills"] == 2 * found["balance"]["trades"]
    assert exchange.status()["open_orders"] == 0


@pytest.mark.long
def test_the_exchange_stands_in_the_file_and_the_report_fits(exchange: Exchange, market: Path) -> None:
    market.write_text(EXAMPLE.replace('"demo"', f'"{exchange.name}"').replace("seconds = 30", "orders = 20"))
    done = call("spawn", str(market), "--seconds", "1", COLUMNS="80")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].split() == ["participant", "state", "position", "earned", "orders", "fills", "p50", "p99"]
    assert "8 participants add up to zero" in done.stdout


def test_a_simulation_needs_no_exchange_and_is_the_same_every_time(market: Path) -> None:
    runner = CliRunner()
    first, again, other = (
        json.loads(runner.invoke(app, ["spawn", str(market), "--simulate", "--seconds", "1", "--seed", seed, "--json"]).stdout) for seed in "778"
    )
    assert first == again
    assert len(first["event_log_hash"]) == 64
    assert first["event_log_hash"] != other["event_log_hash"]
    assert first["is_balanced"]
    shown = runner.invoke(app, ["spawn", str(market), "--simulate", "--seconds", "1"])
    assert f"SHA-256    {first['event_log_hash']}" in shown.stdout


@pytest.mark.long
def test_ctrl_c_ends_early_with_the_report(exchange: Exchange, market: Path) -> None:
    with Running("spawn", exchange.name, str(market), "--seconds", "600", "--json") as program:
        program.hear("8 running")
        program.signal(signal.SIGINT)
        found = program.answer()
        assert program.end()[0] == 130
    assert found["interrupted"]
    assert {member["state"] for member in found["members"]} == {"done"}
    assert found["balance"]["holds"]
    assert exchange.status()["open_orders"] == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("market.toml", "--rate", "3"), "--rate does not go with a market file: say it of each participant, in "),
        (("market.toml", "-n", "3"), "--count does not go with a market file"),
        (("nowhere.toml",), "cannot read "),
        (("market.toml", "--seconds", "0"), "seconds must be above 0, not 0"),
        (("market.toml", "--seed", "-1"), "a seed is a whole number from 0, not -1"),
        (("maker", "--simulate"), "--simulate needs a market file"),
        (("maker", "--arrivals", "hawkes"), "arrivals say how the rate of a flow is spread; give a flow and a rate"),
        (("maker", "--rate", "5", "--arrivals", "hawks"), "arrivals 'hawks' are not known; did you mean 'hawkes'?"),
        (("nosuch", "market.toml"), "there is no exchange 'nosuch'"),
    ],
)
def test_what_cannot_be_wanted_is_said_in_one_line(market: Path, arguments: tuple[str, ...], said: str) -> None:
    done = CliRunner().invoke(app, ["spawn", *(str(market.parent / word) if word.endswith(".toml") else word for word in arguments)])
    assert isinstance(done.exception, ExchangeError), done.output
    assert str(done.exception).startswith(said)
    assert "\n" not in str(done.exception)


def test_a_wrong_key_is_said_with_its_line(market: Path) -> None:
    market.write_text(EXAMPLE.replace("gamma", "gama"))
    done = call("spawn", str(market), "--simulate")
    assert done.returncode == 1
    assert done.stderr.startswith(f"shm-exchange: {market}:15: there is no key 'gama'; did you mean 'gamma'?")
