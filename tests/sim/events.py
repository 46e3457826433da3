"""The event ring between `emit_event`, `publish_events` and `take_events` on the memory model: a ring of two, so that a reader is soon lapped."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from types import SimpleNamespace

from shm_exchange.engine import outputs as engine_outputs
from shm_exchange.engine.outputs import OUTPUT_STATE, Subject
from shm_exchange.layout.headers import MATCHER
from shm_exchange.layout.records import EVENT
from shm_exchange.ring import broadcast, publish
from tests.sim.explore import Executions, explore
from tests.sim.processor import Processor, private, privates
from tests.sim.texts import Texts, Weaker

CAPACITY = 2
SESSION = 1
LADDER = 3  # sells of instrument 1
SOME_WORDS = ("sequence", "kind")
EVERY_WORD = ("sequence", "time_ns", "order_id", "resting_order_id", "price_ticks", "quantity", "kind", "reason", "account")


class ModelEvents:
    """The event ring after so many events. `changing`: the words that are other in each event."""

    def __init__(self, published: int, *weaker: Weaker, changing: Collection[str] = SOME_WORDS, processor: Processor | None = None) -> None:
        self.processor, self._changing = processor or Processor(), changing
        self.texts = Texts(self.processor, *weaker)
        self._emit, self._number = self.texts(engine_outputs.emit_event), self.texts(publish.publish_events)
        self._take = self.texts(broadcast.take_events)
        slots = [{"number": 0} | self.row(0) for _ in range(CAPACITY)]
        for number in range(1, published + 1):
            slots[number % CAPACITY] = {"number": number} | self.row(number)
        self.events = self.processor.shared("event", EVENT, slots)
        self.words = self.processor.shared(
            "matcher", MATCHER, [{"event_tail": published + 1}], fields=("event_tail", "first_event", "account_count", "time_ns")
        )
        self._published = published

    def row(self, number: int) -> dict[str, int]:
        """All words of an event but its number."""
        words = {field: number * 10 + index if field in self._changing else 7 for index, field in enumerate(EVERY_WORD)}
        return words | {"side": (LADDER & 1) + 1, "order_type": 0, "instrument": LADDER >> 1}

    def write(self, batches: Sequence[int]) -> None:
        """Emit and publish batches of so many more events."""
        first = self._published + 1
        book = SimpleNamespace(state=[SimpleNamespace(next_event=first, sequence=0, time_ns=0)])
        outputs = SimpleNamespace(events=self.events, state=privates(OUTPUT_STATE, 1, events_unpublished=first))
        for batch in batches:
            for _ in range(batch):
                row = self.row(book.state[0].next_event)
                book.state[0].sequence, book.state[0].time_ns = row["sequence"], row["time_ns"]
                subject = Subject(row["order_id"], 0, SESSION, row["account"], LADDER)  # type: ignore[arg-type]
                self._emit(book, outputs, subject, row["kind"], row["reason"], row["resting_order_id"], row["price_ticks"], row["quantity"])
            self._number(book, outputs, self.words[0])

    def take(self, feed: SimpleNamespace) -> list[int]:
        """Numbers of the events that are there, each of them whole."""
        out = privates(EVENT, CAPACITY)
        count = self._take([feed], self.events, self.words, out)
        for event in out[:count]:
            expected = self.row(event.number)
            got = {field: int(getattr(event, field)) for field in expected}
            assert got == expected, f"event {event.number} is torn: {got} instead of {expected}"
        return [event.number for event in out[:count]]


def event_executions(published: int, batches: Sequence[int], *weaker: Weaker, changing: Collection[str] = SOME_WORDS, takes: int = 2) -> Executions:
    """All executions of a writer of these batches behind so many events, and a reader of all that looks so many times."""
    ring = ModelEvents(published, *weaker, changing=changing)

    def writer() -> None:
        ring.write(batches)

    def reader() -> tuple[tuple[int, ...], tuple[tuple[int, int], ...]]:
        feed = private(broadcast.FEED, next_event=1)
        taken, losses = list[int](), list[tuple[int, int]]()
        for _ in range(takes):
            taken += ring.take(feed)
            if feed.lost_first:
                losses.append((feed.lost_first, feed.lost_last))
            told = taken + [number for first, last in losses for number in range(first, last + 1)]
            assert sorted(told) == list(range(1, feed.next_event)), f"took {taken}, lost {losses}, and expects {feed.next_event}"
        return tuple(taken), tuple(losses)

    def check(_: None, told: tuple[tuple[int, ...], tuple[tuple[int, int], ...]]) -> None:
        overwritten = published + sum(batches) - CAPACITY
        for first, last in told[1]:  # who was lapped gives up half a ring, and no more
            assert first <= overwritten, f"event {first} is said to be lost, but only those up to {overwritten} were overwritten"
            assert last <= max(first, overwritten + CAPACITY // 2), f"events up to {last} are said to be lost"

    executions = explore(ring.processor, check, writer=writer, reader=reader)
    assert ring.texts.weakened == set(weaker)
    return executions
