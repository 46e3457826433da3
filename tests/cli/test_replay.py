"""`replay` as people use it: on a private exchange and on a running one, and what it says where a file is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from bench.flow import generate
from shm_exchange.cli.main import app
from shm_exchange.domain.errors import ConfigError, ExchangeError
from shm_exchange.protocol.referee import encode_orders
from tests.cli.programs import Running, call, figures
from tests.protocol.lobster_market import NaiveMarket

DAY = """\
time_ns,session,action,client_order_id,side,price,quantity
0,alice,enter,1,buy,9.50,100
1500,bob,enter,1,sell,9.50,40
9000000,alice,cancel,1,,,
"""


def invoke(*arguments: str) -> Result:
    """Within this process: enough for what ends before anything starts."""
    return CliRunner().invoke(app, ["replay", *arguments])


@pytest.fixture
def day(tmp_path: Path) -> Path:
    path = tmp_path / "day.csv"
    path.write_text(DAY)
    return path


def test_a_referee_file_on_an_exchange_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "orders_normal.bin"
    messages = generate("normal", 23, 2000)
    path.write_bytes(encode_orders(messages))
    found = figures("replay", str(path))
    assert (found["format"], found["private"], found["rows"], found["commands"]) == ("referee", True, len(messages), len(messages))
    assert found["reports_of"]["accepted"] == 2000
    assert found["rejects"].keys() == {"unknown_order"}
    assert found["trades"] > 100
    assert found["checks"] == {"book_check": True}
    assert found["commands_per_second"] > 0


@pytest.mark.long
def test_a_csv_on_a_running_exchange_at_a_speed(day: Path, running: Running, name: str) -> None:
    done = call("replay", str(day), "--exchange", name, "--speed", "2", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["exchange"], found["private"], found["trades"], found["traded_lots"]) == (name, False, 1, 40)
    assert found["reports_of"] == {"accepted": 2, "executed": 2, "canceled": 1}
    assert found["seconds"] >= 0.0045
    late = found["lateness_ns"]
    assert 0 <= late["p50"] <= late["p99"] <= late["max"]


@pytest.mark.long
def test_a_book_file_that_parts_is_shown_and_ends_1(tmp_path: Path) -> None:
    pair = NaiveMarket(3, 5, before=120).pair(60)
    path = tmp_path / "STOCK_message_5.csv"
    path.write_bytes(pair.messages)
    lines = pair.book.splitlines()
    lines[41] = b"%d" % (int(lines[41].split(b",")[0]) - 100) + lines[41][lines[41].index(b",") :]
    (tmp_path / "STOCK_orderbook_5.csv").write_bytes(b"\n".join(lines) + b"\n")
    done = call("replay", str(path), "--levels", "3", "--speed", "1000", COLUMNS="80")
    assert done.returncode == 1
    assert "59 of 60" in done.stdout
    assert "row 42, sell level 1: expected" in done.stdout
    assert "µs behind plan at 1000 ×: p50" in done.stdout
    assert "…" not in done.stdout
    assert "✘  levels equal" in done.stdout
    assert done.stderr.splitlines()[-1].startswith("shm-exchange: this does not hold: levels_equal; the books part at row 42, sell level 1: expected")


def test_any_file_becomes_our_csv(tmp_path: Path, day: Path) -> None:
    path = tmp_path / "STOCK_message_5.csv"
    path.write_bytes(NaiveMarket(3, 5).pair(30).messages)
    saved, again = tmp_path / "saved.csv", tmp_path / "again.csv"
    assert invoke(str(path), "--save-csv", str(saved)).exit_code == 0
    assert invoke(str(saved), "--save-csv", str(again)).exit_code == 0
    header, first = saved.read_text().splitlines()[:2]
    assert header.startswith("time_ns,session,action,client_order_id,symbol,side,price,quantity")
    assert first.split(",")[1:3] == ["replay", "enter"]
    assert again.read_text() == saved.read_text()


def test_wrong_flags_end_2(day: Path) -> None:
    for flags, said in (
        (("--speed", "0"), "must be above 0"),
        (("--speed", "-1"), "must be above 0"),
        (("--format", "fix"), "none of auto, referee"),
        (("--rows", "0"), "than or equal to 1"),
        (("--levels", "0"), "than or equal to 1"),
    ):
        done = invoke(str(day), *flags)
        assert done.exit_code == 2, done.output
        assert said in " ".join(done.output.replace("│", " ").split())


@pytest.mark.parametrize(
    ("text", "flags", "said"),
    [
        (DAY + "9000001,bob,kansel,1,,,\n", (), "line 5: action 'kansel': it must be one of enter, cancel"),
        (DAY, ("--book", "x.csv"), "only LOBSTER files have a book file"),
        (DAY, ("--format", "lobster"), "line 1: 'time_ns' in column 1 is no number"),
        (DAY, ("--format", "referee"), "is no orders file"),
        (DAY, ("--save-csv", "/nowhere/day.csv"), "cannot write /nowhere/day.csv"),
        (DAY, ("--session", "a b", "--symbol", "a b"), "symbol 'a b' must be"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(tmp_path: Path, text: str, flags: tuple[str, ...], said: str) -> None:
    path = tmp_path / "wrong.csv"
    path.write_text(text)
    done = invoke(str(path), *flags)
    assert isinstance(done.exception, ExchangeError)
    assert said in str(done.exception)
    assert "\n" not in str(done.exception)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    done = invoke(str(tmp_path / "none.csv"))
    assert isinstance(done.exception, ConfigError)
    assert "No such file" in str(done.exception)
