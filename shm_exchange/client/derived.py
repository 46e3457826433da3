"""What a reader missed, derived from the journal: a replay of the log says it again, byte for byte. The matcher has no part in it.

Rejected: deriving reports from the event ring. Rejects, logons and answers to mass cancels have no event, so their numbers would be missing.
"""

from __future__ import annotations

import time

from shm_exchange.client.plain import Records
from shm_exchange.domain.config import ExchangeConfig
from shm_exchange.domain.errors import EventsLost, JournalDamaged, JournalError, ReportsLost
from shm_exchange.engine.book import Book
from shm_exchange.shm.segment import Segment

AT_ONCE = 1 << 16
"""Records derived by one replay."""
_ARCHIVE_SECONDS = 5.0
_NAP_SECONDS = 0.0005


def reports(segment: Segment, session: int, first: int, last: int) -> Records:
    """Reports `first` to `last` of a session, or as many as are derived at once. Raises ReportsLost where they cannot be had."""
    if not _is_archived(segment):
        raise ReportsLost(first, last)
    from shm_exchange.journal.deriving import reports_of

    try:
        return reports_of(segment.journal.directory, _archived(segment), session, first, min(last, first + AT_ONCE - 1))
    except (JournalError, JournalDamaged) as error:
        raise ReportsLost(first, last) from error


def events(segment: Segment, first: int, last: int) -> Records:
    """Events `first` to `last`, or as many as are derived at once. Raises EventsLost where they cannot be had."""
    if not _is_archived(segment):
        raise EventsLost(first, last)
    from shm_exchange.journal.deriving import events_of

    try:
        return events_of(segment.journal.directory, _archived(segment), first, min(last, first + AT_ONCE - 1))
    except (JournalError, JournalDamaged) as error:
        raise EventsLost(first, last) from error


def book(segment: Segment, config: ExchangeConfig) -> Book:
    """The book as the files have it, in the sizes of `config`. Caller: there is a journal. Raises JournalError, JournalDamaged."""
    from shm_exchange.engine.image import export_book, import_image
    from shm_exchange.journal.reading import Journal
    from shm_exchange.journal.replaying import Replay

    # Files run ahead of what is out. Events of a command that is not out yet would come a second time.
    published = int(segment.array("counters")[0].commands)
    _is_archived(segment)
    replay = Replay(Journal(segment.journal.directory, end=min(published, _archived(segment))))
    replay.advance(replay.journal.end)
    return import_image(config, export_book(replay.book), 1)


def _archived(segment: Segment) -> int:
    return int(segment.array("keeper")[0].archived)


def _is_archived(segment: Segment) -> bool:
    """Wait until files hold the log as far as it goes now, and with it whatever has been reported; whether they do."""
    if not segment.journal.directory:
        return False
    logged = int(segment.array("matcher")[0].log_tail)
    deadline = time.monotonic() + _ARCHIVE_SECONDS
    while _archived(segment) < logged:
        if time.monotonic() > deadline:
            return False
        time.sleep(_NAP_SECONDS)
    return True
