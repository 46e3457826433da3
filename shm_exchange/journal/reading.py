"""Reading a journal: what its files hold, where it ends, and its records, each of them checked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from shm_exchange.domain.config import ExchangeConfig, TermStart

Records = np.ndarray[tuple[int], np.dtype[np.void]]


class Journal:
    """The journal in a folder, as it stood when this was made.

    Without `end`, the folder must be at rest: the end is found by looking, and damage is told from a write that was never finished. With `end`,
    its writer may be at work: only records below `end` are looked at, which must all be written (the keeper's archived word says so).

    Raises JournalError where there is no journal, or one of another version, and JournalDamaged.
    """

    config: ExchangeConfig
    first: int
    """Number of the first record that is still there."""
    end: int
    """Number behind the last record."""
    durable: int
    """Records below were on disk when their writer said so last."""
    terms: list[TermStart]
    """Ascending. The first may begin below `first`."""
    cut: str
    """What lies behind the end and counts for nothing, in words; nothing where all is well."""

    def __init__(self, directory: Path | str, *, end: int | None = None) -> None:
        raise NotImplementedError

    def records(self, first: int, last: int, chunk: int = 65_536) -> Iterator[Records]:
        """Records `first` to `last - 1` in order, as LOG_RECORD arrays of at most `chunk`: copies, checked.

        Raises JournalError where they are not all there (any more), and JournalDamaged.
        """
        raise NotImplementedError

    def term_of(self, sequence: int) -> int:
        """The term in which a record was written; for `end`: the newest. Raises JournalError where it is not there."""
        raise NotImplementedError
