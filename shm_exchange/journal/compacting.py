"""Making a journal smaller: segments that no rebuild needs any more, because good checkpoints lie behind them.

Only checkpoints that the durable number has reached count. One that lies beyond it may know more than the log after a power loss, and then the log
must be replayed from an older one.
"""

from __future__ import annotations

from typing import NamedTuple

from shm_exchange.domain.errors import JournalError
from shm_exchange.journal.checkpoints import KEPT, good_checkpoints
from shm_exchange.journal.folder import sync_folder
from shm_exchange.journal.header import Segment
from shm_exchange.journal.reading import Journal


class Surplus(NamedTuple):
    """What can go."""

    below: int
    """Records below this number are not needed; 0 where no checkpoint says so."""
    segments: list[Segment]
    """Those that hold no others, oldest first. The newest segment always stays."""


def surplus_of(journal: Journal) -> Surplus:
    """What lies below the older one of the newest two good checkpoints."""
    good = good_checkpoints(journal, min(journal.durable, journal.end), KEPT)
    return surplus_below(journal, good[-1].sequence if good else 0)


def surplus_below(journal: Journal, number: int) -> Surplus:
    """What lies below a log number."""
    return Surplus(number, [segment for segment, behind in journal.spans()[:-1] if behind <= number])


def remove(journal: Journal, segments: list[Segment]) -> None:
    """Remove segments, oldest first, so that what is left goes on without a hole whenever this ends. Raises JournalError."""
    try:
        for segment in segments:
            segment.path.unlink(missing_ok=True)
            sync_folder(journal.directory)
    except OSError as error:
        raise JournalError(f"cannot remove old segments in {journal.directory}: {error.strerror}; look after the disk, and compact again") from error
