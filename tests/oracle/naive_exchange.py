"""The whole exchange as a trader would explain it: dicts and lists, no cleverness, no code shared with the engine it judges."""

from __future__ import annotations

from collections.abc import Iterable

from shm_exchange.domain.config import ExchangeConfig
from shm_exchange.domain.enums import (
    Admission,
    CancelReason,
    CommandKind,
    EventKind,
    Flag,
    OrderType,
    Place,
    RejectReason,
    SelfTradePrevention,
    Side,
    TimeInForce,
)
from shm_exchange.domain.limits import ACCOUNTS_MAX, NOTIONAL_MAX, POSITION_BITS
from tests.oracle import messages as m
from tests.oracle.messages import Command, Outputs
from tests.oracle.naive_book import Order, Session, opposite, reaches
from tests.oracle.naive_tape import NaiveTape

KINDS = frozenset(CommandKind)
BEFORE_LOGON = frozenset({CommandKind.LOGON, CommandKind.DISCONNECT})
MATCHER = 0
"""The lane of no session: what stands in it the matcher says, and that is ADMIT."""


class Refused(Exception):
    """The command changes nothing; the reason goes to its session."""

    def __init__(self, reason: RejectReason) -> None:
        self.reason = reason


def refuse(applies: bool, reason: RejectReason) -> None:
    """One line of the table of rejects: the first that applies ends the command."""
    if applies:
        raise Refused(reason)


