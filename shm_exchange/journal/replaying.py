"""Replay: a book in memory of its own, moved along a log. The engine's own kernels do it, so the state is the one that the matcher had.

Records come from a journal (`advance`) or from wherever the caller has them (`feed`). Outputs are dropped, which is the fastest; whoever wants some
puts others in their place (`journal.deriving`).
"""

from __future__ import annotations

import os

import numpy as np

from shm_exchange.domain.errors import JournalError
from shm_exchange.engine.apply import apply, log_of
from shm_exchange.engine.book import Book, new_book
from shm_exchange.engine.check import check_book, state_hash
from shm_exchange.engine.outputs import Outputs, silent_outputs
from shm_exchange.journal.checkpoints import Checkpoint, Suits, any_image, newest_checkpoint
from shm_exchange.journal.reading import Journal
from shm_exchange.layout.files import RECORD_WORDS
from shm_exchange.layout.records import LOG_RECORD

CHUNK = 8192
"""Records read, copied and applied at a time: they stay in the cache on the way."""


class Replay:
    """The state at the newest good checkpoint up to log number `at_most` (default: the journal's end); else at the beginning of the log.

    Raises JournalError where the journal does not reach back to the beginning and no checkpoint helps.
    """

    journal: Journal
    """May be replaced by a later look at the same folder."""
    book: Book
    outputs: Outputs
    checkpoint: Checkpoint | None
    """Where it began."""
    skipped: tuple[str, ...]
    """Checkpoints that were no good, and why."""

    def __init__(self, journal: Journal, *, at_most: int | None = None, suits: Suits = any_image) -> None:
        self.journal = journal
        at_most = journal.end if at_most is None else at_most
        self.checkpoint, book, self.skipped = newest_checkpoint(journal, at_most, suits)
        if book is None:
            if journal.first > 0:
                raise JournalError(
                    f"the state at number {at_most} cannot be rebuilt: the journal in {journal.directory} begins at number {journal.first}, "
                    f"and no checkpoint serves; restore older segments, or a checkpoint"
                )
            book = new_book(journal.config, int.from_bytes(os.urandom(7), "little"))
        self.book = book
        self.outputs = silent_outputs(journal.config)
        self._log = log_of(np.zeros(CHUNK, LOG_RECORD))
        self._words = self._log.records.view(np.ndarray).view(np.uint64)

    @property
    def sequence(self) -> int:
        """Log number of the next command."""
        return int(self.book.state[0].sequence)

    def advance(self, to: int, limit: int | None = None) -> int:
        """Apply records of the journal up to (not including) number `to`, at most `limit` of them; returns where it stands.

        Raises JournalError where they are not all there, and JournalDamaged.
        """
        first = self.sequence
        last = to if limit is None else min(to, first + limit)
        if first < last:
            for records in self.journal.records(first, last, CHUNK):
                self.feed(records)
        return self.sequence

    def feed(self, records: np.ndarray) -> int:
        """Apply the next LOG_RECORDs, wherever they are from; returns where it stands."""
        for begin in range(0, len(records), CHUNK):
            apply(self.book, self.outputs, self._log, self._appended(records[begin : begin + CHUNK]))
        return self.sequence

    def state_hash(self) -> int:
        """Hash of the logical content."""
        return int(state_hash(self.book))

    def check(self) -> int:
        """0 when every invariant holds, else an index into `engine.check.CHECKS`."""
        return int(check_book(self.book))

    def _appended(self, records: np.ndarray) -> int:
        """Copy at most CHUNK records to their places in the log; returns the number behind the last."""
        first = self.sequence
        words = records.view(np.ndarray).view(np.uint64)
        begin = first % CHUNK * RECORD_WORDS
        room = len(self._words) - begin
        self._words[begin : begin + len(words)] = words[:room]
        self._words[: max(0, len(words) - room)] = words[room:]
        return first + len(records)
