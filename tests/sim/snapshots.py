"""Snapshots between `publish_instrument` and `read_snapshot` on the memory model, with two slots, so that a reader is soon lapped."""

from __future__ import annotations

from collections.abc import Collection
from types import SimpleNamespace
from typing import Any

from shm_exchange.layout.headers import PRICE_LEVEL, SNAPSHOT, SNAPSHOT_LATEST
from shm_exchange.snapshot import book_top, slots
from shm_exchange.snapshot.slots import Snapshots
from tests.sim.explore import Executions, explore
from tests.sim.processor import Processor, private, privates
from tests.sim.texts import Texts, Weaker

SLOTS = 2
TRIES = 2
HEAD = ("last_price_ticks", "last_quantity", "last_match_id", "time_ns")
LEVEL = ("price_ticks", "quantity")
EVERY_WORD = (*HEAD, *LEVEL)
SOME_WORDS = ("last_match_id", "quantity")


class ModelSnapshots:
    """One instrument's snapshots, one level a side, version 1 published.

    changing: the words that are other in each version, besides the event number; others cost less, because nobody can tell their versions apart.
    replaced: as in Texts.
    """

    def __init__(self, *weaker: Weaker, changing: Collection[str] = SOME_WORDS, **replaced: Any) -> None:
        self.processor, self._changing = Processor(), changing
        self.texts = Texts(self.processor, *weaker, SNAPSHOT_SLOTS=SLOTS, READ_TRIES=TRIES, _put_side=self._put_side, **replaced)
        self._publish, self._read = self.texts(book_top.publish_instrument), self.texts(slots.read_snapshot)
        self._put_level = self.texts(slots.put_level)
        counts = {"bid_count": 1, "ask_count": 1}
        heads = [self._head(0) | counts, self._head(1) | counts | {"stamp": 2}]
        levels = [self._level(version, side) for version in (0, 1) for side in range(2)]
        shared: Any = (
            self.processor.shared("latest", SNAPSHOT_LATEST, [{"version": 1}], fields=("version",)),
            self.processor.shared("head", SNAPSHOT, heads),
            self.processor.shared("level", PRICE_LEVEL, levels),
        )
        self.bundle = Snapshots(*shared)

    def _value(self, field: str, version: int) -> int:
        return version * 100 + len(field) if field in self._changing else 7

    def _head(self, version: int) -> dict[str, int]:
        return {"event_number": version} | {field: self._value(field, version) for field in HEAD}

    def _level(self, version: int, side_index: int) -> dict[str, int]:
        return {field: self._value(field, version) * (1 - 2 * side_index) for field in LEVEL}

    def _put_side(self, book: Any, snapshots: Snapshots, slot: int, ladder: int) -> int:
        """One level, where the real one walks the ladder."""
        self._put_level(snapshots, slot, ladder & 1, 0, *self._level(book.state[0].next_event - 1, ladder & 1).values())
        return 1

    def write(self, version: int) -> None:
        """Publish the next version; the caller knows which."""
        self._publish(self.book(version), self.bundle, 0)

    def book(self, version: int) -> SimpleNamespace:
        """A book of which this version is the snapshot."""
        head = self._head(version)
        state = [SimpleNamespace(next_event=version + 1, time_ns=head["time_ns"])]
        return SimpleNamespace(state=state, traded=[SimpleNamespace(**head)])

    def read(self) -> tuple[int, int]:
        """How many tries it took, and the version that was read, whole; -1 and 0 when there was none in the allowed tries."""
        head, levels = [private(SNAPSHOT)], privates(PRICE_LEVEL, 2)
        tries = self._read(self.bundle, 0, head, levels)
        if tries == -1:
            return -1, 0
        version = int(head[0].event_number)
        whole = (self._head(version), self._level(version, 0), self._level(version, 1))
        got = tuple({field: int(getattr(one, field)) for field in wanted} for one, wanted in zip((head[0], *levels), whole, strict=True))
        assert (head[0].stamp, *got) == (version, *whole), f"torn: {(head[0].stamp, *got)} instead of {(version, *whole)}"
        return int(tries), version


def snapshot_executions(versions: int, *weaker: Weaker, changing: Collection[str] = SOME_WORDS, reads: int = 2) -> Executions:
    """All executions of a writer of so many more versions and a reader that reads so many times. Returns what it read: tries and versions."""
    snapshots = ModelSnapshots(*weaker, changing=changing)

    def writer() -> None:
        for version in range(2, 2 + versions):
            snapshots.write(version)

    def reader() -> tuple[tuple[int, int], ...]:
        return tuple(snapshots.read() for _ in range(reads))

    def check(_: None, read: tuple[tuple[int, int], ...]) -> None:
        seen = [version for tries, version in read if tries > 0]
        assert seen == sorted(seen), f"versions went back: {seen}"
        assert versions >= SLOTS or all(tries == 1 for tries, _ in read), f"nobody was lapped, and yet the tries were {read}"

    executions = explore(snapshots.processor, check, writer=writer, reader=reader)
    assert snapshots.texts.weakened == set(weaker)
    return executions
