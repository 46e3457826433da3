"""What goes into the oracle and what comes out: tuples with the fields of LOG_RECORD, REPORT and EVENT, and what makes a command malformed."""

from __future__ import annotations

from typing import NamedTuple

from shm_exchange.domain.enums import Flag, OrderType, SelfTradePrevention, Side, TimeInForce
from shm_exchange.domain.limits import NAME_BYTES, PRICE_TICKS_MAX, QUANTITY_MAX

ALL_INSTRUMENTS = 0xFFFF
SIDES, TIMES_IN_FORCE, MODES = frozenset(Side), frozenset(TimeInForce), frozenset(SelfTradePrevention)


class Command(NamedTuple):
    """One record of the log. LOGON carries the session's name in the first two words after the number, the account's in the next two."""

    command_id: int
    order_id: int = 0
    client_order_id: int = 0
    price_ticks: int = 0
    quantity: int = 0
    kind: int = 0
    side: int = 0
    order_type: int = 0
    time_in_force: int = 0
    self_trade: int = 0
    modifiers: int = 0
    instrument: int = 0
    terms: int = 0
    time_ns: int = 0


class Report(NamedTuple):
    """What one session hears."""

    number: int
    order_id: int
    client_order_id: int
    cause_id: int
    price_ticks: int
    quantity: int
    leaves_quantity: int
    kind: int
    reason: int
    side: int
    role: int
    instrument: int
    account: int


class Event(NamedTuple):
    """What everybody hears."""

    number: int
    sequence: int
    time_ns: int
    order_id: int
    resting_order_id: int
    price_ticks: int
    quantity: int
    kind: int
    reason: int
    side: int
    order_type: int
    instrument: int
    account: int


class Outputs(NamedTuple):
    """What one call made known: reports of the sessions that got any, and events."""

    reports: dict[int, list[Report]]
    events: list[Event]


def _lacks_quantity(command: Command) -> bool:
    return not 1 <= command.quantity <= QUANTITY_MAX


def _beyond_any_price(command: Command) -> bool:
    return abs(command.price_ticks) > PRICE_TICKS_MAX


def _strange_self_trade(command: Command) -> bool:
    return command.self_trade not in MODES


def _bad_modifiers(command: Command, allowed: int) -> bool:
    slide_alone = command.modifiers & Flag.SLIDE and not command.modifiers & Flag.POST_ONLY
    return bool(command.modifiers & ~int(allowed) or slide_alone)


def names_nobody(command: Command) -> bool:
    """Neither an order id nor a client order id."""
    return command.order_id == 0 and command.client_order_id == 0


def priced(command: Command) -> bool:
    """An ENTER whose price means something: LIMIT, and MARKET with protection."""
    return command.order_type == OrderType.LIMIT or bool(command.modifiers & Flag.PROTECTED)


def malformed_enter(command: Command) -> bool:
    """No market could make sense of this ENTER."""
    if command.order_id or command.terms or command.side not in SIDES or command.time_in_force not in TIMES_IN_FORCE:
        return True
    if _strange_self_trade(command) or _lacks_quantity(command):
        return True
    gtc = command.time_in_force == TimeInForce.GTC
    if command.order_type == OrderType.LIMIT:
        if _bad_modifiers(command, Flag.POST_ONLY | Flag.SLIDE) or (command.modifiers & Flag.POST_ONLY and not gtc):
            return True
    elif command.order_type == OrderType.MARKET:
        if _bad_modifiers(command, Flag.PROTECTED) or gtc or (not priced(command) and command.price_ticks != 0):
            return True
    else:
        return True
    return priced(command) and _beyond_any_price(command)


def malformed_cancel(command: Command) -> bool:
    """A CANCEL names an order and nothing else."""
    return command.modifiers != 0 or command.terms != 0 or names_nobody(command)


def malformed_reduce(command: Command) -> bool:
    """A REDUCE is a CANCEL that says how much."""
    return malformed_cancel(command) or _lacks_quantity(command)


def malformed_replace(command: Command) -> bool:
    """A REPLACE names an order, and says everything that can change."""
    return (
        _bad_modifiers(command, Flag.REINSERT | Flag.POST_ONLY | Flag.SLIDE)
        or command.terms != 0
        or _strange_self_trade(command)
        or _lacks_quantity(command)
        or _beyond_any_price(command)
        or names_nobody(command)
    )


def malformed_mass_cancel(command: Command) -> bool:
    """A MASS_CANCEL may name a side; 0 is both."""
    return _bad_modifiers(command, Flag.ACCOUNT) or command.terms != 0 or command.side not in {0, *SIDES}


def malformed_logon(command: Command) -> bool:
    """A LOGON carries two names."""
    return command.terms != 0 or _bad_modifiers(command, Flag.CANCEL_ON_DISCONNECT) or not all(map(_is_name, logon_names(command)))


def malformed_logoff(command: Command) -> bool:
    """A LOGOFF carries nothing, and a DISCONNECT neither."""
    return command.terms != 0 or command.modifiers != 0


def logon_names(command: Command) -> tuple[bytes, bytes]:
    """The bytes of the session's and of the account's name."""
    words = (command.order_id, command.client_order_id, command.price_ticks, command.quantity)
    low, high, account_low, account_high = ((word % 2**64).to_bytes(8, "little") for word in words)
    return low + high, account_low + account_high


def _is_name(raw: bytes) -> bool:
    """1 to 16 bytes in '!' … '~', then zeros."""
    name = raw.rstrip(b"\0")
    return 1 <= len(name) <= NAME_BYTES and all(ord("!") <= byte <= ord("~") for byte in name)
