"""A report ring between `emit_report`, `publish_reports` and the gateway's `take_reports` and `acknowledge` on the memory model: a ring of two."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from shm_exchange.engine import outputs as engine_outputs
from shm_exchange.engine.outputs import OUTPUT_STATE, SESSION_OUTPUT, Amounts, Fact, Outputs, Subject
from shm_exchange.layout.headers import REPORT_HEAD, REPORT_TAIL
from shm_exchange.layout.records import REPORT
from shm_exchange.ring import publish
from shm_exchange.ring import reports as ring_reports
from tests.sim.explore import Executions, explore
from tests.sim.processor import Processor, private, privates
from tests.sim.texts import Texts, Weaker

CAPACITY = 2
SESSION = 1
WORDS = ("order_id", "client_order_id", "cause_id", "price_ticks", "quantity", "leaves_quantity")


def words_of(number: int) -> tuple[int, ...]:
    """What a report says: no word is like another's."""
    return tuple(number * 10 + index for index in range(len(WORDS)))


_OF_A_SESSION = ("open_orders", "account", "logged_on", "name_low", "name_high")


class ModelReports:
    """The report ring of one session, empty."""

    def __init__(self, *weaker: Weaker, processor: Processor | None = None) -> None:
        self.processor = processor or Processor()
        self.texts = Texts(self.processor, *weaker)
        self._emit, self._publish = self.texts(engine_outputs.emit_report), self.texts(publish.publish_reports)
        self._take, self._acknowledge = self.texts(ring_reports.take_reports), self.texts(ring_reports.acknowledge)
        self.reports = self.processor.shared("report", REPORT, CAPACITY)
        self.tails = self.processor.shared("tail", REPORT_TAIL, [{"tail": 1}] * (SESSION + 1))
        self.head = self.processor.shared("read", REPORT_HEAD, [{"head": 1}])

    @property
    def tail(self) -> Any:
        """The session's REPORT_TAIL[1]."""
        return [self.tails[SESSION]]

    def writing(self) -> tuple[SimpleNamespace, Outputs]:
        """The matcher's book, as far as reports go, and its outputs, nothing written yet."""
        book = SimpleNamespace(sessions=[SimpleNamespace(next_report=1, **dict.fromkeys(_OF_A_SESSION, 0)) for _ in range(SESSION + 1)])
        bundle: Any = {
            "reports": self.reports,
            "events": None,
            "sessions": privates(SESSION_OUTPUT, SESSION + 1, unpublished=1, limit=1 + CAPACITY, capacity=CAPACITY),
            "heads": [0] * SESSION + [self.head.ctypes.data],
            "touched": [0] * (SESSION + 1),
            "state": privates(OUTPUT_STATE, 1),
        }
        return book, Outputs(**bundle)

    def write(self, book: SimpleNamespace, outputs: Outputs) -> None:
        """Emit one report and publish it."""
        order_id, client_order_id, cause_id, *amounts = words_of(book.sessions[SESSION].next_report)
        subject: Any = Subject(order_id, client_order_id, SESSION, 0, 0)  # type: ignore[arg-type]  # numba's word is numpy's only when compiled
        self._emit(book, outputs, subject, Fact(7, 7, 7, cause_id), Amounts(*amounts))
        self._publish(book, outputs, self.tails)

    def take(self, reader: SimpleNamespace) -> list[int]:
        """Numbers of the reports that are there, each of them whole, acknowledged."""
        out = privates(REPORT, CAPACITY)
        count = self._take([reader], self.reports, self.tail, out)
        self._acknowledge([reader], self.head)
        for number, report in enumerate(out[:count], int(reader.next_report) - count):
            got = tuple(int(getattr(report, word)) for word in WORDS)
            assert got == words_of(number), f"report {number} is torn: {got} instead of {words_of(number)}"
        return [int(report.number) for report in out[:count]]


def report_executions(written: int, *weaker: Weaker, takes: int = 2) -> Executions:
    """All executions of a matcher that writes so many reports, and a gateway that takes what is there so many times: numbers taken, and lost."""
    ring = ModelReports(*weaker)

    def matcher() -> int:
        book, outputs = ring.writing()
        for _ in range(written):
            ring.write(book, outputs)
            outputs.state[0].touched = 0
        return int(outputs.sessions[SESSION].skipped)

    def gateway() -> tuple[tuple[int, ...], tuple[int, ...]]:
        reader = private(ring_reports.READER, next_report=1)
        taken, lost = list[int](), list[int]()
        for _ in range(takes):
            taken += ring.take(reader)
            if reader.lost_first:
                lost += range(int(reader.lost_first), int(reader.lost_last) + 1)
            assert sorted(taken + lost) == list(range(1, reader.next_report)), f"took {taken}, lost {lost}, and expects {reader.next_report}"
        return tuple(taken), tuple(lost)

    def check(skipped: int, told: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
        assert len(told[1]) <= skipped, f"reports {told[1]} are said to be lost, but {skipped} were skipped"

    executions = explore(ring.processor, check, matcher=matcher, gateway=gateway)
    assert ring.texts.weakened == set(weaker)
    return executions
