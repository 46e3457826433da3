"""What a power loss has left of a journal, resumed as its user would resume it."""

from __future__ import annotations

import re
from pathlib import Path

from shm_exchange.domain.errors import JournalDamaged
from shm_exchange.journal.cutting import cut_journal
from shm_exchange.journal.reading import Journal


def resumable(folder: Path, trace: list[str], *, has_holes: bool) -> Journal:
    """The journal in a folder. Where the disk has left a hole behind all that was durable, what the message says is done. Raises as Journal does."""
    try:
        return Journal(folder)
    except JournalDamaged as error:
        cure = re.search(r"journal cut \S+ --at (\d+)", str(error))
        if cure is None or not has_holes:
            raise
    trace.append(f"cut at {cure[1]}")
    cut_journal(folder, int(cure[1]))
    return Journal(folder)
