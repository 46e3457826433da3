"""What an exchange is made of: names, sizes, instruments. Checked once, written into the memory's header, immutable afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from shm_exchange.domain.enums import JournalMode
from shm_exchange.domain.errors import ConfigError
from shm_exchange.domain.instrument import Instrument
from shm_exchange.domain.limits import DEPTH_MAX, INSTRUMENTS_MAX, OPEN_ORDERS_MAX, SESSIONS_MAX
from shm_exchange.domain.names import checked_exchange_name

LEVELS_PER_PAGE = 64
JOURNAL_PATH_BYTES = 960
"""What the memory of an exchange has room for."""


class Term(NamedTuple):
    """One life of the shared memory. (term, number) names a record for ever; after a power loss numbers may be given out anew."""

    number: int
    """Terms count from 1."""
    first_sequence: int
    """The log number at which it began."""


FIRST_TERM = Term(1, 0)


class TermStart(NamedTuple):
    """Where a term began, as its files say."""

    term: int = 1
    sequence: int = 0
    """The first log number of the term."""
    event: int = 1
    """The first event number of the term."""


@dataclass(frozen=True)
class JournalConfig:
    """Whether and where an exchange keeps its log. Raises ConfigError."""

    mode: JournalMode = JournalMode.OFF
    directory: str = ""
    """Absolute path of the folder; of this exchange alone."""
    segment_records: int = 1 << 20
    """Commands in one file."""
    checkpoint_commands: int = 1 << 20
    """A checkpoint is made when so many commands lie behind the last one."""
    retained_commands: int = 1 << 24
    """Files whose commands lie so far behind the older of the two newest checkpoints are removed."""

    def __post_init__(self) -> None:
        if not isinstance(self.directory, str):
            raise ConfigError(f"the folder of a journal is a path, not {self.directory!r}")
        if (self.mode is JournalMode.OFF) != (not self.directory):
            raise ConfigError("a journal has a mode and a folder, or neither")
        if self.directory and (not self.directory.startswith("/") or len(self.directory.encode()) > JOURNAL_PATH_BYTES):
            raise ConfigError(f"the folder of a journal is an absolute path of at most {JOURNAL_PATH_BYTES} bytes, not {self.directory!r}")
        for name, low, high in (("segment_records", 64, 1 << 30), ("checkpoint_commands", 1, 1 << 30), ("retained_commands", 0, 1 << 50)):
            _check_range(name, getattr(self, name), low, high)


def _check_range(name: str, value: object, low: int, high: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ConfigError(f"{name} must be a whole number from {low} to {high}, not {value!r}")


def _power_of_two(number: int) -> bool:
    return number > 0 and number & (number - 1) == 0


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
        _check_range(name, getattr(self, name), low, high)
