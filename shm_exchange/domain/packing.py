"""A configuration as JSON values and back: in the header of journal files, and between a caller and its supervisor child."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from shm_exchange.domain.config import ExchangeConfig
from shm_exchange.domain.errors import ConfigError
from shm_exchange.domain.instrument import Instrument
from shm_exchange.domain.names import nearest

SIZES = tuple(field.name for field in fields(ExchangeConfig) if field.name not in ("name", "instruments"))
_INSTRUMENT = ("symbol", "tick_size", "lot_size", "min_price", "max_price")


def config_of(name: str, instruments: Any, sizes: dict[str, Any]) -> ExchangeConfig:
    """The configuration a caller means. Raises ConfigError, which names the nearest of the sizes where one is misspelt."""
    for size in sizes:
        if size not in SIZES:
            raise ConfigError(f"there is no size {size!r}{nearest(size, SIZES)}; known are {', '.join(SIZES)}")
    listed = tuple(instruments)
    for instrument in listed:
        if not isinstance(instrument, Instrument):
            raise ConfigError(f'{instrument!r} is no Instrument; write Instrument({instrument!r}, tick_size="0.01", lot_size="1")')
    return ExchangeConfig(name, listed, **sizes)


def packed_config(config: ExchangeConfig) -> dict[str, Any]:
    """A configuration as JSON values."""
    instruments = [{name: _text(getattr(instrument, name)) for name in _INSTRUMENT} for instrument in config.instruments]
    return {"name": config.name, "instruments": instruments, "sizes": {size: getattr(config, size) for size in SIZES}}


def unpacked_config(packed: dict[str, Any]) -> ExchangeConfig:
    """The inverse of `packed_config`. Raises ConfigError."""
    return config_of(packed["name"], (Instrument(**instrument) for instrument in packed["instruments"]), packed["sizes"])


def _text(value: object) -> str | None:
    return None if value is None else str(value)
