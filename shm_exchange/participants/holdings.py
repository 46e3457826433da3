"""What a participant owns: positions, cash, and what was earned. Exact decimals, average cost; money goes out when it buys.

One thread folds fills in; others may look meanwhile, and see the moment before or after a fill of each symbol.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from shm_exchange.domain.enums import Side

NOTHING = Decimal(0)


@dataclass
class Holding:
    """One symbol. `cost` is what the open position was bought for; of a short one it is negative, what it was sold for."""

    position: Decimal = NOTHING
    cost: Decimal = NOTHING


@dataclass
class Holdings:
    """All symbols of one participant, folded from its fills."""

    cash: Decimal = NOTHING
    realised: Decimal = NOTHING
    """Earned by positions that were closed."""
    fills: int = 0
    volume: Decimal = NOTHING
    symbols: dict[str, Holding] = field(default_factory=dict)

    def fill(self, symbol: str, side: Side, quantity: Decimal, price: Decimal) -> None:
        """Bought or sold. quantity: above 0."""
        held = self.symbols.setdefault(symbol, Holding())
        signed = quantity if side is Side.BUY else -quantity
        self.cash -= signed * price
        self.fills += 1
        self.volume += quantity
        if held.position * signed < 0:
            closed = min(quantity, abs(held.position))
            share = held.cost * closed / abs(held.position)
            self.realised += (closed * price if held.position > 0 else -closed * price) - share
            held.cost -= share
            opened = quantity - closed
        else:
            opened = quantity
        held.position += signed
        held.cost += opened * price if side is Side.BUY else -opened * price
        if not held.position:
            held.cost = NOTHING

    def position(self, symbol: str) -> Decimal:
        """Owned; below 0: owed."""
        return self.symbols[symbol].position if symbol in self.symbols else NOTHING

    def unrealised(self, marks: Mapping[str, Decimal]) -> Decimal:
        """What closing all positions at these prices would earn. Raises KeyError for an open position without a price."""
        return sum((held.position * marks[symbol] - held.cost for symbol, held in list(self.symbols.items()) if held.position), NOTHING)

    def profit(self, marks: Mapping[str, Decimal]) -> Decimal:
        """Realised and unrealised; the same as cash and the worth of all positions."""
        return self.cash + sum((held.position * marks[symbol] for symbol, held in list(self.symbols.items()) if held.position), NOTHING)

    def figures(self) -> dict[str, Any]:
        """Plain data, fit for JSON: decimals as text."""
        positions = {symbol: str(held.position) for symbol, held in sorted(self.symbols.items()) if held.position}
        return {"cash": str(self.cash), "realised": str(self.realised), "positions": positions, "fills": self.fills, "volume": str(self.volume)}


def added(every: Iterable[Holdings]) -> tuple[Decimal, dict[str, Decimal]]:
    """Cash, and the position of each symbol, of all together: both sides of every trade leave zeros."""
    cash, positions = NOTHING, dict[str, Decimal]()
    for one in every:
        cash += one.cash
        for symbol, held in list(one.symbols.items()):
            positions[symbol] = positions.get(symbol, NOTHING) + held.position
    return cash, positions
