"""Markets in simulated time, for tests: participants in words, and behaviours that only tests have."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from shm_exchange.domain.enums import Side, TimeInForce
from shm_exchange.participants.behaviour import Behaviour, parameter
from shm_exchange.participants.description import config_for
from shm_exchange.participants.market_file import parsed
from shm_exchange.participants.scheduler import Scheduler, Seat

if TYPE_CHECKING:
    from shm_exchange.client.report import Report
    from shm_exchange.participants.market import Market
    from shm_exchange.participants.scheduler import Simulated


def market_of(text: str, seconds: float) -> tuple[Scheduler, list[Seat]]:
    """A scheduler over the participants of a market file, not run yet."""
    description = parsed(text)
    config = config_for(description)
    symbols = tuple(instrument.symbol for instrument in config.instruments)
    seats = [seat for seat, _ in description.seats(symbols, seconds, description.orders)]
    return Scheduler(config, seats), seats


def run(text: str, seconds: float) -> tuple[Simulated, Scheduler]:
    """Run it; the outcome is always balanced and the book always whole."""
    scheduler, _ = market_of(text, seconds)
    outcome = scheduler.run(seconds)
    assert outcome.is_balanced
    assert outcome.book_check == 0
    return outcome, scheduler


@dataclass
class Ramp(Behaviour):
    """Quotes deep around a price that rises by so many ticks a second."""

    slope: float = parameter(10.0, "ticks/s", "how fast")
    lots: int = parameter(1000, "lots", "of each quote")
    _handles: dict[Side, int] = field(default_factory=dict, init=False)

    def on_start(self, market: Market) -> None:
        self.on_market(market)

    def on_market(self, market: Market) -> None:
        if market.wake_ns is not None:
            return
        value = 10_000 + round(self.slope * market.seconds)
        market.cancel_all()
        for side, price in ((Side.BUY, value - 2), (Side.SELL, value + 2)):
            market.limit(side, price, self.lots)
        market.wake_in(0.05)


@dataclass
class Trades(Behaviour):
    """Buys and sells so many lots in turn at market, ten times a second."""

    lots: int = parameter(20, "lots", "each time")
    _turn: bool = field(default=False, init=False)

    def on_start(self, market: Market) -> None:
        market.wake_in(0.1)

    def on_market(self, market: Market) -> None:
        if market.wake_ns is None:
            self._turn = not self._turn
            market.market(Side.BUY if self._turn else Side.SELL, self.lots)
            market.wake_in(0.1)


@dataclass
class Diary(Behaviour):
    """Sends one order at the start, and notes when it hears and sees what."""

    notes: list[tuple[str, int]] = field(default_factory=list, init=False)

    def on_start(self, market: Market) -> None:
        market.limit(Side.BUY, 9_000, 1)

    def on_market(self, market: Market) -> None:
        self.notes.append(("market", market.now_ns))

    def on_report(self, market: Market, report: Report) -> None:
        self.notes.append((report.kind.name, market.now_ns))

    def on_stop(self, market: Market) -> None:
        self.notes.append(("stop", market.now_ns))


def lift(market: Market, lots: int = 1) -> None:
    """A behaviour that is a function: take the best ask, if there is one and nothing is on its way."""
    if market.ask_ticks is not None and not market.orders:
        market.limit(Side.BUY, market.ask_ticks, lots, time_in_force=TimeInForce.IOC)