class NaiveExchange(NaiveTape):
    """The oracle. `apply` takes records as tuples (`records.tolist()`) and returns reports and events as tuples."""

    def __init__(self, config: ExchangeConfig) -> None:
        super().__init__(config)
        self.accounts: dict[bytes, int] = {}
        self.admission = Admission.ALL

    def apply(self, records: Iterable[tuple[int, ...]]) -> Outputs:
        """Handle commands in order; what they cause, since the last call."""
        heard = {number: len(session.reports) for number, session in self.sessions.items()}
        first_event = len(self.events)
        for record in records:
            self.handle(Command._make(record))
        news = {number: session.reports[heard[number] :] for number, session in self.sessions.items()}
        return Outputs({number: reports for number, reports in news.items() if reports}, self.events[first_event:])

    def handle(self, command: Command) -> None:
        """One command: it happens whole, or is refused and changes nothing but the clock."""
        self.command, number = command, command.command_id >> POSITION_BITS
        self.sequence += 1
        self.time_ns = max(self.time_ns, command.time_ns)
        if number == MATCHER:
            self.admission = Admission(min(max(command.quantity, Admission.ALL), Admission.NONE))
            return
        me = self.sessions[number]
        try:
            refuse(command.kind == CommandKind.ADMIT, RejectReason.MALFORMED)
            if command.kind in BEFORE_LOGON:
                getattr(self, CommandKind(command.kind).name.lower())(command, me)
                return
            refuse(not me.logged_on, RejectReason.NOT_LOGGED_ON)
            refuse(command.kind not in KINDS, RejectReason.MALFORMED)
            getattr(self, CommandKind(command.kind).name.lower())(command, me)
        except Refused as refused:
            self.answer(EventKind.REJECTED, me, refused.reason)

    # -- sessions

    def logon(self, command: Command, me: Session) -> None:
        refuse(m.malformed_logon(command), RejectReason.MALFORMED)
        name = m.logon_names(command)[1]
        refuse(bool(me.orders) and self.accounts.get(name) != me.account, RejectReason.ACCOUNT_IN_USE)
        room = min(ACCOUNTS_MAX, 4 * self.config.max_sessions)
        refuse(name not in self.accounts and len(self.accounts) >= room, RejectReason.ACCOUNTS_FULL)
        me.account = self.accounts.setdefault(name, len(self.accounts) + 1)
        me.logged_on = True
        me.cancels_on_disconnect = bool(command.modifiers & Flag.CANCEL_ON_DISCONNECT)
        self.answer(EventKind.LOGGED_ON, me)

    def logoff(self, command: Command, me: Session) -> None:
        refuse(m.malformed_logoff(command), RejectReason.MALFORMED)
        me.logged_on = me.cancels_on_disconnect = False
        self.answer(EventKind.LOGGED_OFF, me)

    def disconnect(self, command: Command, me: Session) -> None:
        refuse(m.malformed_logoff(command), RejectReason.MALFORMED)
        hit = list(me.orders.values()) if me.cancels_on_disconnect else []
        for order in hit:
            self.cancel_order(order, CancelReason.DISCONNECTED)
        me.logged_on = False
        self.answer(EventKind.DISCONNECTED, me, canceled=len(hit))

    # -- commands that change the book

    def enter(self, command: Command, me: Session) -> None:
        refuse(command.instrument >= len(self.config.instruments), RejectReason.UNKNOWN_INSTRUMENT)
        refuse(self.admission != Admission.ALL, RejectReason.REDUCING_ONLY)
        refuse(m.malformed_enter(command), RejectReason.MALFORMED)
        if m.priced(command):
            self.check_price(command.instrument, command)
        named = command.client_order_id != 0 and self.by_client_id(me, command.client_order_id)
        refuse(bool(named), RejectReason.DUPLICATE_CLIENT_ORDER_ID)
        price = self.post_only_price(command.instrument, command.side, command)
        order = Order(command.command_id, command.client_order_id, me, command.instrument, Side(command.side), price, command.quantity)
        limit = price if m.priced(command) else None
        may_rest = command.time_in_force == TimeInForce.GTC
        if command.time_in_force == TimeInForce.FOK:
            refuse(self.reachable(order, limit, command.self_trade) < command.quantity, RejectReason.FILL_OR_KILL_CANNOT_FILL)
        if may_rest:
            refuse(len(me.orders) >= self.config.session_orders, RejectReason.SESSION_ORDERS_FULL)
            refuse(len(self.orders) >= self.config.max_orders, RejectReason.BOOK_FULL)
            self.check_pages(order, price)
        self.tell(EventKind.ACCEPTED, order, order.leaves, order_type=command.order_type)
        self.match(order, limit, command.self_trade)
        if order.leaves and may_rest:
            self.rest(order)
        elif order.leaves:
            self.cancel_order(order, CancelReason.MARKET_REST if command.order_type == OrderType.MARKET else CancelReason.IOC_REST)

    def cancel(self, command: Command, me: Session) -> None:
        refuse(m.malformed_cancel(command), RejectReason.MALFORMED)
        self.cancel_order(self.my_target(command, me), CancelReason.USER)

    def reduce(self, command: Command, me: Session) -> None:
        refuse(m.malformed_reduce(command), RejectReason.MALFORMED)
        self.reduce_order(self.my_target(command, me), command.quantity, CancelReason.USER)

    def replace(self, command: Command, me: Session) -> None:
        refuse(self.admission != Admission.ALL, RejectReason.REDUCING_ONLY)
        refuse(m.malformed_replace(command), RejectReason.MALFORMED)
        anybodys = self.target(command, me)
        if anybodys:
            self.check_price(anybodys.instrument, command)
        order = self.my_target(command, me)
        reinsert = command.modifiers & Flag.REINSERT
        still_open = command.quantity if reinsert else command.quantity - order.filled
        if still_open <= 0:
            self.cancel_order(order, CancelReason.REPLACE_BELOW_FILLED)
        elif not reinsert and command.price_ticks == order.price and still_open <= order.leaves:
            order.leaves = still_open
            self.tell(EventKind.REPLACED, order, still_open, Place.KEPT)
        else:
            price = self.post_only_price(order.instrument, order.side, command)
            self.check_pages(order, price)
            self.leave_level(order)
            order.price, order.leaves = price, still_open
            self.tell(EventKind.REPLACED, order, still_open, Place.LOST)
            self.match(order, price, command.self_trade)
            if order.leaves:
                self.rest(order)
            else:
                self.forget(order)

    def mass_cancel(self, command: Command, me: Session) -> None:
        everywhere = command.instrument == m.ALL_INSTRUMENTS
        refuse(not everywhere and command.instrument >= len(self.config.instruments), RejectReason.UNKNOWN_INSTRUMENT)
        refuse(m.malformed_mass_cancel(command), RejectReason.MALFORMED)
        whole_account = command.modifiers & Flag.ACCOUNT
        sessions = [session for session in self.sessions.values() if session is me or (whole_account and session.account == me.account)]
        orders = [order for session in sessions for order in session.orders.values()]
        hit = [o for o in orders if (everywhere or o.instrument == command.instrument) and command.side in (0, o.side)]
        for order in hit:
            self.cancel_order(order, CancelReason.MASS)
        self.answer(EventKind.MASS_CANCELED, me, canceled=len(hit))

    # -- checks

    def check_price(self, instrument: int, command: Command) -> None:
        band = self.config.instruments[instrument]
        refuse(not band.min_ticks <= command.price_ticks <= band.max_ticks, RejectReason.PRICE_OUTSIDE_BAND)
        refuse(abs(command.price_ticks) * command.quantity > NOTIONAL_MAX, RejectReason.NOTIONAL_TOO_LARGE)

    def post_only_price(self, instrument: int, side: int, command: Command) -> int:
        """The price it may rest at: its own, or one tick off the market where it asked to slide."""
        best = self.best(instrument, opposite(side))
        if not command.modifiers & Flag.POST_ONLY or best is None or not reaches(side, command.price_ticks, best):
            return command.price_ticks
        price = best - 1 if side == Side.BUY else best + 1
        band = self.config.instruments[instrument]
        slides = command.modifiers & Flag.SLIDE and band.min_ticks <= price <= band.max_ticks
        refuse(not slides, RejectReason.POST_ONLY_WOULD_TRADE)
        return price

    def reachable(self, incoming: Order, limit: int | None, mode: int) -> int:
        """How much a FOK would trade: past own orders only where they would be canceled out of the way."""
        total = 0
        book = self.books[incoming.instrument, opposite(incoming.side)]
        acceptable = [price for price in book if reaches(incoming.side, limit, price)]
        for price in sorted(acceptable, reverse=incoming.side == Side.SELL):
            for resting in book[price]:
                if not self.prevented(incoming, resting, mode):
                    total += resting.leaves
                elif mode != SelfTradePrevention.CANCEL_RESTING:
                    return total
        return total

    def check_pages(self, order: Order, price: int) -> None:
        """A price in a page that does not exist yet needs one more, from the session's share and from the pool."""
        if self.page(order, price) not in self.pages:
            opened = sum(opener is order.session for opener in self.pages.values())
            refuse(opened >= self.config.session_pages, RejectReason.SESSION_PAGES_FULL)
            refuse(len(self.pages) >= self.config.max_pages, RejectReason.LADDER_FULL)

    def target(self, command: Command, me: Session) -> Order | None:
        return self.orders.get(command.order_id) if command.order_id else self.by_client_id(me, command.client_order_id)

    def my_target(self, command: Command, me: Session) -> Order:
        order = self.target(command, me)
        if order is None:
            raise Refused(RejectReason.UNKNOWN_ORDER)
        refuse(order.session is not me, RejectReason.NOT_YOUR_ORDER)
        return order

    # -- matching

    def match(self, incoming: Order, limit: int | None, mode: int) -> None:
        """Best price first, oldest order first, while the incoming one has something left and accepts the price."""
        there = incoming.instrument, opposite(incoming.side)
        while incoming.leaves and (best := self.best(*there)) is not None and reaches(incoming.side, limit, best):
            resting = self.books[there][best][0]
            if self.prevented(incoming, resting, mode):
                self.prevent(incoming, resting, mode)
            else:
                self.trade(incoming, resting)

    def prevented(self, incoming: Order, resting: Order, mode: int) -> bool:
        return mode != SelfTradePrevention.NONE and incoming.session.account == resting.session.account

    def prevent(self, incoming: Order, resting: Order, mode: int) -> None:
        """The incoming order's mode decides who gives way."""
        if mode == SelfTradePrevention.DECREMENT:
            quantity = min(incoming.leaves, resting.leaves)
            self.reduce_order(resting, quantity, CancelReason.SELF_TRADE)
            self.reduce_order(incoming, quantity, CancelReason.SELF_TRADE)
        if mode in (SelfTradePrevention.CANCEL_RESTING, SelfTradePrevention.CANCEL_BOTH):
            self.cancel_order(resting, CancelReason.SELF_TRADE)
        if mode in (SelfTradePrevention.CANCEL_INCOMING, SelfTradePrevention.CANCEL_BOTH):
            self.cancel_order(incoming, CancelReason.SELF_TRADE)

    def trade(self, incoming: Order, resting: Order) -> None:
        """The smaller of both quantities, at the resting order's price."""
        quantity = min(incoming.leaves, resting.leaves)
        for order in (incoming, resting):
            order.leaves -= quantity
            order.filled += quantity
        if not resting.leaves:
            self.leave_level(resting)
            self.forget(resting)
        self.tell_match(incoming, resting, quantity)

    def reduce_order(self, order: Order, quantity: int, reason: CancelReason) -> None:
        """Take away so much, in place; all of it (or more) cancels."""
        if quantity >= order.leaves:
            self.cancel_order(order, reason)
        else:
            order.leaves -= quantity
            self.tell(EventKind.REDUCED, order, quantity, reason)

    def cancel_order(self, order: Order, reason: CancelReason) -> None:
        quantity, order.leaves = order.leaves, 0
        self.leave_level(order)
        self.forget(order)
        self.tell(EventKind.CANCELED, order, quantity, reason)
