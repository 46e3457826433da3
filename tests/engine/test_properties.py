"""Short logs of any commands, shrunk to the smallest on which engine and oracle differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from shm_exchange.domain.config import ExchangeConfig
from shm_exchange.domain.enums import Admission, CommandKind, Flag, OrderType, SelfTradePrevention, Side, TimeInForce
from shm_exchange.domain.instrument import Instrument
from shm_exchange.domain.limits import PRICE_TICKS_MAX, QUANTITY_MAX
from shm_exchange.domain.names import name_words
from tests.engine.implementations import FastExchange, books
from tests.engine.ledger import Ledger
from tests.oracle.messages import ALL_INSTRUMENTS, Command
from tests.oracle.naive_exchange import MATCHER, NaiveExchange

SESSIONS = 3
KEEP = -77  # a price that means: the one it has
INSTRUMENTS = (
    Instrument("NEAR", tick_size="1", max_price="300"),
    Instrument("FAR", tick_size="1", min_price=str(-PRICE_TICKS_MAX)),
)
EDGES = (0, -1, 2**52, 2**53, 2**62, 2**63 - 1, -(2**63), PRICE_TICKS_MAX, -PRICE_TICKS_MAX, QUANTITY_MAX, QUANTITY_MAX + 1)


def command_of(**fields: st.SearchStrategy[int]) -> st.SearchStrategy[Command]:
    """A command of these fields; the session's number stands in for its id."""
    return st.fixed_dictionaries(fields).map(lambda drawn: Command(**drawn))


def mostly(*weighted: tuple[int, st.SearchStrategy[Any]]) -> st.SearchStrategy[Any]:
    """One of these, so often."""
    return st.sampled_from([strategy for weight, strategy in weighted for _ in range(weight)]).flatmap(lambda strategy: strategy)


sessions = st.integers(1, SESSIONS)
instruments = st.sampled_from((0,) * 24 + (1, 1, 1, 2, ALL_INSTRUMENTS))
edges = st.sampled_from(EDGES)
near, small = st.integers(99, 101), st.integers(1, 9)
prices = mostly((14, near), (2, st.integers(60, 70)), (1, st.integers(1, 300)), (1, edges))
quantities = mostly((20, small), (1, edges))
client_order_ids = st.sampled_from((0, 1, 2, 3, 4, 5, 2**64 - 1))
modes = st.sampled_from((*SelfTradePrevention, SelfTradePrevention.NONE) * 4 + (0, 6))
modifiers = st.sampled_from((0,) * 20 + (1, 2, 3, 4, 16, 32, 255))
replace_modifiers = st.sampled_from((0,) * 8 + (Flag.REINSERT,) * 8 + (1, 3, 9, 11, 2, 4, 16))

enters = command_of(
    command_id=sessions,
    client_order_id=client_order_ids,
    price_ticks=prices,
    quantity=quantities,
    kind=st.just(CommandKind.ENTER),
    side=st.sampled_from(Side),
    order_type=st.just(OrderType.LIMIT),
    time_in_force=st.sampled_from((*(TimeInForce.GTC,) * 6, TimeInForce.IOC, TimeInForce.FOK, TimeInForce.FOK)),
    self_trade=modes,
    modifiers=modifiers,
    instrument=instruments,
)
markets = command_of(
    command_id=sessions,
    quantity=quantities,
    kind=st.just(CommandKind.ENTER),
    side=st.sampled_from(Side),
    order_type=st.just(OrderType.MARKET),
    time_in_force=st.sampled_from((TimeInForce.IOC, TimeInForce.FOK)),
    self_trade=modes,
    instrument=instruments,
)
protected = st.tuples(markets, prices).map(lambda drawn: drawn[0]._replace(price_ticks=drawn[1], modifiers=int(Flag.PROTECTED)))
mass_cancels = command_of(
    command_id=sessions, kind=st.just(CommandKind.MASS_CANCEL), side=st.integers(0, 3), modifiers=modifiers, instrument=instruments
)
logoffs = command_of(command_id=sessions, kind=st.just(CommandKind.LOGOFF))
disconnects = command_of(command_id=sessions, kind=st.just(CommandKind.DISCONNECT), modifiers=st.sampled_from((0,) * 9 + (1,)))
admits = command_of(
    command_id=st.just(MATCHER),
    kind=st.just(CommandKind.ADMIT),
    quantity=mostly((4, st.just(Admission.ALL)), (2, st.sampled_from(Admission)), (1, edges)),
)


@st.composite
def logons(draw: st.DrawFn) -> Command:
    account, names = draw(st.integers(1, 14)), name_words("session")
    modifiers = draw(st.sampled_from((0, int(Flag.CANCEL_ON_DISCONNECT))))
    return Command(draw(sessions), *names, *name_words(f"account-{account}"), kind=CommandKind.LOGON, modifiers=modifiers)


