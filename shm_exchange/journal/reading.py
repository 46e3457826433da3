"""Reading a journal: what its files hold, where it ends, and its records, each of them checked.

Where the end is. Records below the durable mark must all be there and good. Behind it the first record that is not ends the journal, as long as
nothing good follows: a write was cut short, and what is left of it is cut and said. If something good does follow, a record has gone bad that was
written once, and that is damage, as are segments that do not join. Damage is refused with its position, never repaired.

A header that is bad is damage too, with one exception: of the newest segment, at or above the durable mark, with nothing behind its first page.
That is a segment whose start was cut short.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from shm_exchange.domain.config import ExchangeConfig, TermStart
from shm_exchange.domain.errors import JournalDamaged, JournalError
from shm_exchange.domain.limits import PAGE
from shm_exchange.journal.durable import read_mark
from shm_exchange.journal.folder import held_at_rest, segment_paths
from shm_exchange.journal.header import BadHeader, Segment, read_segment
from shm_exchange.journal.segment_reader import Records, SegmentReader, has_bytes

_CHUNK = 65_536
_CURE = "restore the folder from a copy"


class Journal:
    """The journal in a folder, as it stood when this was made.

    Without `end`, the folder must be at rest: the end is found by looking, and damage is told from a write that was never finished. With `end`,
    its writer may be at work: only records below `end` are looked at, which must all be written (the keeper's archived word says so). With
    `live` it may be as well, and what is good so far is looked at. `open_journal` finds out which it is.

    Raises JournalError where there is no journal, or one of another version, and JournalDamaged. Records below the durable mark are checked when
    they are read, all others also here.
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
    live: bool
    """Whether somebody was writing it."""
    segments: list[Segment]
    """Ascending; each goes on where the one before it ends. The newest may be empty."""

    def __init__(self, directory: Path | str, *, end: int | None = None, live: bool = False) -> None:
        self.directory, self.live = Path(directory), live
        self.durable = read_mark(self.directory).sequence
        self.segments, self.cut = read_segments(self.directory, self.durable, end)
        if not self.segments:
            shards = sorted(path.name for path in self.directory.glob("shard-[0-9]"))
            if shards:
                raise JournalError(f"{self.directory} holds the journals of {len(shards)} shards, each in a folder: name one, such as {shards[0]}")
            why = self.cut or "it holds no segment"
            raise JournalError(f"there is no journal in {self.directory}: {why}; name the folder that an exchange writes to")
        self.config, self.first = self.segments[0].config, self.segments[0].first
        self._check_joints()
        self.end = self._found_end() if end is None else end
        if not self.first <= self.end <= self.segments[-1].limit:
            raise JournalError(f"the journal in {self.directory} holds numbers {self.first} to {self.segments[-1].limit}, and not up to {self.end}")
        self.segments = [segment for segment in self.segments if segment.first <= self.end]
        self.terms = sorted({segment.term for segment in self.segments})

    def records(self, first: int, last: int, chunk: int = _CHUNK) -> Iterator[Records]:
        """Records `first` to `last - 1` in order, as LOG_RECORD arrays of at most `chunk`: copies, checked.

        Raises JournalError where they are not all there (any more), and JournalDamaged.
        """
        if not self.first <= first <= last <= self.end:
            raise JournalError(
                f"the journal in {self.directory} holds records {self.first} to {self.end - 1}; {first} to {last - 1} are not all there"
            )
        for segment, behind in self.spans():
            if segment.first < last and first < behind:
                yield from self._records_of(segment, max(first, segment.first), min(last, behind), chunk)

    def term_of(self, sequence: int) -> int:
        """The term in which a record was written; for `end`: the newest. Raises JournalError where it is not there."""
        if not self.first <= sequence <= self.end:
            raise JournalError(f"the journal in {self.directory} holds records {self.first} to {self.end - 1}, and not {sequence}")
        return self.segments[bisect_right([segment.first for segment in self.segments], sequence) - 1].term.term

    def spans(self) -> list[tuple[Segment, int]]:
        """Each segment, and the number behind its last record."""
        return self._spans(self.end)

    def _spans(self, end: int) -> list[tuple[Segment, int]]:
        return list(zip(self.segments, [*(segment.first for segment in self.segments[1:]), end], strict=True))

    def _records_of(self, segment: Segment, first: int, last: int, chunk: int) -> Iterator[Records]:
        with SegmentReader(segment, chunk) as reader:
            while first < last:
                found = reader.take(first, min(first + chunk, last))
                if len(found):
                    yield found
                if len(found) < min(chunk, last - first):
                    raise self._damaged(segment, first + len(found), "it is not what was written there")
                first += len(found)

    def _check_joints(self) -> None:
        """Every segment goes on where the one before it ends, in the same term or at the start of a later one, with the same configuration."""
        if self.segments[0].term.sequence > self.first:
            raise JournalDamaged(f"{self.segments[0].path}: its term began behind its first record; {_CURE}")
        for before, after in pairwise(self.segments):
            if after.first > before.limit:
                raise JournalDamaged(f"numbers {before.limit} to {after.first - 1} are missing between {before.path} and {after.path}; {_CURE}")
            follows = after.term == before.term or (after.term.term > before.term.term and after.term.sequence == after.first)
            if not follows or after.config != before.config:
                raise JournalDamaged(f"{after.path} does not go on with {before.path}: another term or configuration; {_CURE}")

    def _found_end(self) -> int:
        """The first number at or behind the durable mark whose record is not good. Raises JournalDamaged where it should be, or good ones follow."""
        spans = self._spans(self.segments[-1].limit)
        for segment, limit in spans:
            there = min(limit, self.durable)
            if segment.path.stat().st_size < segment.offset(there) or (segment is self.segments[-1] and self.durable > limit):
                raise self._damaged(segment, there, f"the file ends too early, since all below number {self.durable} were on disk")
        end: int = next((bad for segment, limit in spans if (bad := self._first_bad(segment, limit)) < limit), spans[-1][1])
        if self.live:
            return end
        for segment, limit in spans:
            if limit > end and (good := self._first_good(segment, limit, end)) < limit:
                where = next(one for one, behind in spans if end < behind)
                cure = f"if the power failed, `shm-exchange journal cut {self.directory} --at {end}` gives up the rest, which was never durable"
                raise self._damaged(where, end, f"number {good} behind it is whole, so this is no write that was cut short; {cure}")
        self._say_cut(end)
        return end

    def _first_bad(self, segment: Segment, limit: int) -> int:
        with SegmentReader(segment, _CHUNK) as reader:
            return reader.first_bad(max(segment.first, self.durable), limit)

    def _first_good(self, segment: Segment, limit: int, end: int) -> int:
        with SegmentReader(segment, _CHUNK) as reader:
            return reader.first_good(max(segment.first, end), limit)

    def _say_cut(self, end: int) -> None:
        """Name what lies behind the end."""
        last = next(segment for segment in reversed(self.segments) if segment.first <= end)
        pieces = [f"{last.path.name} from byte {last.offset(end)} on (number {end})"] if has_bytes(last.path, last.offset(end)) else []
        pieces += [f"{segment.path.name}, which holds nothing" for segment in self.segments if segment.first > end]
        self.cut = "; ".join([*pieces, *([self.cut] if self.cut else [])])

    def _damaged(self, segment: Segment, sequence: int, why: str) -> JournalDamaged:
        return JournalDamaged(f"{segment.place(sequence)} is damaged: {why}; {_CURE}")


def open_journal(directory: Path | str) -> Journal:
    """The journal in a folder, whether or not somebody writes it at this moment. Raises as Journal does."""
    with held_at_rest(Path(directory)) as at_rest:
        return Journal(directory, live=not at_rest)


def read_segments(directory: Path, durable: int, end: int | None = None) -> tuple[list[Segment], str]:
    """All segments that begin at or below `end` by their headers; and, in words, a newest one whose start was cut short, which is left out.

    Raises JournalError, JournalDamaged.
    """
    paths = [(first, path) for first, path in segment_paths(directory) if end is None or first <= end]
    segments, cut = [], ""
    for first, path in paths:
        try:
            segments.append(read_segment(path, first))
        except FileNotFoundError as error:
            raise JournalError(f"{path} was removed while the journal was read; begin again with what is left") from error
        except BadHeader as error:
            if path != paths[-1][1] or first < durable or has_bytes(path, PAGE):
                raise JournalDamaged(f"{path} is damaged at byte 0 (number {first}): {error}; {_CURE}") from error
            cut = f"{path.name}, whose start was cut short"
    return segments, cut
