"""`python tests/journal/writing.py FOLDER SEED`: appends to a journal for ever and says after each append, a line each: written, durable."""

from __future__ import annotations

import random
import sys
from pathlib import Path

from shm_exchange.domain.config import TermStart
from shm_exchange.journal.folder import segment_paths
from shm_exchange.journal.reading import Journal
from tests.journal.logs import CAPACITY, append, open_writer


def main(directory: Path, seed: int) -> None:
    """Go on where the journal ends: every second time in the same term."""
    draw, first, term = random.Random(seed), 0, TermStart(1, 0, 1)
    if segment_paths(directory):
        journal = Journal(directory)
        first, term = journal.end, journal.terms[-1]
        if seed % 2 and first > term.sequence:
            term = TermStart(term.term + 1, first, 1)
    writer = open_writer(directory, first, term, segment_records=100, durable_mode=seed % 3 > 0)
    while True:
        append(writer, draw.randint(1, CAPACITY))
        if draw.random() < 0.1:
            writer.sync()
        sys.stdout.write(f"{writer.written} {writer.durable}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
