"""Checkpoints, made beside the writing: replay what the files hold, compare with the matcher, write the state down, remove what is older.

    wish      ask the matcher for the hash of its state, wherever it stands at that moment      (KEEPER.hash_request)
    answer    hash and log number                                                             (MATCHER.hash, hash_sequence, hash_request)
    replay    from the newest checkpoint up to that number, in slices, when there is nothing to write
    compare   equal: write the image, in a thread, since a disk may take its time; not equal: say so, and never make a checkpoint again

A busy exchange is replayed when it rests, or when LAG_MAX checkpoints are due: recovery would take too long otherwise.
"""

from __future__ import annotations

import logging
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from shm_exchange.domain.errors import ExchangeError
from shm_exchange.journal.checkpoints import newest_checkpoint, prune_checkpoints, write_checkpoint
from shm_exchange.journal.compacting import remove, surplus_below, surplus_of
from shm_exchange.journal.reading import Journal
from shm_exchange.journal.replaying import Replay
from shm_exchange.keeper.words import KeeperWords
from shm_exchange.shm.segment import Records, Segment

LAG_MAX = 8
SLICE_COMMANDS = 8192
_log = logging.getLogger(__name__)


class Checkpoints:
    """The checking half of a keeper. `step` whenever there is time."""

    def __init__(self, segment: Segment, words: KeeperWords, counters: Records, written: int) -> None:
        self._segment, self._words, self._counters = segment, words, counters
        self._directory = Path(segment.journal.directory)
        self._interval = segment.journal.checkpoint_commands
        self._replay: Replay | None = None
        self._writing: Future[None] | None = None
        self._thread = ThreadPoolExecutor(1, "checkpoint")
        self._is_wished = self._has_diverged = False
        newest = newest_checkpoint(Journal(self._directory, end=written), written).checkpoint
        self._newest = 0 if newest is None else newest.sequence
        words.own[0]["checkpoint"] = self._newest

    def step(self, written: int, *, is_idle: bool) -> bool:
        """Do a slice of what is due; whether there is more to do at once."""
        behind = written - self._newest
        if self._has_diverged or behind < self._interval or (not is_idle and behind < LAG_MAX * self._interval):
            return False
        if self._writing is not None:
            return self._see_written(self._writing)
        if self._replay is None:
            return self._ask(written)
        target = int(self._words.matcher[0]["hash_sequence"])
        self._replay.advance(min(target, self._replay.sequence + SLICE_COMMANDS))
        if self._replay.sequence == target:
            self._compare(self._replay, target)
        return True

    def close(self) -> None:
        """Let what is being written be written."""
        self._thread.shutdown()

    def _ask(self, written: int) -> bool:
        """Wish for a hash; once it is there and its number in the files, begin to replay."""
        own, matcher = self._words.own[0], self._words.matcher[0]
        if not self._is_wished:
            own["hash_request"] += 1
            self._is_wished = True
        if matcher["hash_request"] != own["hash_request"] or matcher["hash_sequence"] > written:
            return False
        target = int(matcher["hash_sequence"])
        if target == self._newest:
            self._is_wished = False
            return False
        self._replay = Replay(Journal(self._directory, end=target), at_most=target)
        return True

    def _compare(self, replay: Replay, target: int) -> None:
        self._replay, self._is_wished = None, False
        if replay.state_hash() != self._words.matcher[0]["hash"]:
            self._has_diverged = True
            self._words.own[0]["diverged"] = target
            _log.error(
                "the state of the matcher at number %d is not what its own log leads to; no checkpoint is made any more: stop the exchange, and "
                "compare with `shm-exchange journal replay %s`",
                target,
                self._directory,
            )
            return
        self._writing = self._thread.submit(self._write, replay)

    def _write(self, replay: Replay) -> None:
        write_checkpoint(self._directory, self._segment.config, replay.book, self._segment.term.number)
        journal = Journal(self._directory, end=replay.sequence)
        prune_checkpoints(journal)
        below = surplus_of(journal).below - self._segment.journal.retained_commands
        remove(journal, surplus_below(journal, below).segments)

    def _see_written(self, writing: Future[None]) -> bool:
        if not writing.done():
            return False
        self._writing = None
        self._newest = int(self._words.matcher[0]["hash_sequence"])
        try:
            writing.result()
        except (OSError, ExchangeError) as error:
            _log.error("a checkpoint at number %d could not be written: %s", self._newest, error)
            return False
        self._words.own[0]["checkpoint"] = self._newest
        self._counters[0]["checkpoints"] += 1
        return False
