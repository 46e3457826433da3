"""The configuration as bytes at the start of the data file, and back. What is read is not trusted: it may be damaged, or made to harm."""

from __future__ import annotations

import os

import numpy as np

from shm_exchange.domain.config import ExchangeConfig, JournalConfig, Term
from shm_exchange.domain.enums import JournalMode
from shm_exchange.domain.errors import ConfigError, LayoutMismatch
from shm_exchange.domain.instrument import Instrument
from shm_exchange.domain.limits import INSTRUMENTS_MAX, PRICE_TICKS_MAX
from shm_exchange.layout.headers import CONFIG, INSTRUMENT, JOURNAL
from shm_exchange.layout.regions import INSTRUMENTS_OFFSET, layout_of

_KEPT_SIZES = ("segment_records", "checkpoint_commands", "retained_commands")
_SIZES = [name for name in CONFIG.names or () if name not in ("instrument_count", "_reserved")]


def write_config(fd: int, config: ExchangeConfig, journal: JournalConfig, term: Term) -> None:
    """Store the configuration, and where its journal goes on, in a new data file."""
    head = np.zeros(1, CONFIG)
    head["instrument_count"] = len(config.instruments)
    for name in _SIZES:
        head[name] = getattr(config, name)
    instruments = np.zeros(len(config.instruments), INSTRUMENT)
    for record, instrument in zip(instruments, config.instruments, strict=True):
        record["symbol"] = instrument.symbol.encode()
        record["tick"], record["lot"] = str(instrument.tick).encode(), str(instrument.lot).encode()
        record["min_ticks"], record["max_ticks"] = instrument.min_ticks, instrument.max_ticks
    os.pwrite(fd, head.tobytes(), 0)
    os.pwrite(fd, instruments.tobytes(), INSTRUMENTS_OFFSET)
    kept = np.zeros(1, JOURNAL)
    kept["mode"], kept["directory"] = journal.mode, journal.directory.encode()
    for size in _KEPT_SIZES:
        kept[size] = getattr(journal, size)
    kept["term"], kept["first_sequence"] = term
    os.pwrite(fd, kept.tobytes(), layout_of(config).regions["journal"].offset)


def read_config(fd: int, name: str) -> ExchangeConfig:
    """The configuration that the creator stored. Raises LayoutMismatch where it makes no sense."""
    head = _read(fd, CONFIG, 1, 0, name)[0]
    number = int(head["instrument_count"])
    if not 1 <= number <= INSTRUMENTS_MAX:
        raise _damaged(name, f"it counts {number} instruments")
    instruments = _read(fd, INSTRUMENT, number, INSTRUMENTS_OFFSET, name)
    try:
        return ExchangeConfig(name, tuple(_instrument(record) for record in instruments), **{size: int(head[size]) for size in _SIZES})
    except (ConfigError, UnicodeDecodeError, ArithmeticError) as error:
        raise _damaged(name, str(error)) from error


def read_journal(fd: int, config: ExchangeConfig) -> tuple[JournalConfig, Term]:
    """What the creator stored of the journal and the term. Raises LayoutMismatch where it makes no sense."""
    kept = _read(fd, JOURNAL, 1, layout_of(config).regions["journal"].offset, config.name)[0]
    try:
        directory = bytes(kept["directory"]).decode()
        journal = JournalConfig(JournalMode(int(kept["mode"])), directory, *(int(kept[size]) for size in _KEPT_SIZES))
    except ValueError as error:
        raise _damaged(config.name, str(error)) from error
    return journal, Term(int(kept["term"]), int(kept["first_sequence"]))


def _instrument(record: np.void) -> Instrument:
    symbol, tick, lot = (bytes(record[field]).decode("ascii") for field in ("symbol", "tick", "lot"))
    low, high = int(record["min_ticks"]), int(record["max_ticks"])
    if max(abs(low), abs(high)) > PRICE_TICKS_MAX:
        raise ConfigError(f"bounds {low} to {high} of {symbol} are beyond {PRICE_TICKS_MAX} ticks")
    plain = Instrument(symbol, tick, lot)
    bounds = [None if ticks == usual else str(plain.price(ticks)) for ticks, usual in ((low, plain.min_ticks), (high, plain.max_ticks))]
    return Instrument(symbol, tick, lot, *bounds)


def _read(fd: int, dtype: np.dtype[np.void], count: int, offset: int, name: str) -> np.ndarray[tuple[int], np.dtype[np.void]]:
    raw = os.pread(fd, count * dtype.itemsize, offset)
    if len(raw) < count * dtype.itemsize:
        raise _damaged(name, "it ends too early")
    return np.frombuffer(raw, dtype)


def _damaged(name: str, why: str) -> LayoutMismatch:
    return LayoutMismatch(f"the memory of exchange {name!r} is damaged: {why}; stop it with `shm-exchange stop {name}` and start it again")
