"""What lies in journal files: records, and the words before and beside them. One process writes them, whoever reads checks them.

    segment-<first sequence>.log   ┌────────────────┬───────────┬───────────────────┬────────────────┬────────────────┬───────┐
                                   │ SEGMENT_HEADER │ text, 0 … │ … to a whole page │ JOURNAL_RECORD │ JOURNAL_RECORD │ 0 …   │
                                   └────────────────┴───────────┴───────────────────┴────────────────┴────────────────┴───────┘
    durable                        ┌──────────────┬───────────┬──────────────┬───────────┐
                                   │ DURABLE_MARK │ to a page │ DURABLE_MARK │ to a page │   written in turn
                                   └──────────────┴───────────┴──────────────┴───────────┘

`text` is the ExchangeConfig as JSON. Every CRC is a CRC-32C with the usual inversion before and after, over 64-bit little-endian words:
of a header or a mark over all of its pages, with the field `crc` as 0; of a record over its number, its eight words, and its term.
The number is implied by the place, so a record at a wrong place is bad; a term is never 0, so zeros are never a record.

This is no part of the shared memory's digest: files outlive releases, and FILE_VERSION says what they look like.
"""

from __future__ import annotations

import numpy as np

from shm_exchange.domain.limits import CACHE_LINE
from shm_exchange.layout.headers import lines
from shm_exchange.layout.records import LOG_RECORD

FILE_VERSION = 1
SEGMENT_MAGIC = 0x474F_4C5F_584D_4853  # "SHMX_LOG"
DURABLE_MAGIC = 0x5255_445F_584D_4853  # "SHMX_DUR"

JOURNAL_RECORD = np.dtype([*((name, LOG_RECORD[name]) for name in LOG_RECORD.names or ()), ("term", "u4"), ("crc", "u4")])
SEGMENT_HEADER = lines(
    ("magic", "u8"),
    ("version", "u8"),  # FILE_VERSION
    ("rules_version", "u8"),
    ("first_sequence", "u8"),  # number of the first record
    ("records", "u8"),  # room for so many
    ("term", "u8"),  # of all its records
    ("term_sequence", "u8"),  # where the term began: number of its first command …
    ("term_event", "u8"),  # … and of its first event
    ("created_ns", "u8"),  # ns since 1970
    ("header_bytes", "u8"),  # whole pages: here the records begin
    ("text_bytes", "u8"),
    ("crc", "u8"),
)
DURABLE_MARK = lines(
    ("magic", "u8"),
    ("version", "u8"),  # FILE_VERSION
    ("sequence", "u8"),  # all records below are on disk
    ("term", "u8"),
    ("counter", "u8"),  # the mark with the greater one is the newer
    ("crc", "u8"),
)

WORD = 8
RECORD_WORDS = LOG_RECORD.itemsize // WORD
JOURNAL_WORDS = JOURNAL_RECORD.itemsize // WORD

assert JOURNAL_RECORD.itemsize == LOG_RECORD.itemsize + WORD
assert DURABLE_MARK.itemsize == CACHE_LINE
