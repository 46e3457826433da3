"""From ticks to trades: the stages of `shm-exchange pipeline signals`, each a plain function or an object that is called with an item.

    Tick ─▶ Enrich ─▶ Enriched ─▶ signal_of ─▶ Signal ─▶ Risk ─▶ Signal ─▶ Sizing ─▶ Order ─▶ Execution ─▶ Trade
            SMA, change           BUY, SELL             not too unsure,    Kelly              IOC at the touch
                                                        not too large

None ends the way of an item. Whoever holds them calls them in the order of the ticks; then the same ticks make the same trades.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from decimal import Decimal
from typing import NamedTuple

from shm_exchange.domain.enums import Side
from shm_exchange.domain.errors import ConfigError
from shm_exchange.domain.instrument import Instrument
from shm_exchange.participants.holdings import NOTHING, Holdings
from shm_exchange.participants.taking import Taken, Trading, price_for, quantity_for, take
from shm_exchange.pipeline.tick import Tick

WINDOW = 5
THRESHOLD_PERCENT = 0.1
LEAST_CONFIDENCE = 0.15
KELLY_CAP = 0.25


class Enriched(NamedTuple):
    """A tick and what its past says."""

    tick: Tick
    average: float
    """Of the last mid prices, this one among them."""
    change_percent: float
    """To the mid price before."""


class Signal(NamedTuple):
    """What to do, and how sure that is."""

    symbol: str
    side: Side
    confidence: float
    """From 0 to 1."""
    change_percent: float
    tick: Tick


class Order(NamedTuple):
    """A signal with a size."""

    signal: Signal
    quantity: Decimal
    price: Decimal
    """The worst to trade at: the touch of the tick."""


class Trade(NamedTuple):
    """An order that came back."""

    order: Order
    taken: Taken


class Enrich:
    """The moving average of the last `window` mid prices of each symbol, of those that are there yet, and the change in % to the one before.

    A symbol's first tick only begins its past, and a tick without a mid price (one side empty) is passed over: both give None.
    """

    def __init__(self, window: int = WINDOW) -> None:
        self._window = window
        self._past: dict[str, deque[float]] = {}

    def __call__(self, tick: Tick) -> Enriched | None:
        """The next tick."""
        mid = tick.mid_price
        if not math.isfinite(mid):
            return None
        past = self._past.setdefault(tick.symbol, deque(maxlen=self._window))
        before = past[-1] if past else None
        past.append(mid)
        if before is None or before == 0:
            return None
        return Enriched(tick, math.fsum(past) / len(past), (mid - before) / abs(before) * 100)


def signal_of(enriched: Enriched) -> Signal | None:
    """BUY above the average and by more than +0.1 %, SELL below it and by less than -0.1 %; as sure as the change in %, 1 at most."""
    tick, change = enriched.tick, enriched.change_percent
    if tick.mid_price > enriched.average and change > THRESHOLD_PERCENT:
        side = Side.BUY
    elif tick.mid_price < enriched.average and change < -THRESHOLD_PERCENT:
        side = Side.SELL
    else:
        return None
    return Signal(tick.symbol, side, min(abs(change), 1.0), change, tick)


class Risk:
    """Keeps out what is too unsure, and what would make a position too large. max_position: units of each symbol, long or short.

    The stages before and behind an order ask it, each in a thread of its own at times: so it has a lock.
    """

    def __init__(self, max_position: Decimal, least_confidence: float = LEAST_CONFIDENCE) -> None:
        if max_position <= 0:
            raise ConfigError(f"max_position must be above 0 units, not {max_position}")
        self.max_position = max_position
        self.skipped = self.rejected = 0
        """Too unsure; too large."""
        self._least_confidence = least_confidence
        self._exposures: dict[tuple[str, Side], Decimal] = {}
        self._lock = threading.Lock()

    def __call__(self, signal: Signal) -> Signal | None:
        """Whether to go on with it."""
        with self._lock:
            if signal.confidence <= self._least_confidence:
                self.skipped += 1
                return None
            if self.exposure(signal.symbol, signal.side) >= self.max_position:
                self.rejected += 1
                return None
            return signal

    def reserve(self, symbol: str, side: Side, quantity: Decimal) -> bool:
        """Take room for an order before it is sent; False, and counted, where it could make the position too large."""
        with self._lock:
            exposure = self.exposure(symbol, side) + quantity
            if exposure > self.max_position:
                self.rejected += 1
                return False
            self._exposures[symbol, side] = exposure
            return True

    def settle(self, symbol: str, side: Side, reserved: Decimal, filled: Decimal) -> None:
        """An order is over: what did not trade is room again, and what did is room for the other side."""
        other = Side.SELL if side is Side.BUY else Side.BUY
        with self._lock:
            self._exposures[symbol, side] = self.exposure(symbol, side) - reserved + filled
            self._exposures[symbol, other] = self.exposure(symbol, other) - filled

    def exposure(self, symbol: str, side: Side) -> Decimal:
        """The position in the direction of `side`, as it will be when all open orders of that side have traded."""
        return self._exposures.get((symbol, side), NOTHING)


def win_probability(confidence: float) -> float:
    """Our assumption: a signal of confidence 0 is a toss of a coin, one of 1 is certain, and between them it is a straight line."""
    return 0.5 + min(max(confidence, 0.0), 1.0) / 2


def kelly_fraction(probability: float, win_loss_ratio: float, cap: float = KELLY_CAP) -> float:
    """The share of the capital to stake, from 0 to `cap`: p - (1 - p) / b. win_loss_ratio: what a win earns for each unit that a loss costs."""
    if not 0 <= probability <= 1 or not win_loss_ratio > 0 or not 0 <= cap <= 1:
        raise ConfigError(f"Kelly needs a probability and a cap from 0 to 1 and a ratio above 0, not {probability}, {cap} and {win_loss_ratio}")
    return min(max(0.0, probability - (1 - probability) / win_loss_ratio), cap)


class Sizing:
    """A Kelly share of the capital, in whole lots at the touch; None, where that is less than a lot or more than `risk` admits."""

    def __init__(self, instruments: dict[str, Instrument], risk: Risk, capital: Decimal, win_loss_ratio: float = 1.0, cap: float = KELLY_CAP) -> None:
        self.too_small = 0
        self._instruments, self._risk, self._capital = instruments, risk, capital
        self._win_loss_ratio, self._cap = win_loss_ratio, cap

    def __call__(self, signal: Signal) -> Order | None:
        """How much."""
        instrument = self._instruments[signal.symbol]
        price = price_for(instrument, signal.side, signal.tick.ask if signal.side is Side.BUY else signal.tick.bid)
        share = kelly_fraction(win_probability(signal.confidence), self._win_loss_ratio, self._cap)
        quantity = quantity_for(instrument, self._capital * Decimal(repr(share)) / price) if price > 0 else NOTHING
        if not quantity:
            self.too_small += 1
            return None
        return Order(signal, quantity, price) if self._risk.reserve(signal.symbol, signal.side, quantity) else None


class Execution:
    """Sends orders, waits for what becomes of each, and keeps the books."""

    def __init__(self, gateway: Trading, risk: Risk) -> None:
        self.holdings = Holdings()
        self.executed = self.unfilled = 0
        """Orders of which something traded, and of which nothing did."""
        self.marks: dict[str, Decimal] = {}
        self._gateway, self._risk = gateway, risk

    def mark(self, tick: Tick) -> None:
        """What positions are worth from now on."""
        if math.isfinite(tick.mid_price):
            self.marks[tick.symbol] = Decimal(repr(tick.mid_price))

    def __call__(self, order: Order) -> Trade:
        """Trade. Raises ExchangeError when the matcher dies."""
        signal = order.signal
        taken = take(self._gateway, signal.symbol, signal.side, order.price, order.quantity)
        for fill in taken.fills:
            self.holdings.fill(*fill)
        self._risk.settle(signal.symbol, signal.side, order.quantity, taken.quantity)
        self.executed += bool(taken.fills)
        self.unfilled += not taken.fills
        return Trade(order, taken)

    @property
    def profit(self) -> Decimal:
        """Realised, and the rest marked to the mid price."""
        return self.holdings.profit(self.marks)
