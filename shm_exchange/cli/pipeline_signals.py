"""`shm-exchange pipeline signals`: ticks → enrich → signal → risk → size → execute, on an exchange of its own.

The exchange shows the quote of the very tick that an order came from, kept there by a session "market"; so what a strategy is measured by is its
signals, not how fast it was. Without a feed the ticks are the golden list, and then a walk at random.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from decimal import Decimal
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, NamedTuple

from shm_exchange.cli.pipeline_feeds import FeedSource
from shm_exchange.cli.pipeline_run import Line, Ready
from shm_exchange.client import Gateway
from shm_exchange.domain.enums import Side
from shm_exchange.domain.instrument import Instrument
from shm_exchange.participants.holdings import added
from shm_exchange.participants.quoter import Quoter
from shm_exchange.participants.signals import Enrich, Enriched, Execution, Order, Risk, Signal, Sizing, Trade, signal_of
from shm_exchange.pipeline import Tick
from shm_exchange.pipeline.feed_source import START_NS, Walk, random_ticks, ticks_at

if TYPE_CHECKING:
    from shm_exchange.supervisor.exchange import Exchange

GOLDEN = (42000.0, 42050.0, 42100.0, 42080.0, 42150.0, 42200.0, 42180.0)
"""Mid prices: four BUY signals, of which the fifth price's is sure enough to be executed."""
GOLDEN_SIGNALS, GOLDEN_EXECUTED = (42050.0, 42100.0, 42150.0, 42200.0), (42150.0,)
SYMBOL = "BTC"
CAPITAL, MAX_POSITION = Decimal(100_000), Decimal(3)
_HALF_SPREAD, _SIZE, _STEP_NS = 0.5, 5.0, 1_000_000_000
_QUEUE = 256
_SIZES: dict[str, Any] = {"max_sessions": 4, "max_orders": 1024, "event_capacity": 4096}
_LOWEST = "-1000000"


class Wishes(NamedTuple):
    """What is asked for."""

    ticks: int | None = 1000
    seed: int = 1
    feed: str | None = None
    symbols: tuple[str, ...] = (SYMBOL,)


def golden_ticks() -> list[Tick]:
    """The list, a second apart."""
    return ticks_at(SYMBOL, GOLDEN, half_spread=_HALF_SPREAD, size=_SIZE, step_ns=_STEP_NS)


