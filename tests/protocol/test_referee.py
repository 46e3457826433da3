"""Files of the referee's form: what we write we read, and nothing else."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from bench.canonical import to_commands
from bench.flow import generate
from shm_exchange.domain.errors import ConfigError
from shm_exchange.domain.instrument import Instrument
from shm_exchange.protocol.referee import MESSAGE, decode_orders, encode_orders, is_orders, orders_flow

HEADER = struct.pack("<QII", 0x4D4542575F303031, 1, 1)
RECORD = struct.pack("<BBBBIQQqq", 0, 1, 1, 0, 50, 0, 7, -3, 0)


def read(content):
    return decode_orders(content, "orders.bin")


def test_a_message_has_the_published_bytes():
    assert read(HEADER + RECORD).tolist() == [(0, 1, 1, 0, 50, 0, 7, -3, 0)]
    assert is_orders(HEADER)
    assert not is_orders(b"time_ns,action\n")


@pytest.mark.parametrize("count", [0, 50])
def test_round_trip(count):
    messages = generate("normal", 3, 50)[:count]
    content = encode_orders(messages)
    np.testing.assert_array_equal(read(content), messages)
    assert len(content) == 16 + 40 * count


def test_what_was_read_can_be_changed():
    read(HEADER + RECORD)["quantity"] = 1


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "header"),
        (HEADER[:15], "header"),
        (b"\0" * 16 + RECORD, "starts with"),
        (struct.pack("<QII", 0x4D4542575F303031, 2, 1) + RECORD, "version"),
        (HEADER + RECORD[:-1], "need 56 bytes"),
        (HEADER + RECORD + b"\0", "need 56 bytes"),
        (HEADER + b"\3" + RECORD[1:], "type of message 0"),
        (HEADER + RECORD[:1] + b"\2" + RECORD[2:], "side"),
        (HEADER + RECORD[:2] + b"\2" + RECORD[3:], "ioc"),
        (HEADER + RECORD[:8] + b"\1" + RECORD[9:], "sequence"),
        (HEADER + RECORD[:23] + b"\x80" + RECORD[24:], "order id"),
    ],
)
def test_other_files_are_refused(content, why):
    with pytest.raises(ConfigError, match=why):
        read(content)


def test_as_commands_they_are_what_bench_makes_of_them_but_for_the_names():
    """Bench names orders by their place in the lane; a replay names them by the file's ids."""
    messages = generate("normal", 3, 200)
    flow = orders_flow(messages, 0, "referee", (Instrument("MID", "0.005"),))
    benched = to_commands(messages, 1, 2)
    for name in ("kind", "side", "order_type", "time_in_force", "self_trade", "modifiers", "price_ticks", "quantity"):
        np.testing.assert_array_equal(flow.commands[name], benched[name], name)
    assert (flow.commands["client_order_id"] == messages["order_id"]).all()
    assert flow.time_ns is None


def test_the_record_is_forty_bytes():
    assert MESSAGE.itemsize == len(RECORD)
