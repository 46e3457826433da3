"""Oracles with one mistake each, every one of them made by a real engine: what the tables must notice."""

from __future__ import annotations

from shm_exchange.domain.config import ExchangeConfig
from shm_exchange.domain.enums import Admission, CancelReason, CommandKind, EventKind, Place, SelfTradePrevention
from tests.oracle.messages import Command
from tests.oracle.naive_book import Order, Session, opposite, reaches
from tests.oracle.naive_exchange import NaiveExchange


class SendsPartialFillsToTheBack(NaiveExchange):
    def trade(self, incoming: Order, resting: Order) -> None:
        super().trade(incoming, resting)
        if resting.leaves:
            queue = self.books[resting.instrument, resting.side][resting.price]
            queue.append(queue.pop(0))


class PrintsTheIncomingPrice(NaiveExchange):
    only_on: tuple[CommandKind, ...] = tuple(CommandKind)
    printed = 0

    def announce(self, kind: int, order: Order, price: int, quantity: int, reason: int = 0, order_type: int = 0, resting_order_id: int = 0) -> int:
        if kind == EventKind.EXECUTED and self.command.kind in self.only_on:
            price = self.printed = order.price
        return super().announce(kind, order, price, quantity, reason, order_type, resting_order_id)

    def report(self, kind: int, order: Order, cause_id: int, price: int, quantity: int, reason: int = 0, role: int = 0) -> None:
        if kind == EventKind.EXECUTED and self.command.kind in self.only_on:
            price = self.printed
        super().report(kind, order, cause_id, price, quantity, reason, role)


class PrintsTheIncomingPriceOfAnAmend(PrintsTheIncomingPrice):
    only_on = (CommandKind.REPLACE,)


class LosesThoseBehindACanceledOrder(NaiveExchange):
    def leave_level(self, order: Order) -> None:
        queue = self.books[order.instrument, order.side].get(order.price, [])
        if order in queue and order is not queue[0]:
            del queue[queue.index(order) + 1 :]
        super().leave_level(order)


class KeepsAStaleBest(NaiveExchange):
    def __init__(self, config: ExchangeConfig) -> None:
        super().__init__(config)
        self.stale: set[tuple[int, int]] = set()

    def leave_level(self, order: Order) -> None:
        there = order.instrument, order.side
        was_best = order.price == self.best(*there)
        super().leave_level(order)
        if was_best and self.command.kind == CommandKind.CANCEL and order.price != self.best(*there):
            self.stale.add(there)

    def match(self, incoming: Order, limit: int | None, mode: int) -> None:
        there = incoming.instrument, opposite(incoming.side)
        if there not in self.stale:
            super().match(incoming, limit, mode)
        self.stale.discard(there)


class CancelsWhatIsFilled(NaiveExchange):
    def trade(self, incoming: Order, resting: Order) -> None:
        super().trade(incoming, resting)
        if not resting.leaves:
            self.orders[resting.order_id] = resting


class RestsAnIoc(NaiveExchange):
    def cancel_order(self, order: Order, reason: CancelReason) -> None:
        if reason == CancelReason.IOC_REST:
            self.rest(order)
        else:
            super().cancel_order(order, reason)


class TradesZero(NaiveExchange):
    def match(self, incoming: Order, limit: int | None, mode: int) -> None:
        super().match(incoming, limit, mode)
        there = incoming.instrument, opposite(incoming.side)
        best = self.best(*there)
        if not incoming.leaves and best is not None and reaches(incoming.side, limit, best):
            self.trade(incoming, self.books[there][best][0])


class RestsACrossingAmend(NaiveExchange):
    def match(self, incoming: Order, limit: int | None, mode: int) -> None:
        if self.command.kind != CommandKind.REPLACE:
            super().match(incoming, limit, mode)


class TakesBeforeItRefusesAFok(NaiveExchange):
    def reachable(self, incoming: Order, limit: int | None, mode: int) -> int:
        total = super().reachable(incoming, limit, mode)
        there = incoming.instrument, opposite(incoming.side)
        if 0 < total < incoming.leaves:
            best = self.books[there][self.levels(*there)[0][0]][0]
            best.leaves = max(1, best.leaves - total)
        return total


