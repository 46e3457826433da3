"""The two exchanges that must agree, behind one face: commands in as tuples, reports and events out as tuples."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

import numpy as np

from shm_exchange.domain.config import ExchangeConfig
from shm_exchange.domain.enums import Side
from shm_exchange.engine.engine import Engine
from shm_exchange.layout.records import LOG_RECORD
from tests.oracle.messages import Event, Outputs, Report
from tests.oracle.naive_exchange import NaiveExchange


class Exchange(Protocol):
    """What a test needs of either."""

    def apply(self, records: Iterable[tuple[int, ...]]) -> Outputs: ...
    def levels(self, instrument: int, side: int) -> list[tuple[int, int]]: ...
    def queue(self, instrument: int, side: int, price_ticks: int) -> list[tuple[int, int]]: ...


class FastExchange:
    """The engine; every call to `apply` also checks all its invariants."""

    def __init__(self, config: ExchangeConfig) -> None:
        self.engine = Engine(config)

    def apply(self, records: Iterable[tuple[int, ...]]) -> Outputs:
        outputs = self.engine.apply(np.array(list(records), LOG_RECORD))
        assert self.engine.check() == 0
        reports = {session: [Report._make(row) for row in rows.tolist()] for session, rows in outputs.reports.items()}
        return Outputs(reports, [Event._make(row) for row in outputs.events.tolist()])

    def levels(self, instrument: int, side: int) -> list[tuple[int, int]]:
        return self.engine.levels(instrument, Side(side))

    def queue(self, instrument: int, side: int, price_ticks: int) -> list[tuple[int, int]]:
        return self.engine.queue(instrument, Side(side), price_ticks)


IMPLEMENTATIONS: dict[str, Callable[[ExchangeConfig], Exchange]] = {"oracle": NaiveExchange, "engine": FastExchange}


def books(exchange: Exchange, instruments: int) -> dict[tuple[int, str], list[tuple[int, int, list[tuple[int, int]]]]]:
    """Every level of every book, best first: price, total and the whole queue."""
    return {
        (instrument, side.name): [(price, total, exchange.queue(instrument, side, price)) for price, total in exchange.levels(instrument, side)]
        for instrument in range(instruments)
        for side in Side
    }
