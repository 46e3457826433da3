"""Files of the referee's form: what we write we read, and nothing else."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from bench.flow import generate
from shm_exchange.domain.errors import ConfigError
from shm_exchange.protocol.referee import MESSAGE, decode_orders, encode_orders

HEADER = struct.pack("<QII", 0x4D4542575F303031, 1, 1)
RECORD = struct.pack("<BBBBIQQqq", 0, 1, 1, 0, 50, 0, 7, -3, 0)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "orders_normal.bin"


def test_a_message_has_the_published_bytes(path):
    path.write_bytes(HEADER + RECORD)
    assert read_orders(path).tolist() == [(0, 1, 1, 0, 50, 0, 7, -3, 0)]


@pytest.mark.parametrize("count", [0, 50])
def test_round_trip(path, count):
    messages = generate("normal", 3, 50)[:count]
    write_orders(path, messages)
    np.testing.assert_array_equal(read_orders(path), messages)
    assert path.stat().st_size == 16 + 40 * count


def test_what_was_read_can_be_changed(path):
    path.write_bytes(HEADER + RECORD)
    read_orders(path)["quantity"] = 1


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
def test_other_files_are_refused(path, content, why):
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=why):
        read_orders(path)


def test_a_missing_file_is_refused(path):
    with pytest.raises(ConfigError, match="cannot read"):
        read_orders(path)


def test_the_record_is_forty_bytes():
    assert MESSAGE.itemsize == len(RECORD)
