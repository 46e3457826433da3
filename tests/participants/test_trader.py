"""`trade` and `watch` in an exchange of real processes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from shm_exchange import Exchange, Gateway, Instrument
from shm_exchange.domain.enums import Side
from shm_exchange.participants.board import FINISHED, FIRST_TRADER_ROW, PARENT_ROW, WATCHER_ROW, Board, open_board
from shm_exchange.participants.trader import Place, trade
from shm_exchange.participants.watcher import watch
from tests.litmus.exchanges import outgrow_the_log

if TYPE_CHECKING:
    from collections.abc import Iterator

SIZES: dict[str, Any] = {"max_sessions": 4, "max_orders": 8192, "report_capacity": 8192, "event_capacity": 65_536}
MIDS = [10_000]


@pytest.fixture
def exchange() -> Iterator[Exchange]:
    with Exchange.start(f"p{os.getpid()}", [Instrument("ACME")], **SIZES) as exchange:
        yield exchange


@pytest.fixture
def board() -> Iterator[Board]:
    board = Board(2)
    yield board
    board.close()


def test_a_trader_alone_accounts_for_everything(exchange: Exchange) -> None:
    with Gateway.attach(exchange.name, session="alone") as gateway:
        account = trade(gateway, 2000, 1, MIDS)
    assert exchange.verify().holds  # the matcher is behind its counters now
    status = exchange.status()
    assert account["gapless"]
    assert account["conserved"]
    assert account["orders"] == 2000
    assert account["executions"] == 2 * status["trades"] > 0
    assert account["rejects"] == status["rejects"]
    assert account["open_orders"] == status["open_orders"]
    assert account["latencies"].sum() > 1900


def test_a_rate_is_kept(exchange: Exchange) -> None:
    with Gateway.attach(exchange.name, session="slow") as gateway:
        account = trade(gateway, 200, 1, MIDS, rate=1000)
    assert account["seconds"] >= 0.19


@pytest.mark.long
def test_a_trader_goes_on_with_another_matcher(exchange: Exchange) -> None:
    (child,) = exchange.spawn(trade, 1500, 1, MIDS, rate=1000, session="goes-on")
    while exchange.status()["trades"] < 10:
        assert child.poll() is None
    os.kill(exchange.status()["matcher_pid"], 9)
    account = child.wait(60)
    assert (account["orders"], account["gapless"], account["conserved"]) == (1500, True, True)
    assert exchange.verify().holds
    status = exchange.status()
    assert (status["matcher_lives"], account["executions"]) == (2, 2 * status["trades"])


def test_a_trader_says_when_the_matcher_dies_for_good(exchange: Exchange) -> None:
    outgrow_the_log(exchange.name)
    (child,) = exchange.spawn(trade, 10_000_000, 1, MIDS, rate=1000, session="doomed")
    while exchange.status()["trades"] < 10:
        assert child.poll() is None
    os.kill(exchange.status()["matcher_pid"], 9)
    with pytest.raises(Exception, match=r"matcher of exchange|lane of session") as error:
        child.wait(30)
    assert "doomed" in str(error.value)
    with pytest.raises(Exception, match="SIGKILL"):
        exchange.verify()


@pytest.mark.long
def test_two_traders_and_a_watcher_agree(exchange: Exchange, board: Board) -> None:
    (watcher,) = exchange.spawn(watch, exchange.name, board.path, 3, gateway=False)
    places = [Place(board.path, FIRST_TRADER_ROW + number, 2) for number in range(2)]
    traders = [exchange.spawn(trade, 3000, 5, MIDS, trader=number, place=place, session=f"t{number}")[0] for number, place in enumerate(places)]
    while not board.rows["ready"][WATCHER_ROW:].all():
        assert all(child.poll() is None for child in (watcher, *traders))
    assert not board.rows["orders"].any()
    board.rows["go"][PARENT_ROW] = 1
    accounts = [child.wait(60) for child in traders]
    assert board.rows["done"][FIRST_TRADER_ROW:].all()
    assert exchange.verify().holds
    board.rows["stop"][PARENT_ROW] = 1
    seen = watcher.wait(60)
    assert sum(account["executions"] for account in accounts) == 2 * exchange.status()["trades"]
    assert seen["events"] == exchange.status()["events"]
    assert seen["hashes_agree"] == seen["tops_agree"] == {"ACME": True}
    assert seen["snapshots_backwards"] == 0
    assert len(seen["ladders"]["ACME"][Side.BUY.name.lower()]) == 3
    assert board.rows["events"][WATCHER_ROW] == FINISHED


def test_a_watcher_that_was_lapped_says_so(exchange: Exchange, board: Board) -> None:
    with Gateway.attach(exchange.name, session="fast") as gateway:
        trade(gateway, 60_000, 1, MIDS)
    board.rows["stop"][PARENT_ROW] = 1
    seen = watch(exchange.name, board.path)
    assert seen["lost"] > 0
    assert "overwritten" in seen["problem"]


def test_a_board_has_no_name_and_is_seen_by_others() -> None:
    board = Board(1)
    rows = open_board(board.path)
    board.rows["go"][PARENT_ROW] = 7
    assert rows["go"][PARENT_ROW] == 7
    board.close()
    assert not Path(board.path).exists()
    with pytest.raises(FileNotFoundError):
        open_board(board.path)
    assert rows["go"][PARENT_ROW] == 7
