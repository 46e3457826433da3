"""From the log ring to files: one pass appends what is new, and moves the words that say so.

Where answers wait (GROUP, SYNC) a pass ends with the disk's word, and only then moves `durable`. GROUP gives commands a moment to gather, so that one
write of the disk serves many; SYNC does not wait for any.
"""

from __future__ import annotations

import errno
import logging
import time
from pathlib import Path

import numpy as np

from shm_exchange.domain.config import TermStart
from shm_exchange.domain.enums import Admission, JournalMode
from shm_exchange.journal.durable import read_mark
from shm_exchange.journal.reserve import Room
from shm_exchange.journal.segments import SegmentWriter
from shm_exchange.keeper.words import KeeperWords, say_archived, say_durable
from shm_exchange.layout.headers import KEEPER_FAILED
from shm_exchange.shm.segment import Records, Segment

GATHER_SECONDS = 0.001
"""GROUP: how long the oldest command waits for others."""
_ROOM_SECONDS = 1.0
_FULL_SECONDS = 0.02
_ADMISSIONS = {Room.PLENTY: Admission.ALL, Room.RESERVE: Admission.REDUCING, Room.NONE: Admission.NONE}
_log = logging.getLogger(__name__)


class LogWriter:
    """The writing half of a keeper. Raises JournalError, JournalDamaged at the start, OSError from its methods."""

    def __init__(self, segment: Segment, words: KeeperWords, counters: Records) -> None:
        self._words, self._counters = words, counters
        self._ring = segment.array("log").view(np.ndarray)
        self._mode = segment.journal.mode
        self.answers_wait = self._mode in (JournalMode.GROUP, JournalMode.SYNC)
        term = TermStart(segment.term.number, segment.term.first_sequence, int(words.matcher[0]["first_event"]))
        own = words.own[0]
        first = max(self._durable(segment, own) if self.answers_wait else int(own["archived"]), term.sequence)
        if self.answers_wait:
            # Files end at `first` in a moment. No slot of the ring is free for it: nothing at or behind the durable number was applied.
            say_archived(words, min(first, int(own["archived"])))
        self._writer = SegmentWriter(
            segment.journal.directory,
            segment.config,
            term,
            first,
            segment_records=segment.journal.segment_records,
            durable_mode=self.answers_wait,
            after_error=int(own["state"]) == KEEPER_FAILED,
        )
        self._bytes_before = int(counters[0]["bytes"])
        self._look_again = 0.0
        say_archived(words, max(first, int(own["archived"])))
        say_durable(words, max(self._writer.durable, int(own["durable"])))
        self._see_room()

    @staticmethod
    def _durable(segment: Segment, own: np.void) -> int:
        """Where to go on when answers wait for the disk: what lies behind is still in the ring, and a disk that has failed once is not believed.

        A keeper may have died between its mark on the disk and its word in memory.
        """
        mark = read_mark(Path(segment.journal.directory)).sequence
        return max(int(own["durable"]), min(mark, int(own["archived"])))

    @property
    def written(self) -> int:
        """Files hold all below."""
        return self._writer.written

    @property
    def is_behind(self) -> bool:
        """Whether something is written and not on the disk."""
        return self._writer.durable < self._writer.written

    def write(self, tail: int) -> None:
        """Append up to `tail`, as far as there is room."""
        if tail == self._writer.written:
            return
        if self._writer.room is Room.NONE:  # `look_for_room` tries again; each try takes the disk's last blocks for a moment
            time.sleep(_FULL_SECONDS)
            return
        if self.answers_wait and self._mode is JournalMode.GROUP:
            tail = self._gathered(tail)
        written = self._writer.append(self._ring, self._writer.written, tail)
        say_archived(self._words, max(written, int(self._words.own[0]["archived"])))
        self._counters[0]["bytes"] = self._bytes_before + self._writer.bytes_written
        self._see_room()
        if self.answers_wait:
            self.sync()

    def sync(self) -> None:
        """Have all that is written on the disk, and say so."""
        before = time.monotonic_ns()
        self._writer.sync()
        took = time.monotonic_ns() - before
        counters = self._counters[0]
        counters["syncs"] += 1
        counters["sync_ns"] += took
        counters["sync_ns_high"] = max(counters["sync_ns_high"], took)
        say_durable(self._words, self._writer.durable)

    def look_for_room(self) -> None:
        """While the disk is nearly full: try again, once a second."""
        if self._writer.room is not Room.PLENTY and time.monotonic() >= self._look_again:
            self._look_again = time.monotonic() + _ROOM_SECONDS
            self._writer.make_room()
            self._see_room()

    def close(self, *, clean: bool) -> None:
        """Let go of the folder; `clean`: with everything on the disk."""
        self._writer.close(clean=clean)
        if clean:
            say_durable(self._words, self._writer.durable)

    def _gathered(self, tail: int) -> int:
        time.sleep(GATHER_SECONDS)
        return max(tail, int(self._words.matcher[0]["log_tail"]))

    def _see_room(self) -> None:
        admission, own = _ADMISSIONS[self._writer.room], self._words.own[0]
        if own["admission"] == admission:
            return
        own["admission"] = admission
        own["error"] = 0 if admission is Admission.ALL else errno.ENOSPC
        if admission is Admission.ALL:
            _log.info("the journal has room: everything is admitted")
        else:
            left = "only cancels and reduces are admitted" if admission is Admission.REDUCING else "nothing is admitted any more"
            _log.error("the disk of the journal is %s: %s; make room", "nearly full" if admission is Admission.REDUCING else "full", left)
