"""Log records to journal records and back: the kernels. All arrays are plain 64-bit words, because that is what a CRC is made of.

The last word of a journal record holds its term (low half) and its CRC (high half).
"""

from __future__ import annotations

import numpy as np

from shm_exchange._intrinsics import crc32c
from shm_exchange._jit import inlined, kernel
from shm_exchange.layout.files import JOURNAL_WORDS, RECORD_WORDS


@inlined
def _crc_of_record(words, begin, sequence, term):
    crc = crc32c(np.uint64(0xFFFFFFFF), np.uint64(sequence))
    for index in range(RECORD_WORDS):
        crc = crc32c(crc, words[begin + index])
    return crc32c(crc, np.uint64(term)) ^ np.uint64(0xFFFFFFFF)


@kernel
def encode(ring, first, last, term, target):
    """Journal records of log numbers `first` to `last - 1`, from the ring (u64, a power of two of records) to the beginning of `target` (u64)."""
    mask = len(ring) // RECORD_WORDS - 1
    for sequence in range(first, last):
        source, place = (sequence & mask) * RECORD_WORDS, (sequence - first) * JOURNAL_WORDS
        for index in range(RECORD_WORDS):
            target[place + index] = ring[source + index]
        target[place + RECORD_WORDS] = np.uint64(term) | (_crc_of_record(target, place, sequence, term) << np.uint64(32))


@inlined
def _is_good(words, place, sequence, term):
    return words[place + RECORD_WORDS] == np.uint64(term) | (_crc_of_record(words, place, sequence, term) << np.uint64(32))


@kernel
def decode(words, count, first, term, target):
    """Log records of the first `count` journal records in `words` (u64), which must carry numbers from `first` on, to `target` (u64).

    Returns how many are good: `count`, or the index of the first bad one, behind which nothing was done.
    """
    for number in range(count):
        place, goal = number * JOURNAL_WORDS, number * RECORD_WORDS
        if not _is_good(words, place, first + number, term):
            return number
        for index in range(RECORD_WORDS):
            target[goal + index] = words[place + index]
    return count


@kernel
def find_good(words, count, first, term):
    """Index of the first good one of the first `count` journal records in `words` (u64), which must carry numbers from `first` on; else `count`."""
    for number in range(count):
        if _is_good(words, number * JOURNAL_WORDS, first + number, term):
            return number
    return count


@kernel
def crc_of_words(words):
    """CRC-32C of all of `words` (u64)."""
    crc = np.uint64(0xFFFFFFFF)
    for index in range(len(words)):
        crc = crc32c(crc, words[index])
    return crc ^ np.uint64(0xFFFFFFFF)
