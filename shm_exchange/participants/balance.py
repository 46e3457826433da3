"""Work for several matchers: the group of each symbol, a seeded stream of orders over all symbols, and the proof that each symbol kept its order.

orders(…) ─▶ one stream ─▶ Groups.group_of(symbol) ─▶ a bounded queue for each group ─▶ its matcher ─▶ reports ─▶ OrderCheck
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from random import Random
from typing import NamedTuple

from shm_exchange.domain.enums import Side
from shm_exchange.domain.errors import ConfigError

_MID_TICKS = 10_000
_SPREAD_TICKS = 5


class NewOrder(NamedTuple):
    """An order of the stream. `number` counts the orders of its symbol from 1."""

    symbol: str
    number: int
    side: Side
    price_ticks: int
    lots: int


class Groups:
    """Which of `count` groups each symbol belongs to: the same in every process and every run, and as even as it can be.

    Symbols are dealt out in the order of a hash of their names; `symbols` are all there are. Raises ConfigError.
    """

    def __init__(self, symbols: Sequence[str], count: int) -> None:
        if not 1 <= count <= len(set(symbols)):
            raise ConfigError(f"{len(set(symbols))} symbols cannot be dealt out to {count} groups; take from 1 to as many groups as symbols")
        dealt = sorted(set(symbols), key=lambda symbol: (zlib.crc32(symbol.encode()), symbol))
        self.count = count
        self._groups = {symbol: place % count for place, symbol in enumerate(dealt)}

    def group_of(self, symbol: str) -> int:
        """From 0. Raises KeyError for a symbol that is none of them."""
        return self._groups[symbol]

    def symbols_of(self, group: int) -> list[str]:
        """Those of a group, by name."""
        return sorted(symbol for symbol, own in self._groups.items() if own == group)


def orders(symbols: Sequence[str], count: int, seed: int = 1) -> Iterator[NewOrder]:
    """`count` orders over all symbols at random, around a price that walks for each: about half of them trade. The same seed, the same orders."""
    draw = Random(seed)  # noqa: S311 (a market, no secret)
    mids, numbers = dict.fromkeys(symbols, _MID_TICKS), dict.fromkeys(symbols, 0)
    for _ in range(count):
        symbol = draw.choice(symbols)
        mids[symbol] = max(10 * _SPREAD_TICKS, mids[symbol] + draw.choice((-1, 0, 0, 1)))
        numbers[symbol] += 1
        yield NewOrder(
            symbol,
            numbers[symbol],
            draw.choice((Side.BUY, Side.SELL)),
            mids[symbol] + draw.randint(-_SPREAD_TICKS, _SPREAD_TICKS),
            draw.randint(1, 9),
        )


class OrderCheck:
    """Sees what each matcher accepted, in its order: every symbol must count 1, 2, 3 … in one group."""

    def __init__(self) -> None:
        self.seen = self.out_of_order = self.astray = 0
        """Orders; those whose number is not the next; those that came through another group than their symbol's first."""
        self._next: dict[str, int] = {}
        self._group: dict[str, int] = {}

    def look(self, group: int, symbol: str, number: int) -> None:
        """The next order of a group's matcher."""
        self.seen += 1
        self.out_of_order += number != self._next.get(symbol, 1)
        self.astray += self._group.setdefault(symbol, group) != group
        self._next[symbol] = max(number + 1, self._next.get(symbol, 1))

    def counts(self) -> dict[str, int]:
        """Of each symbol, the highest number."""
        return {symbol: following - 1 for symbol, following in sorted(self._next.items())}

    @property
    def holds(self) -> bool:
        """Whether all was as it must be."""
        return not self.out_of_order and not self.astray
