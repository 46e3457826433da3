"""Cutting a journal by hand: after a power loss, pages that were never synced may have reached the disk out of order, which looks like damage.

Nothing does this by itself, since nobody but the user knows whether the power failed or a disk went bad. What was durable is never cut.
"""

from __future__ import annotations

import os
from pathlib import Path

from shm_exchange.domain.errors import JournalError
from shm_exchange.journal.durable import read_mark
from shm_exchange.journal.folder import FolderLock, checkpoint_paths, open_file, segment_paths, sync_folder
from shm_exchange.journal.reading import Journal


def cut_journal(directory: Path, at: int) -> list[Path]:
    """Remove all records from number `at` on, and what was made of them; returns the files that went or became shorter.

    Raises JournalError where that is below the durable number, or not there; JournalDamaged where a record before it is bad.
    """
    lock = FolderLock(directory)
    try:
        durable = read_mark(directory).sequence
        if at < durable:
            raise JournalError(f"{directory} was on disk up to number {durable}: nothing below that is cut; restore the folder from a copy")
        journal = Journal(directory, end=at)
        for records in journal.records(max(journal.first, durable), at):
            assert len(records)
        return _cut(journal, at)
    except OSError as error:
        raise JournalError(f"cannot cut the journal in {directory}: {error.strerror}; look after the disk, and cut again") from error
    finally:
        lock.close()


def _cut(journal: Journal, at: int) -> list[Path]:
    """Newest first, so that what is left is a journal whenever this ends."""
    touched: list[Path] = []
    for first, path in reversed(segment_paths(journal.directory)):
        if first >= at and path != journal.segments[0].path:
            path.unlink()
            touched.append(path)
    last = next(segment for segment in reversed(journal.segments) if segment.path not in touched)
    if last.path.stat().st_size > last.offset(at):
        fd = open_file(last.path, os.O_RDWR)
        try:
            os.ftruncate(fd, last.offset(at))
            os.fsync(fd)
        finally:
            os.close(fd)
        touched.append(last.path)
    for sequence, path in checkpoint_paths(journal.directory):
        if sequence > at:
            path.unlink()
            touched.append(path)
    sync_folder(journal.directory)
    return touched
