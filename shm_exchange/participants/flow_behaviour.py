"""A built-in flow as a behaviour: the same kernels, moved by a participant's own moments and delays, on a real exchange or in simulated time."""

from __future__ import annotations

import numpy as np

from shm_exchange.client.plain import plain
from shm_exchange.client.report import Report
from shm_exchange.domain.limits import SNAPSHOT_SLOTS
from shm_exchange.layout.headers import PRICE_LEVEL, SNAPSHOT, SNAPSHOT_LATEST
from shm_exchange.layout.records import COMMAND, REPORT
from shm_exchange.participants.behaviour import Behaviour
from shm_exchange.participants.book_flows import Reading, make_command
from shm_exchange.participants.flows import MID_TICKS, RESTING_AT_MOST, checked_flow
from shm_exchange.participants.market import Market
from shm_exchange.participants.portfolio import Portfolio, Traded, new_portfolio
from shm_exchange.participants.quotes import Quote, mid_of
from shm_exchange.participants.settle import settle
from shm_exchange.snapshot.slots import Snapshots

_SLOTS = 2048


class FlowBehaviour(Behaviour):
    """One command of a flow at every moment of its rate."""

    def __init__(self, flow: str, seed: int, number: int) -> None:
        self._kind = int(checked_flow(flow).kind)
        self._seed, self._number = seed, number
        self._commands = np.zeros(1, COMMAND)
        self.misfits = 0
        """Reports that do not add up with what was asked for."""

    def on_start(self, market: Market) -> None:
        """Nothing is open; prices begin where the market stands."""
        numbers = [market.instruments.index(market.instrument(symbol)) for symbol in market.symbols]
        traded = [_traded(market, symbol, number) for symbol, number in zip(market.symbols, numbers, strict=True)]
        portfolio = new_portfolio(traded, self._seed, self._number, _SLOTS)
        self._portfolio = Portfolio(*(plain(array) for array in portfolio))
        tally = self._portfolio.tally
        tally["next_id"] = market.next_id
        tally["open_target"] = min(RESTING_AT_MOST, market.order_quota // 2 or RESTING_AT_MOST)
        self._numbers, self._book = dict(zip(market.symbols, numbers, strict=True)), _Book(len(market.instruments))

    def on_market(self, market: Market) -> None:
        """Make one command from the touch as it is known here."""
        if market.has_news:
            for symbol, number in self._numbers.items():
                self._book.show(number, market.quote(symbol))
        if make_command(self._kind, self._portfolio, self._book.reading, self._commands, market.now_ns):
            market.send(self._commands[0].item())

    def on_report(self, market: Market, report: Report) -> None:
        """Fold it into the flow's memory."""
        number = market.instruments.index(report.instrument) if report.instrument else len(market.instruments)
        row = (report.number, report.order_id, report.client_order_id, report.cause_id, report.price_ticks, report.quantity_lots, report.leaves_lots)
        words = (report.kind, report.reason_number, report.side_number, report.role_number, number, report.account)
        settle(self._portfolio, np.array([(*row, *words)], REPORT), market.now_ns)
        self.misfits = int(self._portfolio.tally["misfits"][0])


class _Book:
    """Snapshots of this process alone, one level a side: so the kernels read a delayed touch as they read the exchange's."""

    def __init__(self, instruments: int) -> None:
        shared = (np.zeros(instruments, SNAPSHOT_LATEST), np.zeros(instruments * SNAPSHOT_SLOTS, SNAPSHOT))
        levels = np.zeros(instruments * SNAPSHOT_SLOTS * 2, PRICE_LEVEL)
        self._latest, self._heads, self._levels = *shared, levels
        self.reading = Reading(Snapshots(*(_sealed(array) for array in (*shared, levels))), np.zeros(1, SNAPSHOT), np.zeros(2, PRICE_LEVEL))

    def show(self, instrument: int, quote: Quote) -> None:
        """The next version of an instrument's top."""
        version = int(self._latest["version"][instrument]) + 1
        slot = instrument * SNAPSHOT_SLOTS + version % SNAPSHOT_SLOTS
        head = self._heads[slot]
        head["stamp"], head["bid_count"], head["ask_count"] = 2 * version, quote.bid_lots > 0, quote.ask_lots > 0
        self._levels[2 * slot] = (quote.bid_ticks, quote.bid_lots)
        self._levels[2 * slot + 1] = (quote.ask_ticks, quote.ask_lots)
        self._latest["version"][instrument] = version


def _sealed(array: np.ndarray) -> np.ndarray:
    """The same memory, not to be written through: the type that kernels know from the exchange's."""
    view = array.view()
    view.flags.writeable = False
    return view


def _traded(market: Market, symbol: str, number: int) -> Traded:
    instrument, mid = market.instruments[number], mid_of(market.quote(symbol))
    start = min(max(MID_TICKS, instrument.min_ticks), instrument.max_ticks) if mid is None else int(mid)
    return Traded(number, start, instrument.min_ticks, instrument.max_ticks)
