"""Commands that only the memory of an exchange knows: they are in the log ring, and in no file yet. Whoever removes the memory loses them."""

from __future__ import annotations

from pathlib import Path

from shm_exchange.domain.errors import ExchangeNotFound, LayoutMismatch
from shm_exchange.shm import SHM_DIR, Segment, attach


def unsaved(segment: Segment) -> int:
    """How many there are. Without a journal nobody means to keep any."""
    if not segment.journal.directory:
        return 0
    archived = max(int(segment.array("keeper")[0].archived), segment.term.first_sequence)
    return max(0, int(segment.array("matcher")[0].log_tail) - archived)


def unsaved_in(name: str, directory: str | Path = SHM_DIR) -> int:
    """How many there are in what an exchange of that name has left; 0 where there is nothing."""
    try:
        with attach(name, directory, dead_ok=True, populate=False, timeout=0.1) as segment:
            return unsaved(segment)
    except (ExchangeNotFound, LayoutMismatch):
        return 0


def unsaved_text(name: str, count: int) -> str:
    """What to do about them."""
    return f"{count:,} commands of exchange {name!r} are in no file, only in its memory, which stays: go on with `shm-exchange run {name} --adopt`"
