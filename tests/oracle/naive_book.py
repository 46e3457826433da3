"""Who is there, what is open, and where it stands: sessions, queues at prices, and the ladder pages they use."""

from __future__ import annotations

from dataclasses import dataclass, field

from shm_exchange.domain.config import LEVELS_PER_PAGE, ExchangeConfig
from shm_exchange.domain.enums import Side
from tests.oracle.messages import Report


@dataclass(eq=False)
class Session:
    """One gateway's seat."""

    number: int
    logged_on: bool = False
    cancels_on_disconnect: bool = False
    account: int = 0
    orders: dict[int, Order] = field(default_factory=dict)  # open ones, in order of entry
    reports: list[Report] = field(default_factory=list)


@dataclass(eq=False)
class Order:
    """An order that is open, or coming in."""

    order_id: int
    client_order_id: int
    session: Session
    instrument: int
    side: Side
    price: int
    leaves: int
    filled: int = 0


def reaches(side: int, limit: int | None, price: int) -> bool:
    """Whether an incoming order with this limit (None: any price) accepts `price`."""
    return limit is None or (price <= limit if side == Side.BUY else price >= limit)


def opposite(side: int) -> Side:
    """The side it trades with."""
    return Side.SELL if side == Side.BUY else Side.BUY


class NaiveBook:
    """All open orders: by id, by session in order of entry, and by price in order of arrival."""

    def __init__(self, config: ExchangeConfig) -> None:
        self.config = config
        self.sessions = {number: Session(number) for number in range(1, config.max_sessions + 1)}
        self.orders: dict[int, Order] = {}
        self.books: dict[tuple[int, int], dict[int, list[Order]]] = {(i, side): {} for i in range(len(config.instruments)) for side in Side}
        self.pages: dict[tuple[int, int, int], Session] = {}  # who opened it

    def rest(self, order: Order) -> None:
        """Last in the queue at its price."""
        self.pages.setdefault(self.page(order, order.price), order.session)
        self.books[order.instrument, order.side].setdefault(order.price, []).append(order)
        self.orders[order.order_id] = order.session.orders[order.order_id] = order

    def leave_level(self, order: Order) -> None:
        """Out of its queue, if it stands in one; an empty level goes, an empty page too."""
        book = self.books[order.instrument, order.side]
        if order not in book.get(order.price, ()):
            return
        book[order.price].remove(order)
        if not book[order.price]:
            del book[order.price]
            page = self.page(order, order.price)
            if all(self.page(order, price) != page for price in book):
                del self.pages[page]

    def forget(self, order: Order) -> None:
        """It is not open any more."""
        self.orders.pop(order.order_id, None)
        order.session.orders.pop(order.order_id, None)

    def page(self, order: Order, price: int) -> tuple[int, int, int]:
        rank = (price if order.side == Side.SELL else -price) + 2**52
        return order.instrument, order.side, rank // LEVELS_PER_PAGE

    def best(self, instrument: int, side: int) -> int | None:
        book = self.books[instrument, side]
        return (max(book) if side == Side.BUY else min(book)) if book else None

    def levels(self, instrument: int, side: int) -> list[tuple[int, int]]:
        """(price, total quantity), best first."""
        book = self.books[instrument, side]
        return [(price, sum([order.leaves for order in book[price]])) for price in sorted(book, reverse=side == Side.BUY)]

    def queue(self, instrument: int, side: int, price_ticks: int) -> list[tuple[int, int]]:
        """(order id, leaves), first in queue first."""
        return [(order.order_id, order.leaves) for order in self.books[instrument, side].get(price_ticks, ())]

    def by_client_id(self, me: Session, client_order_id: int) -> Order | None:
        for order in me.orders.values():
            if order.client_order_id == client_order_id:
                return order
        return None
