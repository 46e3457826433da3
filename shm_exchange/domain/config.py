"""What an exchange is made of: names, sizes, instruments. Checked once, written into the memory's header, immutable afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from shm_exchange.domain.errors import ConfigError
from shm_exchange.domain.instrument import Instrument
from shm_exchange.domain.limits import DEPTH_MAX, INSTRUMENTS_MAX, OPEN_ORDERS_MAX, SESSIONS_MAX
from shm_exchange.domain.names import checked_exchange_name

LEVELS_PER_PAGE = 64


def _power_of_two(number: int) -> bool:
    return number > 0 and number & (number - 1) == 0


class TermStart(NamedTuple):
    """Where one life of the shared memory begins: terms count from 1, numbers go on from term to term."""

    term: int
    sequence: int
    """Log number of its first command."""
    event: int
    """Number of its first event."""


@dataclass(frozen=True)
class ExchangeConfig:
    """Sizes of one exchange. Capacities are records and powers of two; 0 for a quota or `max_pages` means: derive it. Raises ConfigError."""

    name: str
    instruments: tuple[Instrument, ...]
    max_orders: int = 65_536
    max_sessions: int = 16
    lane_capacity: int = 4096
    report_capacity: int = 8192
    event_capacity: int = 65_536
    log_capacity: int = 65_536
    depth: int = 10
    max_pages: int = 0
    session_orders: int = 0
    session_pages: int = 0
    sweep_budget: int = 64

    def __post_init__(self) -> None:
        checked_exchange_name(self.name)
        object.__setattr__(self, "instruments", tuple(self.instruments))
        symbols = [instrument.symbol for instrument in self.instruments]
        if not 1 <= len(symbols) <= INSTRUMENTS_MAX:
            raise ConfigError(f"an exchange has 1 to {INSTRUMENTS_MAX} instruments, not {len(symbols)}")
        if len(set(symbols)) != len(symbols):
            raise ConfigError(f"symbol {next(s for s in symbols if symbols.count(s) > 1)!r} stands twice; name each instrument once")
        self._range("max_orders", 1, OPEN_ORDERS_MAX)
        self._range("max_sessions", 1, SESSIONS_MAX)
        self._range("depth", 1, DEPTH_MAX)
        for name in ("lane_capacity", "report_capacity", "event_capacity", "log_capacity"):
            self._range(name, 64, 1 << 26)
            if not _power_of_two(getattr(self, name)):
                raise ConfigError(
                    f"{name} must be a power of two, not {getattr(self, name)}; {1 << getattr(self, name).bit_length()} is the next one"
                )
        self._range("sweep_budget", 1, min(self.lane_capacity, self.log_capacity // 2, self.event_capacity // 2))
        self._derive("max_pages", max(256, self.max_orders // 8), OPEN_ORDERS_MAX)
        self._derive("session_orders", max(1, self.max_orders // self.max_sessions), self.max_orders)
        self._derive("session_pages", max(1, self.max_pages // self.max_sessions), self.max_pages)

    def _derive(self, name: str, default: int, high: int) -> None:
        """Fill in a size that was left 0, or check the one that was given."""
        self._range(name, 0, high)
        if not getattr(self, name):
            object.__setattr__(self, name, default)

    def _range(self, name: str, low: int, high: int) -> None:
        value = getattr(self, name)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise ConfigError(f"{name} must be a whole number from {low} to {high}, not {value!r}")
