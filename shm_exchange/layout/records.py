"""The 64-byte records that travel: one cache line each, so that one message moves one line.

    COMMAND     gateway → matcher, in a lane. `number` is the lane position, stored last (release): a slot carries it, or it was never submitted.
    LOG_RECORD  the same bytes in the log: `number` has become `command_id`, and the matcher has stamped the sequenced time.
    COMMAND_WORDS  a COMMAND as eight plain words.
    LOGON       how LOGON reads the words of a COMMAND: names take the place of order words.
    REPORT      matcher → one gateway.
    EVENT       matcher → everybody.

Prices are ticks, quantities lots, `order_id` = lane << 40 | position of the ENTER command.
"""

from __future__ import annotations

import numpy as np

from shm_exchange.domain.limits import CACHE_LINE

_KINDS = [
    ("kind", "u1"),  # CommandKind
    ("side", "u1"),  # Side; MASS_CANCEL: 0 = both
    ("order_type", "u1"),  # OrderType
    ("time_in_force", "u1"),  # TimeInForce
    ("self_trade", "u1"),  # SelfTradePrevention
    ("modifiers", "u1"),  # Flag bits
    ("instrument", "u2"),  # index; MASS_CANCEL: ALL_INSTRUMENTS = every one
]
_BODY = [
    ("order_id", "i8"),  # CANCEL, REDUCE, REPLACE: the target; 0 = by client_order_id
    ("client_order_id", "u8"),  # ENTER: the client's own id (0 = none); else the target when order_id is 0
    ("price_ticks", "i8"),
    ("quantity", "i8"),  # lots; REDUCE: by how much
    *_KINDS,
    ("terms", "i8"),  # 0; TERMS slots for rare order types will be announced here
    ("time_ns", "i8"),  # 0 in a lane; in the log: sequenced time, ns since 1970, never backwards
]

COMMAND = np.dtype([("number", "i8"), *_BODY])
LOG_RECORD = np.dtype([("command_id", "i8"), *_BODY])
LOGON = np.dtype(
    [
        ("number", "i8"),
        ("session_low", "i8"),
        ("session_high", "i8"),
        ("account_low", "i8"),
        ("account_high", "i8"),
        *_KINDS,
        ("terms", "i8"),
        ("time_ns", "i8"),
    ]
)
COMMAND_WORDS = np.dtype(
    [
        ("number", "i8"),
        ("order_id", "i8"),
        ("client_order_id", "u8"),
        ("price_ticks", "i8"),
        ("quantity", "i8"),
        ("kinds", "i8"),  # all one-byte fields and the instrument in one word: see kinds_word
        ("terms", "i8"),
        ("time_ns", "i8"),
    ]
)
"""A COMMAND as eight words, for those who must move each of them exactly once: submit, and the sweep of bytes that may be hostile."""


REPORT = np.dtype(
    [
        ("number", "i8"),  # per session, from 1, gapless
        ("order_id", "i8"),
        ("client_order_id", "u8"),
        ("cause_id", "i8"),  # EXECUTED: the match id (number of the EXECUTED event); else the id of the command that caused this
        ("price_ticks", "i8"),  # EXECUTED: the trade price; else the order's
        ("quantity", "i8"),  # EXECUTED: of this fill; ACCEPTED, REPLACED: now open; CANCELED, REDUCED: taken away; MASS_CANCELED: orders
        ("leaves_quantity", "i8"),  # still open afterwards
        ("kind", "u1"),  # EventKind
        ("reason", "u1"),  # RejectReason or CancelReason
        ("side", "u1"),
        ("role", "u1"),  # EXECUTED: Role
        ("instrument", "u2"),
        ("account", "u2"),
    ]
)
EVENT = np.dtype(
    [
        ("number", "i8"),  # from 1, gapless
        ("sequence", "i8"),  # log number of the command: events of one command share it
        ("time_ns", "i8"),  # sequenced time
        ("order_id", "i8"),  # EXECUTED: the incoming order
        ("resting_order_id", "i8"),  # EXECUTED: the resting order
        ("price_ticks", "i8"),
        ("quantity", "i8"),  # as in REPORT
        ("kind", "u1"),
        ("reason", "u1"),
        ("side", "u1"),  # of `order_id`
        ("order_type", "u1"),  # ACCEPTED: OrderType
        ("instrument", "u2"),
        ("account", "u2"),  # of `order_id`
    ]
)

ALL_INSTRUMENTS = 0xFFFF


def kinds_word(**values: int) -> int:
    """The `kinds` word of COMMAND_WORDS with the named one-byte fields (and `instrument`) set; made for being or-ed together."""
    record = np.zeros(1, COMMAND)
    for name, value in values.items():
        record[name] = value
    return int(record.view(COMMAND_WORDS)["kinds"][0])


for _dtype in (COMMAND_WORDS, COMMAND, LOG_RECORD, LOGON, REPORT, EVENT):
    assert _dtype.itemsize == CACHE_LINE, _dtype


def _offset(dtype: np.dtype[np.void], name: str) -> int:
    fields = dtype.fields
    assert fields is not None
    return fields[name][1]


assert all(_offset(COMMAND, "kind" if name == "kinds" else name) == _offset(COMMAND_WORDS, name) for name in COMMAND_WORDS.names or ())
