"""Seeded order flow: every kind of command, sensible and hostile, aimed at the orders that are open so that the book stays full and trades.

The flow runs an oracle of its own beside it and looks at its open orders; the same seed and profile give the same log, byte by byte.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np

from shm_exchange.domain.config import ExchangeConfig
from shm_exchange.domain.enums import Admission, CommandKind, Flag, OrderType, SelfTradePrevention, Side, TimeInForce
from shm_exchange.domain.instrument import Instrument
from shm_exchange.domain.limits import POSITION_BITS, PRICE_TICKS_MAX, QUANTITY_MAX
from shm_exchange.domain.names import name_words
from shm_exchange.layout.records import LOG_RECORD
from tests.oracle.messages import ALL_INSTRUMENTS, Command
from tests.oracle.naive_book import Order
from tests.oracle.naive_exchange import MATCHER, NaiveExchange

DENSE, WIDE, SPARSE = 0, 1, 2
INSTRUMENTS = (
    Instrument("DENSE", tick_size="1", max_price="2000"),
    Instrument("WIDE", tick_size="1"),
    Instrument("SPARSE", tick_size="1", min_price=str(-PRICE_TICKS_MAX)),
)
HOSTILE = (0, -1, 1, 2000, 2001, PRICE_TICKS_MAX, PRICE_TICKS_MAX + 1, -PRICE_TICKS_MAX, QUANTITY_MAX, QUANTITY_MAX + 1, 2**62, 2**63 - 1, -(2**63))
SMALL_FIELDS = ("kind", "side", "order_type", "time_in_force", "self_trade", "modifiers")
WIDE_FIELDS = ("order_id", "price_ticks", "quantity", "terms")


def _config(**sizes: int) -> ExchangeConfig:
    return ExchangeConfig(name="flow", instruments=INSTRUMENTS, report_capacity=4096, event_capacity=4096, **sizes)


@dataclass(frozen=True)
class Profile:
    """What a flow is like."""

    config: ExchangeConfig
    open_orders: int  # about so many rest
    accounts: int = 5
    restless: float = 0.005  # so many commands are about sessions
    instruments: tuple[int, ...] = (DENSE, DENSE, WIDE, SPARSE)  # drawn from


MARKET = Profile(_config(max_sessions=7, max_orders=1024, max_pages=1024, session_pages=300, session_orders=400), open_orders=600)
TIGHT = Profile(_config(max_sessions=7, max_orders=60, max_pages=20, session_pages=6, session_orders=14), open_orders=75)
CROWDED = Profile(
    _config(max_sessions=2, max_orders=40, max_pages=256, session_pages=200, session_orders=30), open_orders=20, accounts=100, restless=0.02
)
FAR = Profile(_config(max_sessions=5, max_orders=512, max_pages=400, session_pages=100), open_orders=400, instruments=(SPARSE,))
PROFILES = {"market": MARKET, "tight": TIGHT, "crowded": CROWDED, "far": FAR}


class Flow:
    """Draws one command after the other; `exchange` is the oracle that has already handled them."""

    def __init__(self, seed: int, profile: Profile) -> None:
        self.random = random.Random(seed)
        self.profile = profile
        self.exchange = NaiveExchange(profile.config)
        self.positions = dict.fromkeys(self.exchange.sessions, 0)
        self.time_ns = 1_700_000_000_000_000_000
        self.mids = [1000, 1_000_000, 0]
        self.entered: list[int] = []
        self.pending: list[Command] = []

    def next(self) -> Command:
        """The next command, as the log has it."""
        command = self.pending.pop() if self.pending else self._draw()
        session = command.command_id
        position = self.exchange.sequence + 1
        if session:
            self.positions[session] += 1
            position = self.positions[session]
        self.time_ns += self.random.randrange(3)
        late = self.random.randrange(1, 1000) if self.random.random() < 0.05 else 0
        command = command._replace(command_id=session << POSITION_BITS | position, time_ns=self.time_ns - late)
        if command.kind == CommandKind.ENTER:
            self.entered.append(command.command_id)
        self.exchange.handle(command)
        return command

    def _draw(self) -> Command:
        """A command of some session, whose number stands in for the command's id until it is sent."""
        if self.random.random() < 0.03:
            return self._hostile()
        admission = self.exchange.admission
        if self.random.random() < (0.001 if admission == Admission.ALL else 0.05):
            wanted = self.random.choice((Admission.REDUCING, Admission.NONE)) if admission == Admission.ALL else Admission.ALL
            return Command(MATCHER, kind=CommandKind.ADMIT, quantity=self.random.choice((wanted, wanted, *HOSTILE)))
        session = self.random.randint(1, len(self.positions))
        if not self.exchange.sessions[session].logged_on and self.random.random() < 0.6:
            return self._logon(session)
        fullness = len(self.exchange.orders) / self.profile.open_orders
        draw = self.random.random()
        if draw < self.profile.restless:
            return self._session_command(session)
        if draw < 0.5 + 0.45 * (1 - fullness):
            return self._enter(session, aggressive=self.random.random() < 0.5 * fullness)
        return self._aimed()

    # -- new orders

    def _enter(self, session: int, *, aggressive: bool) -> Command:
        draw, instrument, side = self.random.random(), self.random.choice(self.profile.instruments), self.random.randint(1, 2)
        command = Command(
            session,
            client_order_id=self._client_order_id(),
            price_ticks=self._price(instrument, side, aggressive=aggressive),
            quantity=self._quantity(),
            kind=CommandKind.ENTER,
            side=side,
            order_type=OrderType.LIMIT,
            time_in_force=TimeInForce.GTC,
            self_trade=self._mode(),
            instrument=instrument,
        )
        if draw < 0.10:
            slide = Flag.SLIDE if self.random.random() < 0.5 else 0
            return command._replace(modifiers=int(Flag.POST_ONLY | slide))
        if not aggressive:
            return command
        if self.random.random() < 0.3:
            command = command._replace(quantity=command.quantity % 1000 * self.random.randint(1, 10) + 1)
        if draw < 0.45:
            return command._replace(time_in_force=self.random.choice((TimeInForce.IOC, TimeInForce.FOK)))
        if draw < 0.65:
            market = command._replace(order_type=OrderType.MARKET, time_in_force=self.random.choice((TimeInForce.IOC, TimeInForce.FOK)))
            return market._replace(modifiers=int(Flag.PROTECTED)) if self.random.random() < 0.6 else market._replace(price_ticks=0)
        return command

    def _price(self, instrument: int, side: int, *, aggressive: bool) -> int:
        if self.random.random() < 0.01:
            return self.random.choice(HOSTILE)
        if self.random.random() < 0.1:
            self.mids[instrument] += self.random.randint(-5, 5) if instrument != SPARSE else self.random.randint(-(2**20), 2**20)
            self.mids[DENSE] = min(max(self.mids[DENSE], 100), 1900)
        reach = {DENSE: 5.0, WIDE: 12.0, SPARSE: 51.0}[instrument]
        distance = int(2 ** (self.random.random() * reach)) - 2
        worse = (side == Side.BUY) != aggressive
        return self.mids[instrument] - distance if worse else self.mids[instrument] + distance

    def _quantity(self) -> int:
        draw = self.random.random()
        if draw < 0.01:
            return self.random.choice(HOSTILE)
        return self.random.randint(1, 10) if draw < 0.5 else self.random.randint(1, 100) if draw < 0.97 else self.random.randint(1, 5000)

    def _client_order_id(self) -> int:
        draw = self.random.random()
        return 0 if draw < 0.15 else self.random.randrange(2**64) if draw < 0.2 else self.random.randint(1, 400)

    def _mode(self) -> int:
        return self.random.choice((*SelfTradePrevention, SelfTradePrevention.NONE))

    # -- commands about orders

    def _aimed(self) -> Command:
        """CANCEL, REDUCE or REPLACE of an open order, mostly by its owner; sometimes of one that is gone or never was."""
        orders = list(self.exchange.orders.values())
        if not orders or not self.entered:
            return self._enter(1, aggressive=False)
        order = self._first_in_queue() if self.random.random() < 0.25 else self.random.choice(orders)
        session, draw = order.session.number, self.random.random()
        if draw < 0.05:
            session = self.random.randint(1, len(self.positions))
        command = Command(session, order_id=order.order_id, client_order_id=self._client_order_id())
        if 0.05 < draw < 0.4:
            command = command._replace(order_id=0, client_order_id=order.client_order_id)
        elif draw > 0.93:
            gone = self.random.choice(self.entered[-100:])
            command = command._replace(order_id=gone if self.random.random() < 0.7 else self.random.choice(HOSTILE))
        kind = self.random.random()
        if kind < 0.3:
            return command._replace(kind=CommandKind.CANCEL)
        if kind < 0.5:
            by = order.leaves if self.random.random() < 0.1 else self._quantity()
            return command._replace(kind=CommandKind.REDUCE, quantity=by)
        return self._replace(command, order)

    def _first_in_queue(self) -> Order:
        """One that trades next, and may be filled in part."""
        return self.random.choice([book[max(book) if side == Side.BUY else min(book)][0] for (_, side), book in self.exchange.books.items() if book])

    def _replace(self, command: Command, order: Order) -> Command:
        aggressive, draw = self.random.random() < 0.15, self.random.random()
        price = order.price if self.random.random() < 0.4 else self._price(order.instrument, order.side, aggressive=aggressive)
        reinsert = self.random.random() < 0.4
        change = self.random.choice((0, -order.leaves, -order.leaves - 1, self.random.randint(-20, 20)))
        total = max(1, order.filled + order.leaves + change)
        modifiers = Flag.REINSERT if reinsert else Flag(0)
        if draw < 0.3:
            modifiers |= Flag.POST_ONLY if draw < 0.15 else Flag.POST_ONLY | Flag.SLIDE
        quantity = self._quantity() if reinsert else total
        new = command._replace(kind=CommandKind.REPLACE, price_ticks=price, quantity=quantity, self_trade=self._mode())
        return new._replace(modifiers=int(modifiers))

    # -- sessions

    def _session_command(self, session: int) -> Command:
        draw = self.random.random()
        if draw < 0.15:
            return Command(session, kind=CommandKind.LOGOFF)
        if draw < 0.35:
            return Command(session, kind=CommandKind.DISCONNECT)
        if draw < 0.65:
            return self._mass_cancel(session)
        if draw < 0.78:
            self.pending.append(self._logon(session, move=True))
            return Command(session, kind=CommandKind.MASS_CANCEL, instrument=ALL_INSTRUMENTS)
        return self._logon(session, move=self.random.random() < 0.5)

    def _mass_cancel(self, session: int) -> Command:
        instrument = self.random.choice((*(DENSE, WIDE, SPARSE) * 3, ALL_INSTRUMENTS))
        modifiers = self.random.choice((0, 0, int(Flag.ACCOUNT)))
        side, word = self.random.randint(0, 2), self._client_order_id()
        return Command(session, client_order_id=word, kind=CommandKind.MASS_CANCEL, side=side, modifiers=modifiers, instrument=instrument)

    def _logon(self, session: int, *, move: bool = False) -> Command:
        name = f"account-of-{session % self.profile.accounts}"
        account = self.exchange.sessions[session].account
        if move:
            name = f"account-of-{self.random.randrange(self.profile.accounts)}"
        elif account:
            name = next(known.decode() for known, number in self.exchange.accounts.items() if number == account).rstrip("\0")
        cancels = Flag.CANCEL_ON_DISCONNECT if self.random.random() < 0.5 else 0
        return Command(session, *name_words(f"session-{session}"), *name_words(name), kind=CommandKind.LOGON, modifiers=int(cancels))

    # -- nonsense

    def _hostile(self) -> Command:
        """Any bytes, or a sensible command with one field spoilt."""
        session, draw = self.random.randint(1, len(self.positions)), self.random.random()
        if draw < 0.1:
            noise = np.frombuffer(self.random.randbytes(LOG_RECORD.itemsize), LOG_RECORD).tolist()[0]
            return Command._make(noise)._replace(command_id=session, kind=self.random.randint(0, 11))
        drawn = (self._enter(session, aggressive=True), self._aimed(), self._mass_cancel(session), self._logon(session))
        command = self.random.choice((*drawn, Command(session, kind=CommandKind.LOGOFF)))
        if draw < 0.5:
            return command._replace(**{self.random.choice(SMALL_FIELDS): self.random.choice((*range(8), self.random.randrange(256)))})
        if draw < 0.6:
            return command._replace(instrument=self.random.choice((3, 4, 4096, ALL_INSTRUMENTS)))
        return command._replace(**{self.random.choice(WIDE_FIELDS): self.random.choice(HOSTILE)})


def flow(seed: int, count: int, profile: Profile = MARKET) -> np.ndarray:
    """A log of `count` LOG_RECORDs."""
    source = Flow(seed, profile)
    return as_records([source.next() for _ in range(count)])


def as_records(commands: list[Command]) -> np.ndarray:
    """Commands as LOG_RECORDs."""
    return np.array(commands, LOG_RECORD)
