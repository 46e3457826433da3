"""What can be known of one side of a book from LOBSTER's files: per level the orders seen to come, and one quantity of which only the sum is known.

Unknown orders are the older ones: who they are was never told, so one synthetic order (the level's seed) stands for all of them, in front.
"""

from __future__ import annotations

from bisect import bisect_left, insort

from shm_exchange.domain.enums import Side


class KnownLevel:
    """A price: the seed in front, then known orders in the order in which they came."""

    __slots__ = ("orders", "seed_id", "seed_quantity")

    def __init__(self) -> None:
        self.seed_id = 0
        self.seed_quantity = 0
        self.orders: dict[int, int] = {}
        """Open quantity by the file's order id."""

    def total(self) -> int:
        """Everything that is open here."""
        return self.seed_quantity + sum(self.orders.values())

    def names_front(self, order_id: int, quantity: int) -> bool:
        """Whether price-time priority trades so much with this very order first (an id that is not known is one of the seed's)."""
        if order_id not in self.orders:
            return quantity <= self.seed_quantity
        return not self.seed_quantity and next(iter(self.orders)) == order_id and quantity <= self.orders[order_id]

    def take(self, quantity: int) -> None:
        """Trade so much, front to back."""
        taken = min(quantity, self.seed_quantity)
        self.seed_quantity -= taken
        quantity -= taken
        while quantity and self.orders:
            order_id = next(iter(self.orders))
            taken = min(quantity, self.orders[order_id])
            quantity -= taken
            self.lower(order_id, taken)

    def lower(self, order_id: int, quantity: int) -> bool:
        """Take quantity off an order, or off the seed where the id is not known; whether that is all of it."""
        if order_id not in self.orders:
            self.seed_quantity -= quantity
            return not self.seed_quantity
        self.orders[order_id] -= quantity
        if self.orders[order_id]:
            return False
        del self.orders[order_id]
        return True

    def open_of(self, order_id: int) -> int:
        """What a message about this id can take away."""
        return self.orders.get(order_id, self.seed_quantity)


class KnownSide:
    """The levels of one side, best first."""

    def __init__(self, side: Side) -> None:
        self.side = side
        self._sign = -1 if side is Side.BUY else 1
        self._ranks: list[int] = []
        self._levels: dict[int, KnownLevel] = {}

    def __len__(self) -> int:
        return len(self._ranks)

    def get(self, price: int) -> KnownLevel | None:
        """The level at a price."""
        return self._levels.get(price)

    def get_or_add(self, price: int) -> KnownLevel:
        """The level at a price, which may be new."""
        level = self._levels.get(price)
        if level is None:
            level = self._levels[price] = KnownLevel()
            insort(self._ranks, self._sign * price)
        return level

    def remove(self, price: int) -> None:
        """Forget a level."""
        del self._levels[price]
        del self._ranks[bisect_left(self._ranks, self._sign * price)]

    def best(self) -> int | None:
        """The best price."""
        return self._sign * self._ranks[0] if self._ranks else None

    def worst(self) -> int:
        """The worst price. There must be one."""
        return self._sign * self._ranks[-1]

    def is_worse_than_all(self, price: int) -> bool:
        """Whether a price lies behind every level."""
        return not self._ranks or self._sign * price > self._ranks[-1]

    def would_trade(self, price: int) -> bool:
        """Whether an order of the other side at this price would meet our best level."""
        return bool(self._ranks) and self._ranks[0] <= self._sign * price
