"""A tick: what a venue says of one symbol at one moment. The record, and the same as a Python tuple."""

from __future__ import annotations

import math
from typing import Any, NamedTuple, Self

import numpy as np

TICK = np.dtype(
    [
        ("symbol", "S16"),
        ("timestamp_ns", "i8"),  # the venue's clock, since 1970
        ("bid", "f8"),
        ("ask", "f8"),
        ("bid_size", "f8"),
        ("ask_size", "f8"),
        ("volume", "f8"),
    ]
)
assert TICK.itemsize == 64


class Tick(NamedTuple):
    """Prices and sizes are the venue's numbers, not ours: floats, which decide nothing on the exchange."""

    symbol: str
    timestamp_ns: int
    bid: float
    ask: float
    bid_size: float = 0.0
    ask_size: float = 0.0
    volume: float = 0.0

    @property
    def spread(self) -> float:
        """From bid to ask."""
        return self.ask - self.bid

    @property
    def mid_price(self) -> float:
        """Halfway between bid and ask."""
        return (self.bid + self.ask) / 2

    @property
    def pressure_ratio(self) -> float:
        """Bid size by ask size; inf when nothing is asked."""
        return self.bid_size / self.ask_size if self.ask_size else math.inf

    @classmethod
    def of(cls, record: np.void) -> Self:
        """The tick of a TICK record."""
        row: Any = record.item()
        return cls(row[0].decode(), *row[1:])

    def record(self) -> np.ndarray[Any, np.dtype[np.void]]:
        """TICK[1]."""
        return np.array([(self.symbol.encode(), *self[1:])], TICK)
