"""What is known of a book and of an order of one's own: plain words that runners, markets and behaviours share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from shm_exchange.client.view import Level
from shm_exchange.domain.enums import Side
from shm_exchange.layout.records import COMMAND

Command = tuple[int, ...]
"""The fields of a COMMAND record."""


class Quote(NamedTuple):
    """The touch of one book, in ticks and lots; quantities of 0 where a side is empty, or nothing was traded yet."""

    bid_ticks: int = 0
    bid_lots: int = 0
    ask_ticks: int = 0
    ask_lots: int = 0
    last_ticks: int = 0
    last_lots: int = 0
    volume: int = 0
    """Lots traded since the participant began, where it watches trades."""
    event_number: int = 0


class Top(NamedTuple):
    """The same in decimals."""

    bid: Level | None
    ask: Level | None
    last: Level | None


@dataclass
class OpenOrder:
    """An order of ours that may still trade."""

    handle: int
    symbol: str
    side: Side
    price_ticks: int
    lots: int
    """Still open, as far as is known here."""
    is_resting: bool = False
    """False until the exchange has answered."""
    is_canceling: bool = False


def mid_of(quote: Quote) -> float | None:
    """Between bid and ask; one of them, or the last trade, where that is all there is."""
    if quote.bid_lots and quote.ask_lots:
        return (quote.bid_ticks + quote.ask_ticks) / 2
    if quote.bid_lots or quote.ask_lots:
        return float(quote.bid_ticks if quote.bid_lots else quote.ask_ticks)
    return float(quote.last_ticks) if quote.last_lots else None


def records(commands: Sequence[Command]) -> np.ndarray:
    """As COMMAND records."""
    return np.array(commands, COMMAND)
