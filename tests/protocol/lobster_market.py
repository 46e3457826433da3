"""A naive market that writes a LOBSTER pair: dicts and lists, and only what changes the first levels is told, as in the real files."""

from __future__ import annotations

import random
from typing import NamedTuple

UNITS = 100
"""Ten-thousandths in a cent."""
FIRST_NS = 34_200_000_000_000
EMPTY = 9_999_999_999
BUY, SELL = 1, -1


class Pair(NamedTuple):
    """Two files."""

    messages: bytes
    book: bytes

    @property
    def rows(self) -> int:
        return self.messages.count(b"\n")


class NaiveMarket:
    """Prices in cents. Order ids rise, but for those from before the file, whose ids are just as good and were never told."""

    def __init__(self, seed: int, levels: int, before: int = 40) -> None:
        self.random = random.Random(seed)
        self.levels = levels
        self.book: dict[int, dict[int, list[list[int]]]] = {BUY: {}, SELL: {}}
        self.next_id = 1000
        self.time_ns = FIRST_NS
        self.messages: list[str] = []
        self.books: list[str] = []
        for _ in range(before):
            self.new()
        self.messages, self.books = [], []

    def pair(self, rows: int) -> Pair:
        while len(self.messages) < rows:
            self.random.choices((self.new, self.cancel, self.market, self.hidden, self.halt), (50, 35, 12, 4, 1))[0]()
        return Pair("".join(self.messages[:rows]).encode(), "".join(self.books[:rows]).encode())

    def new(self) -> None:
        side = self.random.choice((BUY, SELL))
        best = self.prices(-side)
        edge = best[0] if best else 10_000 + 5 * -side
        price = edge - side * self.random.choice((1, 1, 2, 3, 5, 8, 13, 21))
        self.next_id += 1
        quantity = self.random.choice((1, 18, 100, 100, 300))
        self.book[side].setdefault(price, []).append([self.next_id, quantity])
        self.tell(1, self.next_id, quantity, price, side)

    def cancel(self) -> None:
        side = self.random.choice((BUY, SELL))
        if not self.book[side]:
            return
        price = self.random.choice(self.prices(side)[: self.levels + 3])
        order = self.random.choice(self.book[side][price])
        if order[1] > 1 and self.random.random() < 0.3:
            less = self.random.randrange(1, order[1])
            order[1] -= less
            self.tell(2, order[0], less, price, side)
            return
        self.book[side][price].remove(order)
        self.tell(3, order[0], order[1], price, side)

    def market(self) -> None:
        side = self.random.choice((BUY, SELL))
        wanted = self.random.choice((1, 50, 100, 250, 900))
        while wanted and self.book[side]:
            price = self.prices(side)[0]
            order = self.book[side][price][0]
            traded = min(wanted, order[1])
            order[1] -= traded
            wanted -= traded
            if not order[1]:
                self.book[side][price].remove(order)
            self.tell(4, order[0], traded, price, side)

    def hidden(self) -> None:
        self.say(5, 0, self.random.randrange(1, 100), 1_000_050, self.random.choice((BUY, SELL)))

    def halt(self) -> None:
        self.say(7, 0, 0, -1, -1)

    def prices(self, side: int) -> list[int]:
        return sorted(self.book[side], key=lambda price: -side * price)

    def tell(self, kind: int, order_id: int, quantity: int, price: int, side: int) -> None:
        """A row, if it is to be seen in the levels that the files show."""
        if not self.book[side][price]:
            del self.book[side][price]
        if not self.books or self.levels_text() != self.books[-1]:
            self.say(kind, order_id, quantity, price * UNITS, side)

    def say(self, kind: int, order_id: int, quantity: int, units: int, side: int) -> None:
        self.time_ns += self.random.choice((0, 1, 1500, 70_000, 2_000_003))
        seconds, rest = divmod(self.time_ns, 10**9)
        self.messages.append(f"{seconds}.{rest:09d},{kind},{order_id},{quantity},{units},{side}\n")
        self.books.append(self.levels_text())

    def levels_text(self) -> str:
        fields: list[int] = []
        asks, bids = self.prices(SELL), self.prices(BUY)
        for level in range(self.levels):
            for prices, side in ((asks, SELL), (bids, BUY)):
                if level < len(prices):
                    price = prices[level]
                    fields += [price * UNITS, sum(quantity for _, quantity in self.book[side][price])]
                else:
                    fields += [-side * EMPTY, 0]
        return ",".join(map(str, fields)) + "\n"
