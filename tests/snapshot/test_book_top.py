"""The published top equals the top of the engine's book after every command, and what lies below the window is not published at all."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from shm_exchange.domain.config import ExchangeConfig
from shm_exchange.domain.enums import CommandKind, OrderType, SelfTradePrevention, Side, TimeInForce
from shm_exchange.domain.instrument import Instrument
from shm_exchange.domain.limits import POSITION_BITS, SNAPSHOT_SLOTS
from shm_exchange.domain.names import name_words
from shm_exchange.engine.apply import apply
from shm_exchange.engine.engine import Engine
from shm_exchange.layout.headers import PRICE_LEVEL, SNAPSHOT, SNAPSHOT_LATEST
from shm_exchange.layout.records import LOG_RECORD, LOGON
from shm_exchange.snapshot.book_top import publish_due, publish_instrument
from shm_exchange.snapshot.slots import Snapshots, read_snapshot

DEPTH = 3
INSTRUMENTS = 2
SESSION = 1
CONFIG = ExchangeConfig("top", (Instrument("ONE"), Instrument("TWO")), max_orders=256, max_sessions=1, depth=DEPTH)

COMMANDS = st.lists(
    st.tuples(st.integers(0, INSTRUMENTS - 1), st.sampled_from(Side), st.integers(1, 9), st.integers(1, 5), st.integers(0, 9)),
    max_size=60,
)


class Market:
    """An engine and what a matcher would publish of it."""

    def __init__(self) -> None:
        self.engine = Engine(CONFIG)
        self.snapshots = Snapshots(
            np.zeros(INSTRUMENTS, SNAPSHOT_LATEST).view(np.recarray),
            np.zeros(INSTRUMENTS * SNAPSHOT_SLOTS, SNAPSHOT).view(np.recarray),
            np.zeros(INSTRUMENTS * SNAPSHOT_SLOTS * 2 * DEPTH, PRICE_LEVEL).view(np.recarray),
        )
        self._position = 0
        logon = self._command(CommandKind.LOGON).view(LOGON)
        logon["session_low"], logon["session_high"] = logon["account_low"], logon["account_high"] = name_words("me")
        self._apply(logon.view(LOG_RECORD))

    def _command(self, kind: CommandKind, **fields: int) -> np.ndarray:
        self._position += 1
        record = np.zeros(1, LOG_RECORD)
        record["command_id"], record["kind"] = SESSION << POSITION_BITS | self._position, kind
        for name, value in fields.items():
            record[name] = value
        return record

    def _apply(self, record: np.ndarray) -> None:
        sequence = int(self.engine.book.state[0].sequence)
        log = self.engine._log
        log.records.view(np.ndarray)[sequence % len(log.records)] = record[0]
        apply(self.engine.book, self.engine.outputs, log, sequence + 1)
        self.engine.outputs.state[0].touched = 0
        publish_due(self.engine.book, self.snapshots)

    def enter(self, instrument: int, side: Side, price_ticks: int, quantity: int) -> int:
        """A limit order; returns its id."""
        record = self._command(CommandKind.ENTER, instrument=instrument, side=side, price_ticks=price_ticks, quantity=quantity)
        record["order_type"], record["time_in_force"], record["self_trade"] = OrderType.LIMIT, TimeInForce.GTC, SelfTradePrevention.NONE
        self._apply(record)
        return int(record["command_id"][0])

    def cancel(self, order_id: int) -> None:
        """Cancel an order, if it is still open."""
        self._apply(self._command(CommandKind.CANCEL, order_id=order_id))

    def version(self, instrument: int) -> int:
        """How often the instrument was published."""
        return int(self.snapshots.latest[instrument].version)

    def published(self, instrument: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]], int, int]:
        """Bids, asks, price of the last trade and newest event of the snapshot."""
        head, levels = np.zeros(1, SNAPSHOT).view(np.recarray), np.zeros(2 * DEPTH, PRICE_LEVEL).view(np.recarray)
        read_snapshot(self.snapshots, instrument, head, levels)
        bids, asks = levels[: head[0].bid_count].tolist(), levels[DEPTH : DEPTH + head[0].ask_count].tolist()
        return bids, asks, int(head[0].last_price_ticks), int(head[0].event_number)

    def top(self, instrument: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """Bids and asks of the engine's book."""
        return self.engine.levels(instrument, Side.BUY)[:DEPTH], self.engine.levels(instrument, Side.SELL)[:DEPTH]


@given(COMMANDS)
def test_after_every_command_the_published_top_is_the_top_of_the_book(commands: list[tuple[int, Side, int, int, int]]) -> None:
    market = Market()
    orders: list[int] = []
    for instrument, side, price_ticks, quantity, victim in commands:
        before = [market.published(index) for index in range(INSTRUMENTS)]
        newest = int(market.engine.book.state[0].next_event) - 1
        if victim < len(orders):
            market.cancel(orders.pop(victim))
        else:
            orders.append(market.enter(instrument, side, price_ticks, quantity))
        for index in range(INSTRUMENTS):
            bids, asks, last, event_number = market.published(index)
            assert (bids, asks) == market.top(index)
            assert last == market.engine.book.traded[index].last_price_ticks
            if (bids, asks, last) != before[index][:3]:
                assert event_number > newest


def test_a_change_below_the_window_writes_nothing() -> None:
    market = Market()
    for price_ticks in (50, 49, 48, 47):
        market.enter(0, Side.BUY, price_ticks, 1)
    versions = market.version(0), market.version(1)
    below = market.enter(0, Side.BUY, 40, 1)
    market.enter(0, Side.BUY, 47, 5)
    market.cancel(below)
    assert (market.version(0), market.version(1)) == versions
    market.enter(0, Side.BUY, 48, 5)
    assert (market.version(0), market.version(1)) == (versions[0] + 1, versions[1])


def test_publishing_again_changes_nothing_but_the_version() -> None:
    market = Market()
    market.enter(1, Side.SELL, 7, 3)
    before, version = market.published(1), market.version(1)
    publish_instrument(market.engine.book, market.snapshots, 1)
    assert (market.published(1), market.version(1)) == (before, version + 1)
