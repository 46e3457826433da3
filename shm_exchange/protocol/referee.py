"""The public referee's file form `orders_*.bin`: a 16-byte header, then MESSAGE records; little-endian throughout.

Read strictly: a file that is cut short, or that means something else, is refused before anything is done with it.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from shm_exchange.domain.enums import CommandKind, Flag, OrderType, SelfTradePrevention, Side, TimeInForce
from shm_exchange.domain.errors import ConfigError
from shm_exchange.domain.instrument import Instrument
from shm_exchange.protocol.flow import Flow, Records, new_commands

TICK = "0.005"
"""Of the instrument that the referee's prices are counted in."""


class MessageKind(IntEnum):
    """First byte of a message."""

    NEW = 0
    CANCEL = 1
    MODIFY = 2


class MessageSide(IntEnum):
    """Second byte of a message."""

    BUY = 0
    SELL = 1


MESSAGE = np.dtype(
    [
        ("kind", "u1"),  # MessageKind
        ("side", "u1"),  # MessageSide
        ("ioc", "u1"),  # NEW: 1 = immediate or cancel
        ("_zero_byte", "u1"),
        ("quantity", "u4"),  # CANCEL: 0
        ("sequence", "u8"),  # 0-based position in the flow
        ("order_id", "u8"),
        ("price_ticks", "i8"),  # CANCEL: 0
        ("_zero_word", "i8"),
    ]
)
"""One record of the referee's file form."""
HEADER = np.dtype([("magic", "<u8"), ("version", "<u4"), ("count", "<u4")])
MAGIC = 0x4D4542575F303031
VERSION = 1


def is_orders(content: bytes) -> bool:
    """Whether a file begins as one of these does."""
    return content[:8] == MAGIC.to_bytes(8, "little")


def encode_orders(messages: Records) -> bytes:
    """The file that the referee's generator would write of `messages`."""
    header = np.zeros(1, HEADER)
    header["magic"] = MAGIC
    header["version"] = VERSION
    header["count"] = len(messages)
    return header.tobytes() + np.ascontiguousarray(messages, MESSAGE).tobytes()


def decode_orders(content: bytes, name: str) -> Records:
    """The messages of a file, checked. Raises ConfigError, which says `name`."""
    if len(content) < HEADER.itemsize:
        raise _refused(name, f"{len(content)} bytes are less than its header of {HEADER.itemsize}")
    header = np.frombuffer(content, HEADER, count=1)[0]
    if header["magic"] != MAGIC:
        raise _refused(name, f"it starts with {int(header['magic']):#x}, not {MAGIC:#x}")
    if header["version"] != VERSION:
        raise _refused(name, f"it has version {header['version']}, and {VERSION} is the one known")
    wanted = HEADER.itemsize + int(header["count"]) * MESSAGE.itemsize
    if len(content) != wanted:
        raise _refused(name, f"{header['count']} messages need {wanted} bytes and it has {len(content)}")
    messages = np.frombuffer(content, MESSAGE, offset=HEADER.itemsize).copy()
    _check_messages(name, messages)
    return messages


def orders_flow(messages: Records, index: int, session: str, instruments: tuple[Instrument, ...]) -> Flow:
    """One command for each message: NEW enters, MODIFY replaces and loses its place, all under the file's own ids. The form tells no times.

    The prices are ticks of instrument number `index` of the exchange's.
    """
    commands = new_commands(len(messages))
    new, modify = messages["kind"] == MessageKind.NEW, messages["kind"] == MessageKind.MODIFY
    priced = new | modify
    commands["kind"] = np.array([CommandKind.ENTER, CommandKind.CANCEL, CommandKind.REPLACE])[messages["kind"]]
    commands["client_order_id"] = messages["order_id"]
    commands["price_ticks"][priced] = messages["price_ticks"][priced]
    commands["quantity"][priced] = messages["quantity"][priced]
    commands["side"][new] = messages["side"][new] + Side.BUY
    commands["order_type"][new] = OrderType.LIMIT
    commands["time_in_force"][new] = np.where(messages["ioc"][new] != 0, TimeInForce.IOC, TimeInForce.GTC)
    commands["self_trade"][priced] = SelfTradePrevention.NONE
    commands["modifiers"][modify] = Flag.REINSERT
    commands["instrument"] = index
    everybody = np.zeros(len(messages), np.int64)
    return Flow(commands, everybody, np.arange(len(messages)), None, (session,), instruments)


def _check_messages(name: str, messages: Records) -> None:
    positions = np.arange(len(messages), dtype=np.uint64)
    for what, wrong in (
        ("type", messages["kind"] > MessageKind.MODIFY),
        ("side", messages["side"] > MessageSide.SELL),
        ("ioc", messages["ioc"] > 1),
        ("sequence", messages["sequence"] != positions),
        ("order id", messages["order_id"] >= 1 << 63),
    ):
        if wrong.any():
            first = int(np.flatnonzero(wrong)[0])
            raise _refused(name, f"the {what} of message {first} is out of range")


def _refused(name: str, why: str) -> ConfigError:
    return ConfigError(f"{name} is no orders file: {why}; write a new one with the referee's generator or ours")
