"""What inspect_segment says of an exchange that lives, and of one whose processes were killed: the same truth."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from shm_exchange.domain.errors import ExchangeError
from shm_exchange.shm import attach
from shm_exchange.shm.holders import holders
from shm_exchange.shm.root import root_path
from tests.cli.programs import CHECKOUT, environment
from tests.tools.known import ASKS, BIDS, COMMANDS, EVENTS, LAST, OPEN_ORDERS, TRADES, WAITING, matcher_pid
from tests.tools.looking import look, picture
from tools.inspect_segment.__main__ import main

Capsys = pytest.CaptureFixture[str]


def _expect_known(found: dict) -> None:
    """Everything that the known orders decide."""
    book, fine = found["books"]
    assert (book["latest"]["bids"], book["latest"]["asks"], book["latest"]["last"]) == (BIDS, ASKS, LAST)
    assert (fine["latest"]["bids"], fine["latest"]["asks"]) == ([], [])
    assert (found["counters"]["commands"], found["counters"]["trades"], found["counters"]["open_orders"]) == (COMMANDS, TRADES, OPEN_ORDERS)
    assert (found["log"]["tail"], found["event_ring"]["tail"]) == (COMMANDS, EVENTS + 1)
    alice, bob = found["lanes"]
    assert [(lane["session"], lane["account"], lane["pid"]) for lane in (alice, bob)] == [
        ("alice", "alice", os.getpid()),
        ("bob", "fund", os.getpid()),
    ]
    assert (alice["head"], alice["open_orders"], alice["report_tail"], alice["report_head"]) == (4, 2, 5, 5)
    assert (bob["head"], bob["open_orders"], bob["report_tail"], bob["report_head"]) == (6, 1, 7, 7)
    assert found["accounts"] == [{"number": 1, "account": "alice"}, {"number": 2, "account": "fund"}]


def test_a_living_exchange_in_figures(live: str, capsys: Capsys) -> None:
    found = picture(capsys, live)
    _expect_known(found)
    assert (found["matcher"], found["supervisor_alive"], found["matcher_stopped_by_signal"]) == ("running", True, False)
    assert [(lane["state"], lane["waiting"]) for lane in found["lanes"]] == [("alive", 0), ("alive", 0)]


def test_the_kernel_says_who_holds_which_byte(live: str, capsys: Capsys) -> None:
    with attach(live, populate=False) as segment:
        supervisor = int(segment.array("control")[0].supervisor_pid)
    locks = {lock["role"]: lock for lock in picture(capsys, live)["locks"]}
    for role, pid in (
        ("matcher", matcher_pid(live)),
        ("supervisor", supervisor),
        ("session alice", os.getpid()),
        ("session bob", os.getpid()),
    ):
        assert locks[role]["held"]
        assert locks[role]["pid_in_memory"] == pid
        assert [holder["pid"] for holder in locks[role]["holders"]] == [pid]
    assert "attach mutex" not in locks


def test_records_are_told_in_words(live: str, capsys: Capsys) -> None:
    text = look(capsys, live, "--log", "100", "--events", "100", "--reports", "100")
    for line in (
        "LOGON bob for account fund",
        "ENTER BUY 100 ACME @ 99.50 LIMIT GTC",
        "ENTER SELL 0.3 FINE @ 1.005 LIMIT GTC",
        "CANCEL order 2:3",
        "EXECUTED SELL 40 ACME @ 99.50, order 2:4 met 1:2",
        "CANCELED USER SELL 0.3 FINE @ 1.005, order 2:3",
        "EXECUTED BUY 40 ACME @ 99.50, order 1:2 RESTING, leaves 60",
    ):
        assert line in text
    found = picture(capsys, live, "--log", "100", "--events", "2")
    assert [command["kind"] for command in found["log"]["last"]].count("ENTER") == 5
    assert [event["number"] for event in found["event_ring"]["last"]] == [EVENTS - 1, EVENTS]


def test_the_killed_are_shown_as_they_were(dead: str, capsys: Capsys) -> None:
    found = picture(capsys, dead)
    _expect_known(found)
    assert (found["matcher"], found["supervisor_alive"], found["matcher_alive"]) == ("dead", False, False)
    assert [lane["waiting"] for lane in found["lanes"]] == [WAITING, 0]
    locks = {lock["role"]: lock for lock in found["locks"]}
    assert not locks["matcher"]["held"]
    assert not locks["matcher"]["holders"]
    assert locks["session alice"]["held"]
    text = look(capsys, dead, "--symbol", "ACME")
    assert "dead, process" in text
    assert "nobody" in text
    assert "FINE: version slots" not in text


def test_it_takes_no_part_and_needs_no_kernels(live: str) -> None:
    program = (
        "import sys\nfrom tools.inspect_segment.__main__ import main\n"
        f"code = main([{live!r}, '--json', '--log', '9'])\nsys.exit(code or bool({{'numba', 'llvmlite'}} & set(sys.modules)))"
    )
    before = _state(live)
    done = subprocess.run([sys.executable, "-c", program], env=environment(), cwd=CHECKOUT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""
    assert _state(live) == before


def _state(name: str) -> tuple[object, ...]:
    """What a participant would leave behind: a session, a changed hint, a lock."""
    with attach(name, dead_ok=True, populate=False) as segment:
        owners = segment.array("owner")["attached"].tolist()
        return owners, segment.array("activity").tobytes(), [holder.spans for holder in holders(root_path(name, "/dev/shm")) if holder.spans]


def test_regions_and_their_records(live: str, capsys: Capsys) -> None:
    regions = {row["region"]: row for row in picture(capsys, live, "--map")["regions"]}
    with attach(live, populate=False) as segment:
        assert regions.keys() == segment.layout.regions.keys()
        assert "memory map" in look(capsys, live, "--map")
        data = next(Path("/dev/shm").glob(f"*-{live}.*")).read_bytes()
    found = picture(capsys, live, "--region", "lane", "--session", "2", "--index", "4")
    (record,) = found["records"]
    assert (record["fields"]["number"], record["fields"]["price_ticks"], record["fields"]["quantity"]) == (4, 9950, 40)
    assert bytes.fromhex(record["hex"]) == data[record["offset"] : record["offset"] + 64]
    text = look(capsys, live, "--region", "lane", "--session", "2", "--index", "4", "--hex")
    assert f"{record['offset']:08x}  04 00 00 00 00 00 00 00" in text
    assert picture(capsys, live, "--region", "lane_heads", "--session", "2")["records"][0]["fields"]["head"] == 6
    report = picture(capsys, live, "--region", "reports", "--session", "2", "--index", "6")["records"][0]
    assert (report["fields"]["number"], report["fields"]["leaves_quantity"]) == (6, 0)
    assert bytes.fromhex(report["hex"]) == data[report["offset"] : report["offset"] + 64]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--region", "lan"), "did you mean 'lane'?"),
        (("--region", "lane"), "say which with --session 1 … 4"),
        (("--region", "lane", "--session", "5"), "has sessions 1 to 4, not 5"),
        (("--region", "log", "--session", "1"), "belongs to no session"),
        (("--region", "control", "--index", "1"), "has records 0 to 0 here, not 1"),
        (("--symbol", "ACNE"), "did you mean 'ACME'?"),
    ],
)
def test_what_is_not_there_is_said_in_one_line(live: str, capsys: Capsys, arguments: tuple[str, ...], said: str) -> None:
    assert main([live, *arguments]) == 1
    shown = capsys.readouterr()
    assert said in shown.err
    assert shown.err.count("\n") == 1
    assert shown.out == ""


@pytest.mark.parametrize("arguments", [("--hex",), ("--index", "3"), ("--log", "-1"), ("--header", "cobol"), ("--header", "c", "--json")])
def test_a_wrong_flag_ends_with_2(arguments: tuple[str, ...], capsys: Capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["nobody", *arguments])
    assert ended.value.code == 2


def test_an_unknown_name_is_an_error_that_says_what_to_do(capsys: Capsys) -> None:
    assert main(["nobody-has-this"]) == 1
    assert "there is no exchange 'nobody-has-this'" in capsys.readouterr().err
    assert issubclass(ExchangeError, Exception)
