"""A matcher of a few dozen obvious lines: the referee's rules on lists, told once as canonical lines and once as our reports."""

from __future__ import annotations

import bisect
import hashlib

import numpy as np

from shm_exchange.domain.enums import CancelReason, EventKind, Place, RejectReason, Role
from shm_exchange.layout.records import REPORT
from shm_exchange.protocol.referee import MessageKind


class Order:
    def __init__(self, key, order_id, side, price, quantity):
        self.key, self.order_id, self.side, self.price, self.leaves = key, order_id, side, price, quantity


def rank(side, price):
    """Larger is better; its own inverse."""
    return price if side == 0 else -price


class NaiveExchange:
    """Feed it messages; read `lines` (as the referee prints them) and `reports()` (as a session's report ring would hold them)."""

    def __init__(self, session, first_position):
        self.session, self.first_position = session, first_position
        self.queues: tuple[dict, dict] = ({}, {})  # by side: price -> orders, first in queue first
        self.ranks: tuple[list, list] = ([], [])  # by side: sorted ranks of the prices in `queues`, the best last
        self.resting = {}  # referee id -> Order
        self.lines = []
        self.rows = []
        self.matches = 0

    def apply(self, index, message):
        kind, side, ioc, _, quantity, _, key, price, _ = message
        self.index = index
        self.cause = self.session << 40 | self.first_position + index
        if kind == MessageKind.NEW:
            order = Order(key, self.cause, side, price, quantity)
            self.tell(0, (side, key, price, quantity), order, EventKind.ACCEPTED, 0, quantity, quantity)
            self.match(order)
            if order.leaves and ioc:
                self.tell(2, (side, key, price), order, EventKind.CANCELED, CancelReason.IOC_REST, order.leaves, 0)
            elif order.leaves:
                self.rest(order)
        elif key not in self.resting:
            missing = Order(key, self.session << 40 | (1 << 40) - 1, 0, price, quantity)
            self.tell(4 if kind == MessageKind.CANCEL else 5, (key,), missing, EventKind.REJECTED, RejectReason.UNKNOWN_ORDER, quantity, 0)
        elif kind == MessageKind.CANCEL:
            order = self.take_out(key)
            self.tell(2, (order.side, key, order.price), order, EventKind.CANCELED, CancelReason.USER, order.leaves, 0)
        else:
            order = self.take_out(key)
            order.price, order.leaves = price, quantity
            self.tell(3, (order.side, key, price, quantity), order, EventKind.REPLACED, Place.LOST, quantity, quantity)
            self.match(order)
            if order.leaves:
                self.rest(order)

    def match(self, incoming):
        opposite = 1 - incoming.side
        while incoming.leaves and (ranks := self.ranks[opposite]) and ranks[-1] >= rank(opposite, incoming.price):
            resting = next(iter(self.queues[opposite][rank(opposite, ranks[-1])].values()))
            quantity = min(resting.leaves, incoming.leaves)
            resting.leaves -= quantity
            incoming.leaves -= quantity
            self.trade(resting, incoming, quantity)
            if not resting.leaves:
                self.take_out(resting.key)

    def trade(self, resting, incoming, quantity):
        self.matches += 1
        self.lines.append((self.index, 1, (resting.price, quantity, resting.key, incoming.key)))
        for order, role in ((resting, Role.RESTING), (incoming, Role.INCOMING)):
            words = (order.order_id, 0, self.matches, resting.price, quantity, order.leaves)
            self.rows.append((len(self.rows) + 2, *words, EventKind.EXECUTED, 0, order.side + 1, role, 0, 1))

    def tell(self, line_type, words, order, kind, reason, quantity, leaves):
        self.lines.append((self.index, line_type, words))
        self.rows.append((len(self.rows) + 2, order.order_id, 0, self.cause, order.price, quantity, leaves, kind, reason, order.side + 1, 0, 0, 1))

    def rest(self, order):
        queue = self.queues[order.side].get(order.price)
        if queue is None:
            queue = self.queues[order.side][order.price] = {}
            bisect.insort(self.ranks[order.side], rank(order.side, order.price))
        queue[order.key] = order
        self.resting[order.key] = order

    def take_out(self, key):
        order = self.resting.pop(key)
        queue = self.queues[order.side][order.price]
        del queue[key]
        if not queue:
            del self.queues[order.side][order.price]
            ranks = self.ranks[order.side]
            del ranks[bisect.bisect_left(ranks, rank(order.side, order.price))]
        return order

    def reports(self):
        return np.array(self.rows, REPORT)

    def text(self):
        ordered = sorted(self.lines, key=lambda line: line[:2])
        return "\n".join(",".join(map(str, (line_type, index, *words))) for index, line_type, words in ordered)

    def digest(self):
        return hashlib.sha256(self.text().encode()).hexdigest()


def run(messages, session=1, first_position=2):
    """The exchange after all messages."""
    exchange = NaiveExchange(session, first_position)
    for index, message in enumerate(messages.tolist()):
        exchange.apply(index, message)
    return exchange