@dataclass(frozen=True)
class Aimed:
    """A command about an order: which one is known when it is its turn."""

    command: Command
    which: int
    how: str
    sender: int  # 0: the owner

    def resolve(self, exchange: NaiveExchange, entered: list[int]) -> Command:
        """With the order's ids, and its price where none was drawn."""
        everything = list(exchange.orders.values())
        if not everything:
            return self.command._replace(command_id=self.sender or 1, order_id=self.which)
        order = everything[self.which % len(everything)]
        command = self.command._replace(command_id=self.sender or order.session.number, order_id=order.order_id)
        if command.price_ticks == KEEP:
            command = command._replace(price_ticks=order.price)
        if self.how == "by client id":
            return command._replace(order_id=0, client_order_id=order.client_order_id)
        if self.how == "gone":
            gone = entered[self.which % len(entered)]
            return command._replace(command_id=gone >> 40, order_id=gone)
        return command if self.how == "by id" else command._replace(order_id=self.which)


def aimed(**fields: st.SearchStrategy[int]) -> st.SearchStrategy[Aimed]:
    hows = st.sampled_from(("by id", "by id", "by id", "by client id", "by client id", "gone", "raw"))
    return st.builds(
        Aimed, command_of(command_id=sessions, **fields), mostly((9, st.integers(0, 9)), (1, edges)), hows, st.sampled_from((0,) * 9 + (1, 2))
    )


cancels = aimed(kind=st.just(CommandKind.CANCEL))
reduces = aimed(kind=st.just(CommandKind.REDUCE), quantity=quantities)
replaces = aimed(
    kind=st.just(CommandKind.REPLACE),
    price_ticks=mostly((3, prices), (1, st.just(KEEP))),
    quantity=quantities,
    self_trade=modes,
    modifiers=replace_modifiers,
)
anything = command_of(
    command_id=sessions,
    order_id=edges,
    client_order_id=client_order_ids,
    price_ticks=prices,
    quantity=quantities,
    **dict.fromkeys(("kind", "side", "order_type", "time_in_force", "self_trade", "modifiers"), st.integers(0, 255)),
    instrument=instruments,
    terms=st.sampled_from((0, 0, 1, -1)),
)
rare = st.one_of(mass_cancels, logons(), logoffs, disconnects, admits, anything)
commands = mostly((24, enters), (1, markets), (1, protected), (5, cancels), (3, reduces), (9, replaces), (2, rare))
logs = st.lists(st.lists(commands, min_size=1, max_size=10), max_size=10)
"""Lists of lists are longer on average than lists, and shrink as well."""
SIZES = (
    {"max_orders": 128, "session_orders": 100, "max_pages": 64, "session_pages": 40},
    {"max_orders": 128, "session_orders": 100, "max_pages": 5, "session_pages": 3},
    {"max_orders": 6, "session_orders": 4, "max_pages": 64, "session_pages": 40},
)
RINGS = {"report_capacity": 512, "event_capacity": 512, "log_capacity": 128}
configs = st.sampled_from([ExchangeConfig("property", INSTRUMENTS, max_sessions=SESSIONS, **sizes, **RINGS) for sizes in SIZES])
"""With room, and so small that everything runs out."""


class Log:
    """Numbers the commands as lanes and the sequencer do. Everybody logs on first; two of three sessions trade for one account."""

    def __init__(self) -> None:
        self.positions = dict.fromkeys(range(1, SESSIONS + 1), 0)
        self.entered: list[int] = []
        self.length = 0

    def logons(self) -> list[Command]:
        return [Command(s, *name_words("session"), *name_words(f"account-{(s + 1) // 2}"), kind=CommandKind.LOGON) for s in self.positions]

    def number(self, command: Command) -> Command:
        session = command.command_id
        position = self.length
        if session != MATCHER:
            self.positions[session] += 1
            position = self.positions[session]
        self.length += 1
        command = command._replace(command_id=session << 40 | position, time_ns=self.length * 7 % 50)
        if command.kind == CommandKind.ENTER:
            self.entered.append(command.command_id)
        return command


@settings(derandomize=True)
@given(configs, logs)
def test_engine_and_oracle_never_differ(config: ExchangeConfig, drawn: list[list[Command | Aimed]]) -> None:
    oracle, engine, ledger, log = NaiveExchange(config), FastExchange(config), Ledger(), Log()
    for one in [*log.logons(), *(one for some in drawn for one in some)]:
        command = log.number(one.resolve(oracle, log.entered) if isinstance(one, Aimed) else one)
        expected = oracle.apply([command])
        assert engine.apply([command]) == expected
        ledger.check(command, expected)
    assert books(engine, len(INSTRUMENTS)) == books(oracle, len(INSTRUMENTS))
