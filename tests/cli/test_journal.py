"""`journal verify`, `dump` and `diff` as people use them: what they print of good files, of damaged ones, and of files being written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from shm_exchange.cli.journal_text import command_text
from shm_exchange.cli.main import app
from shm_exchange.domain.config import ExchangeConfig, TermStart
from shm_exchange.domain.enums import Admission, CommandKind, Flag, OrderType, SelfTradePrevention, Side, TimeInForce
from shm_exchange.domain.errors import JournalDamaged, JournalError
from shm_exchange.domain.instrument import Instrument
from shm_exchange.domain.names import name_words
from shm_exchange.journal.folder import segment_path
from shm_exchange.journal.segments import SegmentWriter
from shm_exchange.layout.records import ALL_INSTRUMENTS, COMMAND_WORDS, LOG_RECORD, LOGON
from tests.cli.programs import call, figures

CONFIG = ExchangeConfig("kept", (Instrument("ACME"), Instrument("GLOBEX", tick_size="0.5", lot_size="10")))
TIME_NS = 1_700_000_000_123_456_789
LANE = 3 << 40


def command(kind: CommandKind, position: int = 0, **fields: int) -> np.ndarray:
    """One log record of session 3."""
    record = np.zeros(1, LOG_RECORD)
    record["command_id"], record["kind"], record["time_ns"] = LANE + position, kind, TIME_NS
    for name, value in fields.items():
        record[name] = value
    return record


def entered(**fields: int) -> np.ndarray:
    usual = {"side": Side.BUY, "order_type": OrderType.LIMIT, "time_in_force": TimeInForce.GTC, "self_trade": SelfTradePrevention.NONE}
    return command(CommandKind.ENTER, **usual | {"price_ticks": 950, "quantity": 40} | fields)


def logged_on() -> np.ndarray:
    record = command(CommandKind.LOGON, modifiers=Flag.CANCEL_ON_DISCONNECT).view(LOGON)
    for what, name in (("session", "alice"), ("account", "house")):
        record[f"{what}_low"], record[f"{what}_high"] = name_words(name)
    return record.view(LOG_RECORD)


LOG = [logged_on(), entered(position=1), entered(position=2, side=Side.SELL, client_order_id=7), command(CommandKind.CANCEL, 3, order_id=LANE + 1)]


def keep(directory: Path, log: list[np.ndarray], *, clean: bool = True) -> SegmentWriter:
    """A journal of two terms, the second of which has the last command."""
    ring = np.zeros(64, COMMAND_WORDS)
    ring[: len(log)] = np.concatenate(log).view(COMMAND_WORDS)
    half = len(log) - 1
    for term, first, last in ((TermStart(1, 0, 1), 0, half), (TermStart(2, half, 9), half, len(log))):
        writer = SegmentWriter(directory, CONFIG, term, first, segment_records=64, durable_mode=True)
        writer.append(ring, first, last)
        if clean or last == half:
            writer.close(clean=True)
    return writer


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    folder = tmp_path / "kept"
    keep(folder, LOG)
    return folder


def invoke(*arguments: object) -> Result:
    """Within this process."""
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, ["journal", *map(str, arguments)])


def wound(path: Path, byte: int) -> None:
    data = bytearray(path.read_bytes())
    data[byte] ^= 1
    path.write_bytes(data)


def test_verify_shows_every_segment(kept: Path) -> None:
    done = invoke("verify", kept)
    assert done.exit_code == 0
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert lines == [
        "file first number last term records size verdict",
        "segment-0000000000000000.log 0 2 1 3 4,312 B good",
        "segment-0000000000000003.log 3 3 2 1 4,168 B good",
        "",
        "4 records of exchange 'kept' are good; all below number 4 are said to be durable",
    ]


def test_verify_in_figures(kept: Path) -> None:
    found = figures("journal", "verify", str(kept))
    segments = found.pop("segments")
    assert found == {
        "directory": str(kept),
        "good": True,
        "damage": None,
        "exchange": "kept",
        "first": 0,
        "end": 4,
        "durable": 4,
        "terms": [{"term": 1, "sequence": 0, "event": 1}, {"term": 2, "sequence": 3, "event": 9}],
        "live": False,
        "cut": "",
    }
    assert [(row["file"], row["records"], row["damage"]) for row in segments] == [
        ("segment-0000000000000000.log", 3, None),
        ("segment-0000000000000003.log", 1, None),
    ]


def test_verify_ends_with_1_on_damage_and_says_where(kept: Path) -> None:
    wound(segment_path(kept, 0), 4096 + 72 + 5)
    done = call("journal", "verify", str(kept))
    assert done.returncode == 1
    assert "segment-0000000000000000.log 0 2 1 3 4,312 B damaged at 1" in " ".join(done.stdout.split())
    assert "the journal is DAMAGED" in done.stdout
    where = f"{segment_path(kept, 0)}, record 1 at byte 4168 (number 1) is damaged: it is not what was written there; restore the folder from a copy"
    assert done.stderr == f"shm-exchange: {where}\n"
    found = json.loads(invoke("verify", kept, "--json").stdout)
    assert (found["good"], found["damage"]) == (False, where)
    assert [row["good_up_to"] for row in found["segments"]] == [1, 4]


def test_verify_of_damage_that_hides_the_end(kept: Path) -> None:
    wound(segment_path(kept, 0), 100)
    done = invoke("verify", kept, "--json")
    assert done.exit_code == 1
    assert json.loads(done.stdout)["segments"] == []
    assert "is damaged at byte 0 (number 0): the header does not agree with its CRC" in json.loads(done.stdout)["damage"]


def test_verify_says_what_was_cut(tmp_path: Path) -> None:
    keep(tmp_path, LOG, clean=False).close(clean=False)
    wound(segment_path(tmp_path, 3), 4096 + 3)
    done = invoke("verify", tmp_path)
    assert done.exit_code == 0
    assert "cut, as left by a write that never ended: segment-0000000000000003.log from byte 4096 on (number 3)" in done.stdout


def test_a_journal_that_is_being_written_is_not_disturbed(tmp_path: Path) -> None:
    writer = keep(tmp_path, LOG, clean=False)
    assert "it is being written" in invoke("verify", tmp_path).stdout
    assert json.loads(invoke("verify", tmp_path, "--json").stdout)["live"] is True
    assert "it is being written" in invoke("dump", tmp_path).stderr
    writer.append(np.zeros(64, COMMAND_WORDS), 4, 5)
    writer.close(clean=True)


def test_dump_prints_a_line_a_command(kept: Path) -> None:
    done = invoke("dump", kept)
    assert done.exit_code == 0
    assert done.stdout.splitlines() == [
        "         0  2023-11-14T22:13:20.123456789Z     3  LOGON alice account house CANCEL_ON_DISCONNECT",
        f"         1  2023-11-14T22:13:20.123456789Z     3  ENTER BUY 40 ACME @ 9.50 GTC order {LANE + 1}",
        f"         2  2023-11-14T22:13:20.123456789Z     3  ENTER SELL 40 ACME @ 9.50 GTC order {LANE + 2} client 7",
        f"         3  2023-11-14T22:13:20.123456789Z     3  CANCEL order {LANE + 1}",
    ]
    assert done.stderr == "the log holds numbers 0 to 3\n"


def test_dump_of_a_part(kept: Path) -> None:
    lines = invoke("dump", kept, "--first", 2, "--last", 3).stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["2", "3"]
    assert invoke("dump", kept, "--first", 3, "--last", 2).exit_code == 2
    beyond = invoke("dump", kept, "--last", 4)
    assert isinstance(beyond.exception, JournalError)
    assert "holds records 0 to 3; 0 to 4 are not all there" in str(beyond.exception)


def test_dump_in_figures(kept: Path) -> None:
    found = figures("journal", "dump", str(kept), "--first", "2")
    assert [one["number"] for one in found["records"]] == [2, 3]
    assert [one["term"] for one in found["records"]] == [1, 2]
    first: dict[str, Any] = found["records"][0]
    assert {name: first[name] for name in ("session", "kind", "side", "price_ticks", "client_order_id", "time_ns")} == {
        "session": 3,
        "kind": "ENTER",
        "side": Side.SELL,
        "price_ticks": 950,
        "client_order_id": 7,
        "time_ns": TIME_NS,
    }


def test_dump_of_a_damaged_journal_ends_where_it_must(kept: Path) -> None:
    wound(segment_path(kept, 0), 4096 + 72 + 5)
    done = invoke("dump", kept)
    assert isinstance(done.exception, JournalDamaged)
    assert len(done.stdout.splitlines()) == 1
    found = json.loads(invoke("dump", kept, "--json").stdout)
    assert [one["number"] for one in found["records"]] == [0]
    assert "(number 1) is damaged" in found["damage"]


def test_the_same_logs(kept: Path, tmp_path: Path) -> None:
    keep(tmp_path / "other", LOG)
    done = invoke("diff", kept, tmp_path / "other")
    assert (done.exit_code, done.stdout) == (0, "the logs are the same: numbers 0 to 3\n")
    assert json.loads(invoke("diff", kept, kept, "--json").stdout) == {
        "same": True,
        "compared_from": 0,
        "ends": [4, 4],
        "number": None,
        "records": [],
    }


@pytest.mark.parametrize("turned", [False, True])
def test_logs_that_part(kept: Path, tmp_path: Path, *, turned: bool) -> None:
    other = tmp_path / "other"
    keep(other, [*LOG[:2], entered(position=2, quantity=41), *LOG[3:]])
    done = invoke("diff", *((other, kept) if turned else (kept, other)))
    assert done.exit_code == 1
    sides = [
        f"{kept}:          2  2023-11-14T22:13:20.123456789Z     3  ENTER SELL 40 ACME @ 9.50 GTC order {LANE + 2} client 7",
        f"{other}:          2  2023-11-14T22:13:20.123456789Z     3  ENTER BUY 41 ACME @ 9.50 GTC order {LANE + 2}",
    ]
    assert done.stdout.splitlines() == ["the logs part at number 2:", *(reversed(sides) if turned else sides)]


def test_a_log_that_goes_on(kept: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    keep(other, LOG[:3])
    done = invoke("diff", kept, other)
    assert done.exit_code == 1
    assert done.stdout.splitlines()[2] == f"{other}: the log ends before 3"
    found = json.loads(invoke("diff", other, kept, "--json").stdout)
    assert (found["same"], found["number"], found["ends"]) == (False, 3, [3, 4])
    assert found["records"][0] is None
    assert found["records"][1]["kind"] == "CANCEL"


def test_logs_without_a_number_in_common(kept: Path, tmp_path: Path) -> None:
    writer = SegmentWriter(tmp_path / "later", CONFIG, TermStart(1, 50, 1), 50, segment_records=64, durable_mode=False)
    writer.append(np.zeros(64, COMMAND_WORDS), 50, 60)
    writer.close(clean=True)
    done = invoke("diff", kept, tmp_path / "later")
    assert isinstance(done.exception, JournalError)
    assert "there is nothing to compare" in str(done.exception)


@pytest.mark.parametrize("arguments", [("verify",), ("dump",), ("diff", "/nowhere")])
def test_a_folder_that_is_not_there(arguments: tuple[str, ...]) -> None:
    done = call("journal", *arguments, "/nowhere")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "shm-exchange: cannot read the journal folder /nowhere: No such file or directory; name the folder that the exchange writes to\n"
    )


@pytest.mark.parametrize(
    ("record", "text"),
    [
        (entered(instrument=1), f"ENTER BUY 400 GLOBEX @ 475.0 GTC order {LANE}"),
        (entered(order_type=OrderType.MARKET, time_in_force=TimeInForce.IOC, price_ticks=0), f"ENTER BUY 40 ACME MARKET IOC order {LANE}"),
        (
            entered(order_type=OrderType.MARKET, time_in_force=TimeInForce.IOC, modifiers=Flag.PROTECTED),
            f"ENTER BUY 40 ACME MARKET @ 9.50 IOC order {LANE} PROTECTED",
        ),
        (entered(modifiers=Flag.POST_ONLY | Flag.SLIDE, self_trade=SelfTradePrevention.DECREMENT), "POST_ONLY SLIDE DECREMENT"),
        (command(CommandKind.REDUCE, client_order_id=9, quantity=5), "REDUCE client 9 by 5 lots"),
        (
            command(CommandKind.REPLACE, order_id=77, quantity=5, price_ticks=-3, modifiers=Flag.REINSERT),
            "REPLACE order 77 to 5 lots @ -3 ticks REINSERT",
        ),
        (command(CommandKind.MASS_CANCEL, instrument=ALL_INSTRUMENTS, modifiers=Flag.ACCOUNT), "MASS_CANCEL ALL ACCOUNT"),
        (command(CommandKind.MASS_CANCEL, side=Side.SELL), "MASS_CANCEL ACME SELL"),
        (command(CommandKind.LOGOFF), "LOGOFF"),
        (command(CommandKind.DISCONNECT), "DISCONNECT"),
        (command(CommandKind.ADMIT, quantity=Admission.REDUCING), "ADMIT REDUCING"),
        (entered(side=9, instrument=500, modifiers=128), f"ENTER Side 9 40 lots instrument 500 @ 950 ticks GTC order {LANE} modifiers 128"),
        (np.zeros(1, LOG_RECORD), "CommandKind 0"),
    ],
)
def test_a_command_in_words(record: np.ndarray, text: str) -> None:
    assert command_text(record[0], CONFIG).endswith(text)


def test_any_bytes_have_words() -> None:
    """Hostile slots stand in the log as they came."""
    draw = np.random.default_rng(3)
    hostile = np.frombuffer(draw.bytes(64 * 2000), LOG_RECORD).copy()
    hostile["kind"][:1800] %= 10
    texts = [command_text(record, CONFIG) for record in hostile]
    assert all(text and text.isprintable() for text in texts)
