"""`spawn`: gateway processes with a flow or a function, from any terminal."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from shm_exchange import Exchange, Gateway, Instrument
from shm_exchange.cli.main import app
from shm_exchange.domain.errors import ExchangeError
from shm_exchange.participants.flows import FLOWS
from shm_exchange.runtime.affinity import usable_cores
from tests.cli.programs import Running, call, figures

if TYPE_CHECKING:
    from collections.abc import Iterator

SESSIONS = 6


@pytest.fixture(scope="module")
def exchange() -> Iterator[Exchange]:
    instruments = [Instrument("ACME"), Instrument("EURUSD", "0.0001", "1000")]
    with Exchange.start(f"s{os.getpid()}", instruments, max_sessions=SESSIONS) as exchange:
        yield exchange


def test_gateways_of_a_flow_are_reported_one_by_one_and_merged(exchange: Exchange) -> None:
    core = str(usable_cores()[0])
    found = figures(
        "spawn", exchange.name, "noise", "-n", "2", "--orders", "500", "--rate", "5000", "--cores", core, "--seed", "7", "--symbol", "ACME"
    )
    assert (found["exchange"], found["target"], found["processes"], found["rate"], found["seed"]) == (exchange.name, "noise", 2, 5000, 7)
    assert [(one["session"], one["state"], one["answered"], one["problem"]) for one in found["gateways"]] == [
        ("noise-1", "done", 500, ""),
        ("noise-2", "done", 500, ""),
    ]
    merged = found["merged"]
    assert (merged["sent"], merged["answered"], merged["misfits"]) == (1000, 1000, 0)
    assert merged["latency_ns"]["max"] == max(one["latency_ns"]["max"] for one in found["gateways"])
    assert 0 < merged["service_ns"]["p50"] <= merged["latency_ns"]["p99"] <= merged["latency_ns"]["max"]
    assert merged["latency_ns"]["p99.9"] is None
    assert exchange.status()["open_orders"] == 0


@pytest.mark.long
def test_the_report_fits_80_columns_and_progress_is_a_line(exchange: Exchange) -> None:
    done = call("spawn", exchange.name, "maker", "-n", "2", "--rate", "1000", "--seconds", "1.1", "--session", "quoter-{n}", COLUMNS="80")
    assert done.returncode == 0, done.stderr
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "…" not in done.stdout
    assert [line.split()[0] for line in done.stdout.splitlines()[:4]] == ["gateway", "quoter-1", "quoter-2", "all"]
    assert "answered  p50" in done.stderr


@pytest.mark.long
def test_a_function_is_called_with_the_options_it_takes(exchange: Exchange) -> None:
    found = figures("spawn", exchange.name, "tests.cli.functions:quote", "-n", "2", "--rate", "12.5", "--session", "bot")
    assert [(one["session"], one["state"], one["result"]) for one in found["gateways"]] == [
        ("bot-1", "done", {"rate": 12.5, "kinds": ["ACCEPTED"]}),
        ("bot-2", "done", {"rate": 12.5, "kinds": ["ACCEPTED"]}),
    ]


@pytest.mark.long
def test_a_result_that_json_has_no_word_for_is_said_as_text(exchange: Exchange) -> None:
    (unsayable,) = figures("spawn", exchange.name, "tests.cli.functions:unsayable")["gateways"]
    assert unsayable["result"] == "{1, 2}"


@pytest.mark.long
def test_a_function_that_fails_ends_with_its_traceback(exchange: Exchange) -> None:
    done = call("spawn", exchange.name, "tests.cli.functions:fail", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["gateways"][0]["state"] == "exit code 1"
    assert "died: exit code 1\n    Traceback" in done.stderr
    assert "ValueError: no such luck" in done.stderr


@pytest.mark.long
def test_ctrl_c_ends_early_with_the_report_and_leaves_nothing(exchange: Exchange) -> None:
    with Running("spawn", exchange.name, "maker", "-n", "2", "--rate", "500", "--seconds", "600", "--json") as program:
        program.hear("2 running")
        program.signal(signal.SIGINT)
        found = program.answer()
        assert program.end()[0] == 130
    assert found["interrupted"]
    assert [one["state"] for one in found["gateways"]] == ["done", "done"]
    assert 0 < found["merged"]["answered"] == found["merged"]["sent"]
    status = exchange.status()
    assert status["open_orders"] == 0
    assert not any(lane["alive"] for lane in status["lanes"])


@pytest.mark.long
def test_a_killed_gateway_is_named_and_what_it_measured_counts(exchange: Exchange) -> None:
    with Running("spawn", exchange.name, "taker", "-n", "2", "--rate", "500", "--seconds", "2", "--json") as program:
        program.hear("2 running")
        (victim,) = (lane["pid"] for lane in exchange.status()["lanes"] if lane["session"] == "taker-1")
        while not next(lane["commands"] for lane in exchange.status()["lanes"] if lane["session"] == "taker-1") > 100:
            continue
        os.kill(victim, signal.SIGKILL)
        found = program.answer()
        code, said = program.end()
    assert code == 1
    assert f"taker-1, process {victim}, died: killed by SIGKILL; what it had measured counts" in said
    first, second = found["gateways"]
    assert (first["state"], second["state"]) == ("killed by SIGKILL", "done")
    assert found["merged"]["answered"] == first["answered"] + second["answered"]
    assert first["answered"] > 0


def test_flows_are_listed_and_explained() -> None:
    listed, helped = (CliRunner().invoke(app, ["spawn", *arguments]) for arguments in (["list", "--json"], ["--help"]))
    assert json.loads(listed.stdout) == {"flows": {name: flow.says for name, flow in FLOWS.items()}}
    assert all(flow in helped.stdout for flow in FLOWS)


def _refused(*arguments: str) -> str:
    done = CliRunner().invoke(app, ["spawn", *arguments])
    assert isinstance(done.exception, ExchangeError), done.output
    assert "\n" not in str(done.exception)
    assert done.stdout == ""
    return str(done.exception)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("makr",), "there is no flow 'makr'; did you mean 'maker'?; known are random, maker, taker, noise, ping, zero"),
        (("maker", "-n", "0"), "0 gateways are none"),
        (("maker", "--rate", "0"), "a rate must be above 0 and at most 10,000,000 a second, not 0;"),
        (("maker", "--rate", "nan"), "a rate must be above 0"),
        (("maker", "--burst", "10"), "bursts need a rate"),
        (("maker", "--burst", "0", "--rate", "1"), "a burst has at least 1 command"),
        (("maker", "--orders", "0"), "0 orders are none"),
        (("maker", "--seconds", "inf"), "inf seconds are no time to run"),
        (("maker", "--seed", "-1"), "a seed is a whole number from 0"),
        (("maker", "--cores", "a"), "cores 'a' are no list of cores; write 0,1 or 0-3"),
        (("maker", "--cores", "4096"), "core 4096 cannot be used"),
        (("maker", "--symbol", "ACMEE"), "has no instrument 'ACMEE'; did you mean 'ACME'?"),
        (("maker", "-n", "7"), "has room for 6 more gateways, not for 7"),
        (("maker", "--session", "a name"), "session 'a name' must be 1 to 16 printable"),
        (("nowhere:nothing",), "cannot spawn nowhere:nothing: another process cannot import it"),
        (("tests.cli.functions:fail", "--rate", "5"), "tests.cli.functions:fail takes no argument 'rate'; leave out --rate, or let it take rate="),
    ],
)
def test_what_is_wrong_is_said_in_one_line_before_anything_starts(exchange: Exchange, arguments: tuple[str, ...], said: str) -> None:
    before = [lane["attached"] for lane in exchange.status()["lanes"]]
    assert said in _refused(exchange.name, *arguments)
    assert [lane["attached"] for lane in exchange.status()["lanes"]] == before


@pytest.mark.long
def test_an_unknown_exchange_and_a_session_in_use_are_said(exchange: Exchange) -> None:
    assert _refused(exchange.name[:-1], "maker").startswith(f"there is no exchange {exchange.name[:-1]!r}; did you mean {exchange.name!r}?")
    with Gateway.attach(exchange.name, session="mine"):
        assert _refused(exchange.name, "maker", "--session", "mine").startswith(f"session 'mine' is held by process {os.getpid()}, which is alive")
    with Gateway.attach(exchange.name, session="ping-1"):
        found: dict[str, Any] = figures("spawn", exchange.name, "ping", "--orders", "10")
        assert found["gateways"][0]["session"] == "ping-2"
