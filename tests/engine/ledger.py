"""What must hold of the outputs of any exchange, whatever the rules: numbers without gaps, each session told what the tape says, quantities kept.

A third opinion beside oracle and engine: it derives the reports from the events and knows nothing of matching.
"""

from __future__ import annotations

from dataclasses import dataclass

from shm_exchange.domain.enums import CommandKind, EventKind, RejectReason, Role
from shm_exchange.domain.limits import POSITION_BITS
from tests.oracle.messages import Command, Event, Outputs, Report

ANSWERS = (EventKind.REJECTED, EventKind.MASS_CANCELED, EventKind.LOGGED_ON, EventKind.LOGGED_OFF, EventKind.DISCONNECTED)


@dataclass
class Account:
    """The books kept for one order: `quantity == filled + leaves + canceled` at any time."""

    client_order_id: int
    side: int
    price: int
    quantity: int
    leaves: int
    filled: int = 0
    canceled: int = 0

    def balances(self) -> bool:
        return self.quantity == self.filled + self.leaves + self.canceled and self.leaves >= 0


class Ledger:
    """Hears every command's outputs and asserts."""

    def __init__(self) -> None:
        self.orders: dict[int, Account] = {}
        self.accounts: dict[int, int] = {}
        self.heard: dict[int, int] = {}
        self.events = self.commands = self.time_ns = 0

    def check(self, command: Command, outputs: Outputs) -> None:
        """The outputs of one command, the next one."""
        self.time_ns = max(self.time_ns, command.time_ns)
        expected: dict[int, list[Report]] = {}
        for event in outputs.events:
            self.events += 1
            assert (event.number, event.sequence, event.time_ns) == (self.events, self.commands, self.time_ns)
            for report in self._reports(event, command):
                self._expect(expected, report)
        session = command.command_id >> POSITION_BITS
        told = outputs.reports.get(session, [])
        if told and told[-1].kind in ANSWERS:
            self._expect(expected, (session, self._answer(command, session, told[-1])))
        assert outputs.reports == expected
        assert all(self.orders[event.order_id].balances() for event in outputs.events)
        self.commands += 1

    def _expect(self, expected: dict[int, list[Report]], addressed: tuple[int, Report]) -> None:
        session, report = addressed
        self.heard[session] = self.heard.get(session, 0) + 1
        expected.setdefault(session, []).append(report._replace(number=self.heard[session]))

    def _reports(self, event: Event, command: Command) -> list[tuple[int, Report]]:
        """Who must hear what of this event."""
        assert event.quantity > 0
        if event.kind == EventKind.EXECUTED:
            return [self._fill(event, event.resting_order_id, Role.RESTING), self._fill(event, event.order_id, Role.INCOMING)]
        assert event.resting_order_id == 0
        if event.kind == EventKind.ACCEPTED:
            assert (event.order_id, event.order_type) == (command.command_id, command.order_type)
            self.orders[event.order_id] = Account(command.client_order_id, event.side, event.price_ticks, event.quantity, event.quantity)
        else:
            assert event.order_type == 0
        order = self.orders[event.order_id]
        if event.kind == EventKind.REPLACED:
            order.price, order.leaves = event.price_ticks, event.quantity
            order.quantity = order.filled + order.canceled + event.quantity
        elif event.kind in (EventKind.CANCELED, EventKind.REDUCED):
            order.leaves -= event.quantity
            order.canceled += event.quantity
            assert (order.leaves == 0) == (event.kind == EventKind.CANCELED)
        assert (event.price_ticks, event.side) == (order.price, order.side)
        return [self._report(event, event.order_id, command.command_id)]

    def _fill(self, event: Event, order_id: int, role: Role) -> tuple[int, Report]:
        order = self.orders[order_id]
        order.leaves -= event.quantity
        order.filled += event.quantity
        assert order.balances()
        session, report = self._report(event, order_id, event.number)
        return session, report._replace(role=role)

    def _report(self, event: Event, order_id: int, cause_id: int) -> tuple[int, Report]:
        session, order = order_id >> POSITION_BITS, self.orders[order_id]
        account = self.accounts[session]
        assert event.account == self.accounts[event.order_id >> POSITION_BITS]
        ids = (0, order_id, order.client_order_id, cause_id)
        what = (event.price_ticks, event.quantity, order.leaves, event.kind, event.reason, order.side, 0, event.instrument, account)
        return session, Report(*ids, *what)

    def _answer(self, command: Command, session: int, told: Report) -> Report:
        """The words that go back to the session; what they say stands in the tables."""
        if told.kind == EventKind.LOGGED_ON:
            self.accounts[session] = told.account
        words = command
        if command.kind == CommandKind.LOGON or told.kind == EventKind.LOGGED_OFF:
            words = Command(0)
        elif command.kind == CommandKind.ENTER:
            words = command._replace(order_id=command.command_id)
        elif told.kind == EventKind.MASS_CANCELED:
            words = command._replace(order_id=0, price_ticks=0, quantity=told.quantity)
        elif told.kind == EventKind.DISCONNECTED:
            words = Command(0, quantity=told.quantity)
        if told.kind == EventKind.REJECTED:
            RejectReason(told.reason)
        else:
            assert told.reason == 0
        ids = (0, words.order_id, words.client_order_id, command.command_id)
        what = (words.price_ticks, words.quantity, 0, told.kind, told.reason, words.side, 0, words.instrument, self.accounts.get(session, 0))
        return Report(*ids, *what)
