"""The numbers on the wire, each with its word. Numbers are explicit and append-only; 0 is never valid, so zeroed memory is never a command."""

from __future__ import annotations

from enum import IntEnum, IntFlag


class Side(IntEnum):
    """FIX Side (54)."""

    BUY = 1
    SELL = 2


class CommandKind(IntEnum):
    """What is asked for. LOGON and LOGOFF make accounts and sessions part of the log; the last two no gateway sends of its own will."""

    ENTER = 1
    CANCEL = 2
    REDUCE = 3
    REPLACE = 4
    MASS_CANCEL = 5
    LOGON = 6
    LOGOFF = 7
    DISCONNECT = 8
    """The session's process died: whoever takes its lock appends this, behind everything of the dead and before everything of a new owner."""
    ADMIT = 9
    """By the matcher itself, in lane 0: `quantity` is the Admission that its keeper's disk allows from here on."""


class Admission(IntEnum):
    """What the exchange takes in. It is part of the log (ADMIT), so a replay refuses what was refused."""

    ALL = 1
    REDUCING = 2
    """The disk of the journal is nearly full: what is left of it is kept for commands that can only lower what is open."""
    NONE = 3
    """Nothing can be written any more: the log ring fills, then the lanes, and gateways are told that they are full."""


class JournalMode(IntEnum):
    """What the journal promises about a command that was reported accepted."""

    OFF = 1
    """No files. A matcher that dies can be rebuilt while the log ring still holds everything."""
    ASYNC = 2
    """It survives every kill -9; after a power loss the newest commands may be gone."""
    GROUP = 3
    """It survives a power loss: reports wait until their commands are on the disk, many commands a write."""
    SYNC = 4
    """As GROUP, with a write of its own for whatever has come, at once."""


class OrderType(IntEnum):
    """FIX OrdType (40)."""

    LIMIT = 1
    MARKET = 2


class TimeInForce(IntEnum):
    """FIX TimeInForce (59)."""

    GTC = 1
    IOC = 2
    FOK = 3


class SelfTradePrevention(IntEnum):
    """What happens where an incoming order meets a resting one of its own account. The incoming order's mode decides (Binance STP, CME SMP)."""

    NONE = 1
    CANCEL_INCOMING = 2
    CANCEL_RESTING = 3
    CANCEL_BOTH = 4
    DECREMENT = 5


class Flag(IntFlag):
    """Modifiers of a command; which command may carry which stands in `engine.validate`."""

    POST_ONLY = 1
    """ENTER, REPLACE: never trade as incoming; reject instead."""
    SLIDE = 2
    """With POST_ONLY: move one tick off the market instead of rejecting."""
    PROTECTED = 4
    """ENTER MARKET: `price_ticks` is the worst acceptable price."""
    REINSERT = 8
    """REPLACE: `quantity` is the new open quantity and the place is always lost (without it, `quantity` is the TOTAL and counts what is filled)."""
    ACCOUNT = 16
    """MASS_CANCEL: all sessions of my account, not only this session."""
    CANCEL_ON_DISCONNECT = 32
    """LOGON: cancel the session's orders when its process dies."""


class EventKind(IntEnum):
    """What happened, in reports (to one session) and in events (to everybody)."""

    ACCEPTED = 1
    EXECUTED = 2
    CANCELED = 3
    REDUCED = 4
    REPLACED = 5
    REJECTED = 6
    MASS_CANCELED = 7
    LOGGED_ON = 8
    LOGGED_OFF = 9
    DISCONNECTED = 10


class Role(IntEnum):
    """Whose part of a match a report tells: the order that rested, or the one that came in."""

    RESTING = 1
    INCOMING = 2


class RejectReason(IntEnum):
    """Why a command was refused, in order of precedence: the first that applies is the one reported. Gaps leave room for later rules."""

    NOT_LOGGED_ON = 10
    UNKNOWN_INSTRUMENT = 20
    REDUCING_ONLY = 30
    MALFORMED = 40
    PRICE_OUTSIDE_BAND = 60
    NOTIONAL_TOO_LARGE = 70
    DUPLICATE_CLIENT_ORDER_ID = 80
    UNKNOWN_ORDER = 90
    NOT_YOUR_ORDER = 100
    ACCOUNT_IN_USE = 105
    POST_ONLY_WOULD_TRADE = 110
    FILL_OR_KILL_CANNOT_FILL = 120
    SESSION_ORDERS_FULL = 130
    BOOK_FULL = 140
    SESSION_PAGES_FULL = 150
    LADDER_FULL = 160
    ACCOUNTS_FULL = 170


class CancelReason(IntEnum):
    """Why quantity was canceled or reduced."""

    USER = 1
    IOC_REST = 2
    MARKET_REST = 3
    SELF_TRADE = 4
    MASS = 5
    REPLACE_BELOW_FILLED = 6
    DISCONNECTED = 7


class Place(IntEnum):
    """REPLACED: whether the order kept its place in the queue (the `reason` of the report and event)."""

    KEPT = 1
    LOST = 2


Reason = RejectReason | CancelReason | Place | None
"""The word for a report's or an event's `reason`."""

REASONS: dict[EventKind, type[RejectReason | CancelReason | Place]] = {
    EventKind.REJECTED: RejectReason,
    EventKind.CANCELED: CancelReason,
    EventKind.REDUCED: CancelReason,
    EventKind.REPLACED: Place,
}
"""Which words the `reason` of a report or an event is taken from: that depends on what happened. Elsewhere it is 0."""


def reason_of(kind: EventKind, number: int) -> Reason:
    """The word for a reason; None where there is none."""
    words = REASONS.get(kind)
    return words(number) if words is not None and number else None
