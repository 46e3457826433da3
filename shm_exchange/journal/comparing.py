"""Two journals side by side: the first number at which their logs part."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from shm_exchange.domain.errors import JournalError
from shm_exchange.journal.reading import Journal
from shm_exchange.journal.segment_reader import Records
from shm_exchange.layout.files import RECORD_WORDS

_CHUNK = 65_536


class Difference(NamedTuple):
    """Where two logs part: the records, of which one may be missing because its log ends there."""

    number: int
    one: np.void | None
    other: np.void | None


def common_span(one: Journal, other: Journal) -> tuple[int, int]:
    """The first number that both hold, and the number behind the last. Raises JournalError where they hold none in common."""
    first, end = max(one.first, other.first), min(one.end, other.end)
    if first > end:
        raise JournalError(
            f"{one.directory} holds numbers {one.first} to {one.end - 1} and {other.directory} {other.first} to {other.end - 1}: "
            f"there is nothing to compare"
        )
    return first, end


def first_difference(one: Journal, other: Journal, progress: Callable[[int], None]) -> Difference | None:
    """The first difference of two logs from the first number that both hold; None where there is none. Tells the numbers it has passed.

    Terms are no part of it: a log is what was asked for and when. Raises JournalError, JournalDamaged.
    """
    first, end = common_span(one, other)
    for begin in range(first, end, _CHUNK):
        behind = min(begin + _CHUNK, end)
        ours, theirs = _records(one, begin, behind), _records(other, begin, behind)
        parted = np.flatnonzero((_words(ours) != _words(theirs)).any(axis=1))
        if len(parted):
            place = int(parted[0])
            return Difference(begin + place, ours[place], theirs[place])
        progress(behind)
    if one.end == other.end:
        return None
    return Difference(end, _record(one, end), _record(other, end))


def _records(journal: Journal, first: int, last: int) -> Records:
    """In one piece, however many segments they lie in."""
    return np.concatenate(list(journal.records(first, last)))


def _words(records: Records) -> np.ndarray[tuple[int, int], np.dtype[np.uint64]]:
    return records.view(np.uint64).reshape(-1, RECORD_WORDS)


def _record(journal: Journal, number: int) -> np.void | None:
    if number == journal.end:
        return None
    record: np.void = _records(journal, number, number + 1)[0]
    return record
