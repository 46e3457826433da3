"""A planned LOBSTER day, carried out by the engine itself: after every row the book is the file's as far as it can be known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shm_exchange.domain.config import ExchangeConfig
from shm_exchange.domain.enums import CommandKind, EventKind, Role, Side, TimeInForce
from shm_exchange.domain.instrument import Instrument
from shm_exchange.domain.limits import POSITION_BITS
from shm_exchange.domain.names import name_words
from shm_exchange.engine.engine import Engine
from shm_exchange.layout.records import LOG_RECORD, LOGON
from shm_exchange.protocol.flow import NO_ROW
from shm_exchange.protocol.lobster import decode_book, decode_messages
from shm_exchange.protocol.lobster_day import Day, day_of
from shm_exchange.protocol.lobster_flow import SEED, Plan, plan
from tests.protocol.lobster_market import NaiveMarket, Pair

STOCK = Instrument("STOCK", "0.0001", "1")
CONFIG = ExchangeConfig("lobster", (STOCK,), max_orders=2048, max_sessions=2, session_orders=2048)


def planned(pair: Pair, *, with_book: bool = True) -> tuple[Day, Plan]:
    messages = decode_messages(pair.messages, "m")
    book = decode_book(pair.book, "b") if with_book else None
    made = plan(messages, book)
    return day_of(messages, book, made, 0, "replay", (STOCK,)), made


class Carried:
    """An engine that carries out a day, row by row."""

    def __init__(self, day: Day) -> None:
        self.day = day
        self.engine = Engine(CONFIG)
        self.positions = [1, 1]
        self.ids: list[int] = []
        self.reports: list[np.ndarray] = []
        for session in (1, 2):
            records = np.zeros(1, LOG_RECORD)
            records["command_id"], records["kind"] = session << POSITION_BITS | 1, CommandKind.LOGON
            names = records.view(LOGON)
            names["session_low"], names["session_high"] = names["account_low"], names["account_high"] = name_words(f"s{session}")
            self.engine.apply(records)

    def row(self, row: int) -> list[list[tuple[int, int]]]:
        """Handle the commands of one row; the levels afterwards, buy side first."""
        flow = self.day.flow
        for index in range(*np.searchsorted(flow.rows, [row, row + 1])):
            session = int(flow.session_of[index])
            self.positions[session] += 1
            record = flow.commands[index : index + 1].view(LOG_RECORD).copy()
            record["command_id"] = (session + 1) << POSITION_BITS | self.positions[session]
            self.ids.append(int(record["command_id"][0]))
            self.reports += self.engine.apply(record).reports.values()
        return [self.engine.levels(0, side) for side in Side]

    def fills(self) -> list[tuple[int, int, int, int]]:
        """(command id of the incoming order, client id of the resting one, price, quantity) of every match."""
        reports = np.concatenate(self.reports)
        executed = reports[reports["kind"] == EventKind.EXECUTED]
        named = {int(r["cause_id"]): int(r["client_order_id"]) for r in executed if r["role"] == Role.RESTING}
        incoming = executed[executed["role"] == Role.INCOMING]
        return [(int(r["order_id"]), named[int(r["cause_id"])], int(r["price_ticks"]), int(r["quantity"])) for r in incoming]

    def rejects(self) -> int:
        return sum(int((reports["kind"] == EventKind.REJECTED).sum()) for reports in self.reports)


@settings(max_examples=settings().max_examples // 8)
@given(st.integers(0, 2**32), st.sampled_from([1, 2, 5]), st.integers(0, 60))
def test_every_row_is_as_the_file_has_it(seed: int, levels: int, before: int) -> None:
    pair = NaiveMarket(seed, levels, before).pair(60)
    day, made = planned(pair)
    assert day.levels is not None
    carried = Carried(day)
    carried.row(NO_ROW)
    for row in range(pair.rows):
        for side, found in enumerate(carried.row(row)):
            wanted = [tuple(level) for level in day.levels[row, side].tolist() if level[1]]
            assert found == wanted, row
            vanished = row > 0 and len(wanted) == levels and made.held[row, side] == levels - 1
            assert made.held[row, side] == min(len(wanted), levels) - vanished
    assert carried.rejects() == 0
    assert not day.notes
    ids = [carried.ids[index] for index in day.executions["command"]]
    expected = [(i, *e) for i, e in zip(ids, day.executions[["id", "price", "quantity"]].tolist(), strict=True)]
    assert carried.fills() == expected
    assert carried.engine.check() == 0


def rows_of(*lines: str) -> bytes:
    return "".join(f"{number},{line}\n" for number, line in enumerate(lines, 1)).encode()


def said(made: Plan) -> list[str]:
    """Commands as a trader reads them; seeds count from 1."""
    lines = []
    for kind, side, tif, session, number, price, quantity, row in made.commands.tolist():
        name = f"seed{number - SEED}" if number > SEED else str(number)
        what = f"{CommandKind(kind).name.lower()} {name}" if session == 0 else "take"
        order = f" {Side(side).name.lower()} {quantity} at {price}" if side else f" {quantity}" if quantity else ""
        lines.append(f"{row}: {what}{order}")
        assert tif == (0 if not side else TimeInForce.IOC if session else TimeInForce.GTC)
    return lines


def test_unknown_orders_are_the_seeds() -> None:
    messages = decode_messages(rows_of("2,7,5,100,1", "1,900,3,100,1", "4,7,10,100,1", "3,8,5,100,1", "4,900,3,100,1"), "m")
    book = decode_book(b"200,1,100,15\n200,1,100,18\n200,1,100,8\n200,1,100,3\n200,1,90,1\n", "b")
    made = plan(messages, book)
    assert said(made) == [
        "-1: enter seed1 buy 20 at 100",  # the first message undone: 15 + 5
        "-1: enter seed2 sell 1 at 200",
        "0: reduce seed1 5",
        "1: enter 900 buy 3 at 100",
        "2: take sell 10 at 100",
        "3: cancel seed1",
        "4: take sell 3 at 100",
        "4: enter seed3 buy 1 at 90",  # it scrolled in
    ]
    assert made.executions[["row", "id"]].tolist() == [(2, SEED + 1), (4, 900)]
    assert made.held.tolist() == [[1, 1]] * 4 + [[0, 1]]
    assert made.notes == {}


def test_a_level_pushed_out_of_sight_is_withdrawn() -> None:
    messages = decode_messages(rows_of("1,901,3,100,1", "1,902,4,101,1", "3,902,4,101,1"), "m")
    book = decode_book(b"200,1,100,3\n200,1,101,4\n200,1,100,2\n", "b")
    assert said(plan(messages, book))[1:] == [
        "0: enter 901 buy 3 at 100",
        "1: enter 902 buy 4 at 101",
        "1: cancel 901",
        "2: cancel 902",
        "2: enter seed2 buy 2 at 100",  # one of them was canceled meanwhile, unseen
    ]


@pytest.mark.parametrize(
    ("lines", "note", "left"),
    [
        (("1,901,3,100,1", "1,902,4,100,1", "4,902,4,100,1"), "trades out of turn", [3]),
        (("1,901,3,100,1", "1,902,4,101,1", "4,901,3,100,1"), "trades behind the best price", [4]),
        (("1,901,3,100,1", "1,902,4,100,1", "3,901,4,100,1"), "takes away what is not open", [3]),
        (("1,901,3,100,1", "3,901,2,100,1"), "takes away what is not open", [1]),
        (("1,901,3,100,1", "1,901,3,100,1"), "a new order under an id that is open", [6]),
        (("1,901,3,100,1", "1,902,3,90,-1"), "in the way of a new order", []),
        (("1,901,3,100,1", "3,77,3,55,1"), "about a price out of sight", [3]),
    ],
)
def test_contradictions_are_noted_and_the_level_has_the_total_of_the_file(lines: tuple[str, ...], note: str, left: list[int]) -> None:
    day, made = planned(Pair(rows_of(*lines), b"300,1,100,3,9999999999,0,-9999999999,0\n" * len(lines)))
    assert made.notes == {note: [len(lines) - 1]}
    carried = Carried(day)
    for row in range(NO_ROW, len(lines)):
        bids, _ = carried.row(row)
    assert carried.rejects() == 0
    assert [quantity for _, quantity in bids] == left


def test_without_a_book_what_is_not_known_is_left_out() -> None:
    messages = decode_messages(rows_of("3,1,5,100,1", "4,2,5,100,1", "1,901,3,100,1", "4,3,1,100,1", "4,901,2,100,1", "5,0,1,7,1"), "m")
    made = plan(messages, None)
    assert said(made) == ["2: enter 901 buy 3 at 100", "4: take sell 2 at 100"]
    assert made.notes == {"about an order from before the file": [0, 1, 3]}
