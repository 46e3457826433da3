"""Two who have one large order to work off: evenly over time (TWAP), or as the market trades (VWAP)."""

from __future__ import annotations

from dataclasses import dataclass, field

from shm_exchange.client.report import Report
from shm_exchange.domain.enums import EventKind, Side
from shm_exchange.domain.errors import ConfigError
from shm_exchange.domain.names import nearest
from shm_exchange.participants.behaviour import Behaviour, parameter
from shm_exchange.participants.market import Market
from shm_exchange.participants.trends import take

_SIDES = {"buy": Side.BUY, "sell": Side.SELL}
_AGAIN_SECONDS = 0.05
"""Until it tries again what nobody wanted."""


@dataclass
class Executor(Behaviour):
    """What both have: a side, a quantity, and orders that take what is there. What is bought or sold stands in `done`."""

    side: str = parameter("buy", "", "buy or sell")
    quantity: int = parameter(100, "lots", "to trade in all", least=1)
    through: int = parameter(5, "ticks", "that it pays through the touch at most", least=0)
    done: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        if self.side not in _SIDES:
            raise ConfigError(f"side must be buy or sell, not {self.side!r}{nearest(self.side, _SIDES)}")

    def on_report(self, market: Market, report: Report) -> None:  # noqa: ARG002 (prescribed)
        """Count what was traded."""
        if report.kind is EventKind.EXECUTED:
            self.done += report.quantity_lots

    def reach(self, market: Market, target: int) -> None:
        """Trade what is missing to so many lots, unless an order for it is on its way."""
        missing = min(target, self.quantity) - self.done
        if missing > 0 and not market.orders:
            take(market, _SIDES[self.side], missing, self.through)


@dataclass
class Twap(Executor):
    """Equal slices at equal times. What a slice could not trade is added to the next; after the last it tries on until all is done."""

    over: float = parameter(60.0, "s", "from the first slice to the last", above=0.0)
    slices: int = parameter(20, "", "how many", least=1)

    def on_start(self, market: Market) -> None:
        """The first slice is due."""
        market.wake_in(0)

    def on_market(self, market: Market) -> None:
        """Trade what is due by now, and sleep until the next slice."""
        gap_ns = max(1, int(self.over * 1e9) // max(1, self.slices - 1))
        due = min(self.slices, (market.now_ns - market.start_ns) // gap_ns + 1)
        target = self.quantity * due // self.slices
        self.reach(market, target)
        if self.done >= self.quantity:
            return
        slice_ns = market.start_ns + due * gap_ns
        again_ns = market.now_ns + int(_AGAIN_SECONDS * 1e9)
        market.wake_at(again_ns if due == self.slices else min(again_ns, slice_ns) if self.done < target else slice_ns)


@dataclass
class Vwap(Executor):
    """A share of what is traded, as it is traded; or, with a `profile`, as much in each part of the time as is traded there on other days."""

    watches_trades = True
    participation: float = parameter(0.1, "", "its share of all lots traded", above=0.0, most=0.5)
    clip: int = parameter(5, "lots", "it waits until so many are missing", least=1)
    profile: str = parameter("", "", 'relative volumes of equal parts of the time, such as "3,1,1,2"; empty: follow the market')
    over: float = parameter(60.0, "s", "the time that a profile is about", above=0.0)
    _weights: list[float] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        try:
            self._weights = [float(word) for word in self.profile.split(",")] if self.profile else []
        except ValueError:
            raise ConfigError(f'profile {self.profile!r} is no list of numbers; write "3,1,1,2"') from None
        if self._weights and (min(self._weights) < 0 or not sum(self._weights) > 0):
            raise ConfigError(f"profile {self.profile!r} needs numbers from 0 on, and one above it")

    def on_start(self, market: Market) -> None:
        """With a profile it acts by the clock."""
        if self._weights:
            market.wake_in(0)

    def on_market(self, market: Market) -> None:
        """Trade what is missing to its share."""
        target = self._scheduled(market.seconds) if self._weights else int(self.participation * market.volume)
        if target - self.done >= self.clip or target >= self.quantity:
            self.reach(market, target)
        if self._weights and self.done < self.quantity:
            market.wake_in(_AGAIN_SECONDS)

    def _scheduled(self, seconds: float) -> int:
        """Lots that the profile has traded by then."""
        parts = min(1.0, seconds / self.over) * len(self._weights)
        whole = int(parts)
        traded = sum(self._weights[:whole]) + (self._weights[whole] * (parts - whole) if whole < len(self._weights) else 0.0)
        return int(self.quantity * traded / sum(self._weights) + 1e-9)
