"""Small logs and journals of them, for tests: every record is a function of its number."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from shm_exchange.domain.config import ExchangeConfig, TermStart
from shm_exchange.domain.instrument import Instrument
from shm_exchange.journal.reading import Journal
from shm_exchange.journal.segments import SegmentWriter
from shm_exchange.layout.records import COMMAND_WORDS

CONFIG = ExchangeConfig("kept", (Instrument("ACME"), Instrument("GLOBEX", tick_size="0.5", min_price="-10")), max_sessions=2)
FIRST_TERM = TermStart(1, 0, 1)
CAPACITY = 64
IN_MEMORY = "/dev/shm"


def record(number: int, salt: int = 0) -> bytes:
    """The 64 bytes that stand at a number; another salt is another history."""
    return hashlib.blake2b(f"{number} {salt}".encode(), digest_size=64).digest()


def history(first: int, last: int, salt: int = 0) -> list[bytes]:
    return [record(number, salt) for number in range(first, last)]


class Ring:
    """The log ring as the matcher leaves it: the newest records."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self.words = np.zeros(capacity, COMMAND_WORDS).view(np.recarray)

    def put(self, first: int, records: list[bytes]) -> None:
        for number, data in enumerate(records, first):
            self.words.view(np.ndarray)[number % len(self.words)] = np.frombuffer(data, COMMAND_WORDS)[0]


def open_writer(
    directory: Path, first: int = 0, term: TermStart = FIRST_TERM, *, segment_records: int = 8, durable_mode: bool = True
) -> SegmentWriter:
    return SegmentWriter(directory, CONFIG, term, first, segment_records=segment_records, durable_mode=durable_mode)


def append(writer: SegmentWriter, count: int, salt: int = 0) -> int:
    """Append `count` records of a history; the number up to which they are written."""
    ring, end = Ring(), writer.written + count
    while writer.written < end:
        begin, behind = writer.written, min(writer.written + CAPACITY, end)
        ring.put(begin, history(begin, behind, salt))
        if writer.append(ring.words, begin, behind) < behind:
            break
    return writer.written


def write_journal(directory: Path, count: int, *, durable: int = 0, segment_records: int = 8, clean: bool = False) -> None:
    """A journal of `count` records, of which those below `durable` are marked as such; left as by a kill, or closed."""
    writer = open_writer(directory, segment_records=segment_records)
    append(writer, durable)
    writer.sync()
    append(writer, count - durable)
    writer.close(clean=clean)


def contents(journal: Journal, first: int | None = None, last: int | None = None, chunk: int = 5) -> list[bytes]:
    """All records of a journal, or some."""
    pieces = journal.records(journal.first if first is None else first, journal.end if last is None else last, chunk)
    return [one.tobytes() for piece in pieces for one in piece]
