"""The matcher's side of report and event rings in private memory: the engine's own words for writing outputs, and `ring.publish`."""

from __future__ import annotations

from typing import Any

import numpy as np

from shm_exchange.domain.config import ExchangeConfig
from shm_exchange.domain.enums import EventKind, Role
from shm_exchange.domain.instrument import Instrument
from shm_exchange.engine.book import new_book
from shm_exchange.engine.outputs import Amounts, Fact, Subject, emit_event, emit_report, new_outputs, refresh_limit
from shm_exchange.layout.headers import MATCHER, REPORT_HEAD, REPORT_TAIL
from shm_exchange.layout.records import EVENT, REPORT
from shm_exchange.ring.publish import publish_events, publish_reports

SESSIONS = 2
SESSION = 2
LADDER = 3  # sells of instrument 1


class Publisher:
    """Writes reports to session 2 (numbered from 1) and events, each with a content that its number determines."""

    def __init__(self, capacity: int) -> None:
        config = ExchangeConfig("private", (Instrument("ONE"), Instrument("TWO")), max_orders=64, max_sessions=SESSIONS)
        self.capacity = capacity
        self.book = new_book(config, 1)
        self.reports = np.zeros(SESSIONS * capacity, REPORT).view(np.recarray)
        self.events = np.zeros(capacity, EVENT).view(np.recarray)
        self.head = np.zeros(1, REPORT_HEAD).view(np.recarray)
        self.outputs = new_outputs(config, self.reports, self.events, np.array([0, 0, self.head.ctypes.data, *[0] * (SESSIONS - 2)]))
        self.tails = np.zeros(SESSIONS + 1, REPORT_TAIL).view(np.recarray)
        self.words = np.zeros(1, MATCHER).view(np.recarray)
        self.tails["tail"] = self.words["event_tail"] = self.head["head"] = 1

    @property
    def own_reports(self) -> np.ndarray:
        """The ring of the session."""
        return self.reports[(SESSION - 1) * self.capacity :]

    @property
    def tail(self) -> np.ndarray:
        """The session's REPORT_TAIL[1]."""
        return self.tails[SESSION : SESSION + 1]

    def report(self, emit: Any = emit_report) -> None:
        """Write the next report behind the tail."""
        number = int(self.book.sessions[SESSION].next_report)
        kind, reason, role, cause, price, quantity, leaves = _report_words(number)
        emit(self.book, self.outputs, _subject(number), Fact(kind, reason, role, cause), Amounts(price, quantity, leaves))

    def event(self, emit: Any = emit_event) -> None:
        """Write the next event behind the tail."""
        number = int(self.book.state[0].next_event)
        self.book.state[0].sequence, self.book.state[0].time_ns = number * 7, number * 11
        emit(self.book, self.outputs, _subject(number), EventKind.CANCELED, number & 7, number * 5, -number, number * 2)

    def publish_reports(self, publish: Any = publish_reports) -> int:
        """Number the reports and move the tail; returns how many."""
        published = publish(self.book, self.outputs, self.tails)
        self.outputs.state[0].touched = 0
        return int(published)

    def publish_events(self, publish: Any = publish_events) -> None:
        """Number the events and move the tail."""
        publish(self.book, self.outputs, self.words[0])

    def refresh(self) -> int:
        """Look how far the reader is; returns how many reports it has not read."""
        return int(refresh_limit(self.outputs, SESSION))


def _subject(number: int) -> Subject:
    return Subject(number * 3, np.uint64(number + 2**63), SESSION, number & 0xFFFF, LADDER)


def _report_words(number: int) -> tuple[int, ...]:
    return EventKind.EXECUTED, number & 3, Role.RESTING, number * 5, -number, number * 2, number


def report_row(number: int) -> tuple[int, ...]:
    """What a reader must find in report `number`."""
    kind, reason, role, cause, price, quantity, leaves = _report_words(number)
    return (number, number * 3, number + 2**63, cause, price, quantity, leaves, kind, reason, 2, role, 1, number & 0xFFFF)


def event_row(number: int) -> tuple[int, ...]:
    """What a reader must find in event `number`."""
    return (number, number * 7, number * 11, number * 3, number * 5, -number, number * 2, EventKind.CANCELED, number & 7, 2, 0, 1, number & 0xFFFF)
