"""A second reader of journal files that shares nothing with the first: offsets by hand, a CRC bit by bit, one record at a time."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any, NamedTuple

_HEADER = struct.Struct("<12Q")
_MARK = struct.Struct("<6Q")


class NaiveJournal(NamedTuple):
    """What the files hold."""

    first: int
    records: list[bytes]
    terms: list[int]
    """Of each record."""
    durable: int
    config: dict[str, Any]


def crc32c(data: bytes) -> int:
    """As in RFC 3720: reflected, polynomial 0x1EDC6F41."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ 0x82F63B78 if crc & 1 else crc >> 1
    return crc ^ 0xFFFFFFFF


def read(directory: Path) -> NaiveJournal:
    """A journal that nobody damaged, cut where the records end."""
    paths = sorted(directory.glob("segment-*.log"))
    starts = [int(path.stem.removeprefix("segment-")) for path in paths]
    records: list[bytes] = []
    terms: list[int] = []
    config: dict[str, Any] = {}
    for path, start in zip(paths, starts, strict=True):
        assert starts[0] + len(records) == start
        data = path.read_bytes()
        magic, version, rules, first, _, term, _, _, _, size, text, crc = _HEADER.unpack_from(data)
        assert (magic.to_bytes(8, "little"), version, rules, first) == (b"SHMX_LOG", 1, 1, start)
        assert crc32c(data[:88] + bytes(8) + data[96:size]) == crc
        config = json.loads(data[128 : 128 + text])
        following = next((later for later in starts if later > start), None)
        place = size
        while following is None or starts[0] + len(records) < following:
            record, stamp = data[place : place + 64], data[place + 64 : place + 72]
            number = starts[0] + len(records)
            if stamp != _stamp(number, record, term):
                assert following is None, f"{path} ends too early"
                break
            records.append(record)
            terms.append(term)
            place += 72
    return NaiveJournal(starts[0], records, terms, _durable(directory), config)


def _stamp(number: int, record: bytes, term: int) -> bytes:
    return struct.pack("<II", term, crc32c(struct.pack("<Q", number) + record + struct.pack("<Q", term)))


def _durable(directory: Path) -> int:
    path = directory / "durable"
    if not path.exists():
        return 0
    data, found = path.read_bytes(), []
    for slot in (data[:4096], data[4096:]):
        magic, _, sequence, _, counter, crc = _MARK.unpack_from(slot)
        if magic.to_bytes(8, "little") == b"SHMX_DUR" and crc32c(slot[:40] + bytes(8) + slot[48:]) == crc:
            found.append((counter, sequence))
    return max(found)[1]