class Signals(Ready):
    """The pipeline, its exchange, and what came of the golden list."""

    name = "signals"

    def __init__(self, wishes: Wishes) -> None:
        super().__init__()
        self._wishes = wishes
        self._instruments = {symbol: Instrument(symbol, "0.01", "0.001", min_price=_LOWEST) for symbol in wishes.symbols}
        self._enrich, self._risk = Enrich(), Risk(MAX_POSITION)
        self._sizing = Sizing(self._instruments, self._risk, CAPITAL)
        self._ticks = self._signals = self._orders = self._unquotable = 0
        self._feed: FeedSource | None = None
        self._golden: dict[str, list[float]] = {"signals": [], "executed": []}
        self._golden_end_ns = 0 if wishes.feed else golden_ticks()[-1].timestamp_ns

    def open(self) -> None:
        """As Ready says."""
        from shm_exchange.supervisor.exchange import Exchange

        instruments = list(self._instruments.values())
        self._exchange: Exchange = self.stack.enter_context(Exchange.start(f"signals-{os.getpid()}", instruments, **_SIZES))
        market, trader = (self.stack.enter_context(Gateway.attach(self._exchange.name, session=session)) for session in ("market", "trader"))
        self._quoters = {symbol: Quoter(market, instrument) for symbol, instrument in self._instruments.items()}
        self._execution = Execution(trader, self._risk)
        self._build()

    def _build(self) -> None:
        pipeline = self.pipeline
        links = {name: pipeline.queue(name, maxsize=_QUEUE) for name in ("ticks", "enriched", "signals", "admitted", "orders")}
        pipeline.source("feed" if self._wishes.feed else "ticks", self._source(), output=links["ticks"])
        pipeline.stage(
            "enrich", self._enriched, input=links["ticks"], output=links["enriched"], tick_time="timestamp_ns" if self._wishes.feed else None
        )
        pipeline.stage("signal", self._signaled, input=links["enriched"], output=links["signals"])
        pipeline.stage("risk", self._risk, input=links["signals"], output=links["admitted"])
        pipeline.stage("size", self._sized, input=links["admitted"], output=links["orders"])
        pipeline.sink("execute", self._execute, input=links["orders"])

    def _source(self) -> FeedSource | Iterator[Tick]:
        wishes = self._wishes
        if wishes.feed:
            self._feed = FeedSource(wishes.feed, list(wishes.symbols), wishes.ticks)
            self.outside.append(self._feed)
            return self._feed
        golden = golden_ticks()
        walk = random_ticks(wishes.symbols, wishes.seed, 1, walk=Walk(GOLDEN[-1]), start_ns=golden[-1].timestamp_ns + _STEP_NS)
        return islice(chain(golden, walk), wishes.ticks)

    def _enriched(self, tick: Tick) -> Enriched | None:
        self._ticks += 1
        self._execution.mark(tick)
        return self._enrich(tick)

    def _signaled(self, enriched: Enriched) -> Signal | None:
        signal = signal_of(enriched)
        if signal is not None:
            self._signals += 1
            if self._is_golden(signal.tick) and signal.side is Side.BUY:
                self._golden["signals"].append(signal.tick.mid_price)
        return signal

    def _sized(self, signal: Signal) -> Order | None:
        order = self._sizing(signal)
        self._orders += order is not None
        return order

    def _execute(self, order: Order) -> Trade | None:
        """Show the market of the order's tick, and trade in it."""
        tick, least = order.signal.tick, float(order.quantity)
        if tick.bid >= tick.ask:  # nobody can quote that in one book
            self._unquotable += 1
            self._risk.settle(order.signal.symbol, order.signal.side, order.quantity, Decimal(0))
            return None
        self._quoters[tick.symbol].show(tick._replace(bid_size=tick.bid_size or least, ask_size=tick.ask_size or least))
        trade = self._execution(order)
        if trade.taken.fills and self._is_golden(tick):
            self._golden["executed"].append(tick.mid_price)
        return trade

    def _is_golden(self, tick: Tick) -> bool:
        return START_NS <= tick.timestamp_ns <= self._golden_end_ns

    def lines(self) -> list[Line]:
        """As Ready says."""
        risk, execution = self._risk, self._execution
        said = [
            ("ticks", f"{self._ticks:,}"),
            ("signals", f"{self._signals:,}"),
            ("skipped", f"{risk.skipped:,}"),
            ("rejected", f"{risk.rejected:,}"),
            ("executed", f"{execution.executed:,}"),
            ("profit", f"{execution.profit:+,.2f}" if execution.marks else "-"),
        ]
        if self._feed is not None:
            told = self._feed.figures()
            said.append(("feed", f"{'connected' if told.connected else 'not connected'}, {told.reconnects} reconnects, {told.gaps} gaps"))
        return said

    def figures(self) -> dict[str, Any]:
        """As Ready says."""
        risk, execution, holdings = self._risk, self._execution, self._execution.holdings
        for quoter in self._quoters.values():
            quoter.withdraw()
        cash, positions = added([holdings, *(quoter.holdings for quoter in self._quoters.values())])
        sized = self._orders + self._sizing.too_small
        checks = {
            "every_signal_accounted_for": self._signals == risk.skipped + risk.rejected + sized,
            "every_order_accounted_for": self._orders == execution.executed + execution.unfilled + self._unquotable,
            "cash_and_positions_sum_to_zero": not cash and not any(positions.values()),
            "book_check": self._exchange.verify().holds,
        }
        if self._feed is not None:
            checks["ticks_came"] = self._feed.figures().ticks > 0
        elif self._ticks >= len(GOLDEN):
            checks["golden"] = tuple(self._golden["signals"]) == GOLDEN_SIGNALS and tuple(self._golden["executed"]) == GOLDEN_EXECUTED
        return {
            "ticks": self._ticks,
            "signals": self._signals,
            "skipped": risk.skipped,
            "rejected": risk.rejected,
            "too_small": self._sizing.too_small,
            "executed": execution.executed,
            "unfilled": execution.unfilled,
            "unquotable": self._unquotable,
            "golden": None if self._wishes.feed else self._golden,
            "profit": round(float(execution.profit), 9),
            "holdings": holdings.figures(),
            "feed": self._feed.figures()._asdict() if self._feed else None,
            "checks": checks,
        }
