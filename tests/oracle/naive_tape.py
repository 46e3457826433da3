"""What is said, and to whom: events to everybody, reports to one session."""

from __future__ import annotations

from shm_exchange.domain.config import ExchangeConfig
from shm_exchange.domain.enums import CommandKind, EventKind, Role
from tests.oracle.messages import Command, Event, Report
from tests.oracle.naive_book import NaiveBook, Order, Session


class NaiveTape(NaiveBook):
    """The book, and everything that was said about it."""

    command: Command

    def __init__(self, config: ExchangeConfig) -> None:
        super().__init__(config)
        self.events: list[Event] = []
        self.sequence = -1
        self.time_ns = 0

    def tell(self, kind: EventKind, order: Order, quantity: int, reason: int = 0, order_type: int = 0) -> None:
        """To everybody, and to the owner."""
        self.announce(kind, order, order.price, quantity, reason, order_type)
        self.report(kind, order, self.command.command_id, order.price, quantity, reason)

    def tell_match(self, incoming: Order, resting: Order, quantity: int) -> None:
        """One event and a report to each side, at the resting order's price."""
        match_id = self.announce(EventKind.EXECUTED, incoming, resting.price, quantity, resting_order_id=resting.order_id)
        self.report(EventKind.EXECUTED, resting, match_id, resting.price, quantity, role=Role.RESTING)
        self.report(EventKind.EXECUTED, incoming, match_id, resting.price, quantity, role=Role.INCOMING)

    def announce(self, kind: int, order: Order, price: int, quantity: int, reason: int = 0, order_type: int = 0, resting_order_id: int = 0) -> int:
        number = len(self.events) + 1
        what = (price, quantity, kind, reason, order.side, order_type, order.instrument, order.session.account)
        self.events.append(Event(number, self.sequence, self.time_ns, order.order_id, resting_order_id, *what))
        return number

    def report(self, kind: int, order: Order, cause_id: int, price: int, quantity: int, reason: int = 0, role: int = 0) -> None:
        session = order.session
        ids = (len(session.reports) + 1, order.order_id, order.client_order_id, cause_id)
        what = (price, quantity, order.leaves, kind, reason, order.side, role, order.instrument, session.account)
        session.reports.append(Report(*ids, *what))

    def answer(self, kind: EventKind, me: Session, reason: int = 0, canceled: int = 0) -> None:
        """To the commanding session alone: rejects echo its words, session answers are bare, two kinds count."""
        command, number, account = self.command, len(me.reports) + 1, me.account
        words = command._replace(order_id=command.command_id) if command.kind == CommandKind.ENTER else command
        if command.kind == CommandKind.LOGON or kind == EventKind.LOGGED_OFF:
            words = Command(command.command_id)
        if kind == EventKind.DISCONNECTED:
            words = Command(command.command_id, quantity=canceled)
        if kind == EventKind.MASS_CANCELED:
            words = command._replace(order_id=0, price_ticks=0, quantity=canceled)
        ids = (number, words.order_id, words.client_order_id, command.command_id)
        what = (words.price_ticks, words.quantity, 0, kind, reason, words.side, 0, words.instrument, account)
        me.reports.append(Report(*ids, *what))
