"""The header pages of a segment: what it is, and the configuration of its exchange. Written before the file gets its name, never changed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from shm_exchange.domain.config import ExchangeConfig, TermStart
from shm_exchange.domain.errors import ConfigError, JournalError
from shm_exchange.domain.limits import PAGE, RULES_VERSION
from shm_exchange.domain.packing import packed_config, unpacked_config
from shm_exchange.journal.codec import crc_of_words
from shm_exchange.journal.folder import open_file, read_at
from shm_exchange.layout.files import FILE_VERSION, JOURNAL_RECORD, SEGMENT_HEADER, SEGMENT_MAGIC

_HEADER_BYTES_MAX = 1 << 20
"""INSTRUMENTS_MAX instruments take a third of it."""


class Segment(NamedTuple):
    """One file of records."""

    path: Path
    first: int
    """Number of the first record."""
    room: int
    """Records it can hold."""
    term: TermStart
    config: ExchangeConfig
    created_ns: int
    """Nanoseconds since 1970."""
    header_bytes: int
    """Where the records begin."""

    @property
    def limit(self) -> int:
        """Number behind the last record that it can hold."""
        return self.first + self.room

    @property
    def size(self) -> int:
        """Bytes of the file while it has its whole room."""
        return self.header_bytes + self.room * JOURNAL_RECORD.itemsize

    def offset(self, sequence: int) -> int:
        """Byte at which a record lies."""
        return self.header_bytes + (sequence - self.first) * JOURNAL_RECORD.itemsize

    def place(self, sequence: int) -> str:
        """Where a record lies, for an error."""
        return f"{self.path}, record {sequence - self.first} at byte {self.offset(sequence)} (number {sequence})"


class BadHeader(Exception):
    """Header pages are not as they were written; the text says what is wrong with them."""


def new_segment(path: Path, first: int, room: int, term: TermStart, config: ExchangeConfig, created_ns: int) -> Segment:
    """A segment that is still to be written."""
    size = SEGMENT_HEADER.itemsize + len(_text(config))
    return Segment(path, first, room, term, config, created_ns, -(-size // PAGE) * PAGE)


def packed_header(segment: Segment) -> bytes:
    """The pages of a header."""
    record, text = np.zeros(1, SEGMENT_HEADER), _text(segment.config)
    record["magic"], record["version"], record["rules_version"] = SEGMENT_MAGIC, FILE_VERSION, RULES_VERSION
    record["first_sequence"], record["records"], record["created_ns"] = segment.first, segment.room, segment.created_ns
    record["term"], record["term_sequence"], record["term_event"] = segment.term
    record["header_bytes"], record["text_bytes"] = segment.header_bytes, len(text)
    record["crc"] = _crc((record.tobytes() + text).ljust(segment.header_bytes, b"\0"))
    return (record.tobytes() + text).ljust(segment.header_bytes, b"\0")


def read_segment(path: Path, first: int) -> Segment:
    """The segment in a file whose name says `first`. Raises BadHeader, JournalError (of another version, or gone), FileNotFoundError."""
    fd = open_file(path)
    try:
        raw = read_at(fd, path, PAGE, 0)
        if len(raw) < PAGE:
            raise BadHeader("the header is cut short")
        record = np.frombuffer(raw[: SEGMENT_HEADER.itemsize], SEGMENT_HEADER)[0]
        if record["magic"] != SEGMENT_MAGIC:
            raise BadHeader("the header does not begin as one of a segment")
        if record["version"] != FILE_VERSION:
            raise JournalError(
                f"{path} is of version {record['version']} and this release reads {FILE_VERSION}: use the release that wrote it, "
                f"or restore the file if it was damaged"
            )
        size = int(record["header_bytes"])
        if size % PAGE or not PAGE <= size <= _HEADER_BYTES_MAX:
            raise BadHeader(f"the header says that it has {size} bytes")
        raw += read_at(fd, path, size - PAGE, PAGE)
    finally:
        os.close(fd)
    return _checked(path, first, record, raw)


def _checked(path: Path, first: int, record: np.void, raw: bytes) -> Segment:
    words = np.frombuffer(raw[: SEGMENT_HEADER.itemsize], SEGMENT_HEADER).copy()
    words["crc"] = 0
    if len(raw) < record["header_bytes"] or _crc(words.tobytes() + raw[SEGMENT_HEADER.itemsize :]) != record["crc"]:
        raise BadHeader("the header does not agree with its CRC")
    if record["first_sequence"] != first:
        raise BadHeader(f"the header says that it begins at number {record['first_sequence']}: the file has the name of another one")
    if record["rules_version"] != RULES_VERSION:
        raise JournalError(
            f"{path} was written under version {record['rules_version']} of the rules, and this release has {RULES_VERSION}: "
            f"use the release that wrote it"
        )
    begin = SEGMENT_HEADER.itemsize
    try:
        config = unpacked_config(json.loads(raw[begin : begin + int(record["text_bytes"])]))
    except (ConfigError, ValueError, KeyError, TypeError) as error:
        raise BadHeader(f"the header describes no exchange: {error}") from error
    term = TermStart(*(int(record[name]) for name in ("term", "term_sequence", "term_event")))
    return Segment(path, first, int(record["records"]), term, config, int(record["created_ns"]), len(raw))


def _text(config: ExchangeConfig) -> bytes:
    return json.dumps(packed_config(config), separators=(",", ":")).encode()


def _crc(header: bytes) -> int:
    return int(crc_of_words(np.frombuffer(header, np.uint64)))
