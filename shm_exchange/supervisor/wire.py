"""What travels between a caller and its supervisor child: one JSON object a line, over pipes."""

from __future__ import annotations

import json
import os
from dataclasses import fields
from typing import Any

from shm_exchange.domain import errors
from shm_exchange.domain.config import ExchangeConfig
from shm_exchange.domain.errors import ConfigError, ExchangeError
from shm_exchange.domain.instrument import Instrument
from shm_exchange.domain.names import nearest
from shm_exchange.runtime import pidfd

SIZES = tuple(field.name for field in fields(ExchangeConfig) if field.name not in ("name", "instruments"))
_INSTRUMENT = ("symbol", "tick_size", "lot_size", "min_price", "max_price")
_BYTES = 65_536


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
    """The inverse of `packed_config`."""
    return config_of(packed["name"], (Instrument(**instrument) for instrument in packed["instruments"]), packed["sizes"])


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def packed_error(error: ExchangeError) -> dict[str, str]:
    """An error as JSON values."""
    return {"kind": type(error).__name__, "text": str(error)}


def unpacked_error(packed: dict[str, str]) -> ExchangeError:
    """The error that the other side raised, to be raised here."""
    kind = getattr(errors, packed["kind"], ExchangeError)
    return kind(packed["text"]) if isinstance(kind, type) and issubclass(kind, ExchangeError) else ExchangeError(packed["text"])


class Channel:
    """JSON lines in from one descriptor and out to another."""

    def __init__(self, reader: int, writer: int) -> None:
        self.reader = reader
        self._writer = writer
        self._rest = b""
        self._lines: list[bytes] = []

    def send(self, **message: Any) -> None:
        """Write one message. Raises BrokenPipeError when nobody reads."""
        if self._writer < 0:
            raise BrokenPipeError
        data = json.dumps(message).encode() + b"\n"
        while data:
            data = data[os.write(self._writer, data) :]

    def receive(self, timeout: float | None = None) -> dict[str, Any] | None:
        """The next message; None when the other side closed or ended. Raises TimeoutError."""
        while not self._lines:
            if self.reader >= 0 and not pidfd.readable((self.reader,), timeout):
                raise TimeoutError
            if not self.fill():
                return None
        return self.take()

    def forget(self) -> None:
        """Touch the descriptors no more: their owner closes them, and their numbers may come to mean something else."""
        self.reader = self._writer = -1

    def fill(self) -> bool:
        """Read once what is there, waiting for it; False at the end."""
        piece = os.read(self.reader, _BYTES) if self.reader >= 0 else b""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        self._lines += lines
        return bool(piece)

    def take(self) -> dict[str, Any] | None:
        """The next message that was read already. Raises ValueError, TypeError for what is no JSON object."""
        if not self._lines:
            return None
        message = json.loads(self._lines.pop(0))
        if not isinstance(message, dict):
            raise TypeError(f"{message!r} is not a JSON object")
        return message
