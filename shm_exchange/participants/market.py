"""What a behaviour is given: the market as it looks from where it stands, its own orders, and the verbs to send new ones.

Everything here is as old as the participant's delay makes it. Orders are named by a handle, their `client_order_id`, known at once and unique for the
participant's life. Prices in whole ticks and quantities in whole lots are the fast form; decimals are made when asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from random import Random

import numpy as np

from shm_exchange.client.report import Report
from shm_exchange.client.view import Level
from shm_exchange.domain.enums import CommandKind, EventKind, Flag, OrderType, SelfTradePrevention, Side, TimeInForce
from shm_exchange.domain.errors import ConfigError, UnknownSymbol
from shm_exchange.domain.instrument import Instrument, Number
from shm_exchange.domain.names import nearest
from shm_exchange.layout.records import REPORT
from shm_exchange.participants.ledger import HOLDING, fold_reports, new_ledger
from shm_exchange.participants.quotes import Command, OpenOrder, Quote, Top, mid_of

_SOON_NS = 1_000


class Market:
    """See the module. `symbol=None` means the first symbol that the participant trades."""

    def __init__(self, instruments: Sequence[Instrument], symbols: Sequence[str], watched: Sequence[str], random: Random) -> None:
        self.instruments = tuple(instruments)
        self.symbols, self.watched = tuple(symbols), tuple(watched)
        """What it trades, and what it only looks at: `SYMBOL`, or `SYMBOL@EXCHANGE`."""
        self.symbol = self.symbols[0]
        self.random = random
        """The only randomness there is: seeded."""
        self.now_ns = self.start_ns = 0
        """Moments of the participant's clock, ns."""
        self.end_ns = 0
        """When it is to end; 0: nobody knows."""
        self.next_id = 0
        """At the start: the id of its first command."""
        self.order_quota = 0
        """Orders that it may have open; 0: nobody counts."""
        self.orders: dict[int, OpenOrder] = {}
        """What may still trade, by handle."""
        self.wake_ns: int | None = None
        self.has_news = False
        """In `on_market`: whether prices are newer than at the last one."""
        self._numbers = {instrument.symbol: number for number, instrument in enumerate(self.instruments)}
        self._quotes = dict.fromkeys((*self.symbols, *self.watched), Quote())
        self._ledger = new_ledger(len(self.instruments))
        self._handle = 0
        self._sent: list[Command] = []

    # What it sees

    def quote(self, symbol: str | None = None) -> Quote:
        """The touch as it is known here. Raises UnknownSymbol for what it neither trades nor watches."""
        found = self._quotes.get(symbol or self.symbol)
        if found is None:
            raise UnknownSymbol(
                f"{symbol!r} is neither traded nor watched here{nearest(str(symbol), self._quotes)}; known are {', '.join(self._quotes)}"
            )
        return found

    def top(self, symbol: str | None = None) -> Top:
        """The touch in decimals."""
        quote, instrument = self.quote(symbol), self.instrument(symbol)
        sides = ((quote.bid_ticks, quote.bid_lots), (quote.ask_ticks, quote.ask_lots), (quote.last_ticks, quote.last_lots))
        return Top(*(Level(instrument.price(ticks), instrument.quantity(lots)) if lots else None for ticks, lots in sides))

    def instrument(self, symbol: str | None = None) -> Instrument:
        """Tick and lot of a symbol it trades."""
        return self.instruments[self._number(symbol)]

    @property
    def bid_ticks(self) -> int | None:
        """Best bid, or None."""
        quote = self._quotes[self.symbol]
        return quote.bid_ticks if quote.bid_lots else None

    @property
    def ask_ticks(self) -> int | None:
        """Best ask, or None."""
        quote = self._quotes[self.symbol]
        return quote.ask_ticks if quote.ask_lots else None

    @property
    def last_ticks(self) -> int | None:
        """Price of the last trade, or None."""
        quote = self._quotes[self.symbol]
        return quote.last_ticks if quote.last_lots else None

    @property
    def mid_ticks(self) -> float | None:
        """Between bid and ask; one of them, or the last trade, where that is all there is."""
        return mid_of(self._quotes[self.symbol])

    @property
    def bid(self) -> Decimal | None:
        """Best bid."""
        return self._price(self.bid_ticks)

    @property
    def ask(self) -> Decimal | None:
        """Best ask."""
        return self._price(self.ask_ticks)

    @property
    def last(self) -> Decimal | None:
        """Last trade."""
        return self._price(self.last_ticks)

    @property
    def mid(self) -> Decimal | None:
        """Between bid and ask."""
        mid = self.mid_ticks
        return None if mid is None else Decimal(mid) * self.instrument().tick

    @property
    def volume(self) -> int:
        """Lots traded by anybody since it began; only with `watches_trades`."""
        return self._quotes[self.symbol].volume

    # What it has

    def position(self, symbol: str | None = None) -> int:
        """Lots held; negative: sold short."""
        return int(self._holdings()["position"][self._number(symbol)])

    def cash_ticks(self, symbol: str | None = None) -> int:
        """Ticks × lots received for what was sold, less what was paid."""
        return int(self._holdings()["cash"][self._number(symbol)])

    def pnl_ticks(self, symbol: str | None = None) -> float:
        """Cash, and the position at the mid, in ticks × lots."""
        mid = mid_of(self.quote(symbol))
        return self.cash_ticks(symbol) + self.position(symbol) * (mid or 0.0)

    @property
    def cash(self) -> Decimal:
        """Money received less money paid, over all symbols."""
        holdings = self._holdings()
        return sum((holdings["cash"][number].item() * item.tick * item.lot for number, item in enumerate(self.instruments)), Decimal(0))

    @property
    def pnl(self) -> Decimal:
        """Money earned: cash, and all positions at their mids."""
        return sum(
            (Decimal(self.pnl_ticks(symbol)) * self.instrument(symbol).tick * self.instrument(symbol).lot for symbol in self.symbols), Decimal(0)
        )

    def open_orders(self, symbol: str | None = None, side: Side | None = None) -> list[OpenOrder]:
        """Its own orders that may still trade, oldest first; also those whose cancel is on its way."""
        wanted = symbol or self.symbol
        return [order for order in self.orders.values() if order.symbol == wanted and side in (None, order.side)]

    # What it does

    def limit(
        self,
        side: Side,
        price_ticks: int | None = None,
        lots: int = 1,
        *,
        price: Number | None = None,
        symbol: str | None = None,
        time_in_force: TimeInForce = TimeInForce.GTC,
        post_only: bool = False,
    ) -> int:
        """Send a limit order; returns its handle. `post_only`: where it would trade it slides one tick off the market. Raises PriceError."""
        instrument = self.instrument(symbol)
        if price_ticks is None:
            if price is None:
                raise ConfigError("a limit order needs price_ticks, or price= as a decimal")
            price_ticks = instrument.ticks(price)
        ticks = min(max(int(price_ticks), instrument.min_ticks), instrument.max_ticks)
        modifiers = int(Flag.POST_ONLY | Flag.SLIDE) if post_only else 0
        return self._enter(symbol, side, ticks, lots, OrderType.LIMIT, time_in_force, modifiers)

    def market(self, side: Side, lots: int = 1, *, symbol: str | None = None, worst_ticks: int | None = None) -> int:
        """Send a market order, which trades at `worst_ticks` or better, and is canceled for the rest; returns its handle."""
        modifiers = 0 if worst_ticks is None else int(Flag.PROTECTED)
        return self._enter(symbol, side, worst_ticks or 0, lots, OrderType.MARKET, TimeInForce.IOC, modifiers)

    def cancel(self, handle: int) -> None:
        """Ask to cancel an order; what is not open any more, or being canceled, is left alone."""
        order = self.orders.get(handle)
        if order is None or order.is_canceling:
            return
        order.is_canceling = True
        self.send((0, 0, handle, 0, 0, CommandKind.CANCEL, 0, 0, 0, 0, 0, self._number(order.symbol), 0, 0))

    def cancel_all(self, symbol: str | None = None, side: Side | None = None) -> None:
        """Ask to cancel what is open of one symbol."""
        for order in self.open_orders(symbol, side):
            self.cancel(order.handle)

    def replace(self, handle: int, price_ticks: int, lots: int, *, post_only: bool = False) -> None:
        """Ask for another price and another open quantity; what is not open any more, or being canceled, is left alone."""
        order = self.orders.get(handle)
        if order is None or order.is_canceling:
            return
        modifiers = int(Flag.REINSERT) | (int(Flag.POST_ONLY | Flag.SLIDE) if post_only else 0)
        number = self._number(order.symbol)
        self.send((0, 0, handle, price_ticks, lots, CommandKind.REPLACE, 0, 0, 0, SelfTradePrevention.CANCEL_RESTING, modifiers, number, 0, 0))

    def wake_in(self, seconds: float) -> None:
        """Call `on_market` so much later, whether or not anything moves; a later call takes the place of an earlier one."""
        self.wake_at(self.now_ns + int(seconds * 1e9))

    def wake_at(self, moment_ns: int) -> None:
        """Call `on_market` at that moment of `now_ns`; at the earliest a microsecond from now, so that time goes on."""
        self.wake_ns = max(moment_ns, self.now_ns + _SOON_NS)

    @property
    def seconds(self) -> float:
        """Since it began."""
        return (self.now_ns - self.start_ns) / 1e9

    # What its runner does

    def send(self, command: Command) -> None:
        """Send a COMMAND record as it is."""
        self._sent.append(command)

    def taken(self) -> list[Command]:
        """What was sent since the last call."""
        sent, self._sent = self._sent, []
        return sent

    def see(self, symbol: str, quote: Quote) -> None:
        """Prices have arrived."""
        self._quotes[symbol] = quote
        self.has_news = True

    def hear(self, report: Report, row: tuple[int, ...]) -> None:
        """A report has arrived."""
        if report.kind is EventKind.EXECUTED:
            fold_reports(self._ledger, np.array([row], REPORT))
        order = self.orders.get(report.client_order_id)
        if order is None:
            return
        if report.kind is EventKind.REJECTED:
            if not order.is_resting:
                del self.orders[order.handle]
            order.is_canceling = False
            return
        order.is_resting, order.lots = True, report.leaves_lots
        if report.kind is EventKind.REPLACED:
            order.price_ticks = report.price_ticks
        if not order.lots:
            del self.orders[order.handle]

    def _enter(self, symbol: str | None, side: Side, ticks: int, lots: int, order_type: int, time_in_force: int, modifiers: int) -> int:
        number = self._number(symbol)
        self._handle += 1
        self.orders[self._handle] = OpenOrder(self._handle, symbol or self.symbol, Side(side), ticks, int(lots))
        stp = SelfTradePrevention.CANCEL_RESTING
        self.send((0, 0, self._handle, ticks, int(lots), CommandKind.ENTER, side, order_type, time_in_force, stp, modifiers, number, 0, 0))
        return self._handle

    def _number(self, symbol: str | None) -> int:
        number = self._numbers.get(symbol or self.symbol)
        if number is None:
            raise UnknownSymbol(f"{symbol!r} cannot be traded here{nearest(str(symbol), self._numbers)}; known are {', '.join(self._numbers)}")
        return number

    def _price(self, ticks: int | None) -> Decimal | None:
        return None if ticks is None else self.instrument().price(ticks)

    def _holdings(self) -> np.ndarray:
        page = int(self._ledger.head["page"][0])
        instruments = len(self.instruments)
        holdings: np.ndarray = self._ledger.holdings[page * instruments : (page + 1) * instruments]
        assert holdings.dtype == HOLDING
        return holdings