class CountsBehindItsOwnOrder(NaiveExchange):
    def reachable(self, incoming: Order, limit: int | None, mode: int) -> int:
        passes = SelfTradePrevention.CANCEL_RESTING if mode != SelfTradePrevention.NONE else mode
        return super().reachable(incoming, limit, passes)


class KeepsTheClientIdOfAFill(NaiveExchange):
    def trade(self, incoming: Order, resting: Order) -> None:
        super().trade(incoming, resting)
        if not resting.leaves:
            resting.session.orders[resting.order_id] = resting


class ReusesAPlace(NaiveExchange):
    def __init__(self, config: ExchangeConfig) -> None:
        super().__init__(config)
        self.holes: list[int] = []

    def leave_level(self, order: Order) -> None:
        queue = self.books[order.instrument, order.side].get(order.price, [])
        if order in queue:
            self.holes.append(queue.index(order))
        super().leave_level(order)

    def rest(self, order: Order) -> None:
        super().rest(order)
        if self.holes:
            queue = self.books[order.instrument, order.side][order.price]
            queue.insert(self.holes.pop(), queue.pop())


class AcceptsADuplicateClientId(NaiveExchange):
    def by_client_id(self, me: Session, client_order_id: int) -> Order | None:
        return None if self.command.kind == CommandKind.ENTER else super().by_client_id(me, client_order_id)


class AmendsBelowZero(NaiveExchange):
    def cancel_order(self, order: Order, reason: CancelReason) -> None:
        if reason == CancelReason.REPLACE_BELOW_FILLED:
            order.leaves = self.command.quantity - order.filled
            self.tell(EventKind.REPLACED, order, order.leaves, Place.KEPT)
        else:
            super().cancel_order(order, reason)


class LeavesAZeroOrder(NaiveExchange):
    def reduce_order(self, order: Order, quantity: int, reason: CancelReason) -> None:
        if reason == CancelReason.SELF_TRADE and quantity == order.leaves > 0 and order.order_id in self.orders:
            order.leaves = 0
            self.tell(EventKind.REDUCED, order, quantity, reason)
        else:
            super().reduce_order(order, quantity, reason)


class CancelsWhatWasToStay(NaiveExchange):
    def disconnect(self, command: Command, me: Session) -> None:
        me.cancels_on_disconnect = True
        super().disconnect(command, me)


class CancelsNewestFirst(NaiveExchange):
    def disconnect(self, command: Command, me: Session) -> None:
        me.orders = dict(reversed(me.orders.items()))
        super().disconnect(command, me)


class ForgetsAnAdmit(NaiveExchange):
    def handle(self, command: Command) -> None:
        super().handle(command)
        self.admission = Admission.ALL


MUTANTS: dict[str, type[NaiveExchange]] = {
    "a partial fill sends the resting order to the back": SendsPartialFillsToTheBack,
    "the trade prints the incoming price": PrintsTheIncomingPrice,
    "the trade prints the incoming price on the amend path": PrintsTheIncomingPriceOfAnAmend,
    "cancel of a middle order loses those behind it": LosesThoseBehindACanceledOrder,
    "the best price is stale after the top level is canceled": KeepsAStaleBest,
    "an id that filled can still be canceled": CancelsWhatIsFilled,
    "the rest of an IOC stays": RestsAnIoc,
    "an exact fill trades zero with the next order": TradesZero,
    "a crossing amend rests a crossed book": RestsACrossingAmend,
    "a rejected FOK moves something": TakesBeforeItRefusesAFok,
    "a FOK counts quantity behind one's own order": CountsBehindItsOwnOrder,
    "a filled order is still in the index of client ids": KeepsTheClientIdOfAFill,
    "a place that became free is given away again in the middle of the queue": ReusesAPlace,
    "a duplicate client id links an order to itself": AcceptsADuplicateClientId,
    "an amend below the filled quantity goes negative": AmendsBelowZero,
    "DECREMENT of equal sizes leaves a zero order": LeavesAZeroOrder,
    "a DISCONNECT cancels orders that were to stay": CancelsWhatWasToStay,
    "a DISCONNECT cancels newest first": CancelsNewestFirst,
    "an ADMIT is forgotten": ForgetsAnAdmit,
}
