"""The engine as an object, for tests, tools and replays: the same kernels the matcher runs, on memory of this process alone."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from shm_exchange.domain.config import ExchangeConfig
from shm_exchange.domain.enums import Side
from shm_exchange.engine.apply import apply, log_of
from shm_exchange.engine.book import NIL, new_book
from shm_exchange.engine.check import check_book, state_hash
from shm_exchange.engine.ladder import ladder_of, next_level, price_of_rank, rank_of_level
from shm_exchange.engine.outputs import private_outputs
from shm_exchange.layout.records import LOG_RECORD


class EngineOutputs(NamedTuple):
    """What a stretch of log led to."""

    reports: dict[int, np.ndarray]  # session -> REPORT records in number order
    events: np.ndarray  # EVENT records in number order


class Engine:
    """A book of `config` that applies log records handed to it."""

    def __init__(self, config: ExchangeConfig, multiplier: int = 0x2545_F491_4F6C_DD1D) -> None:
        self.config = config
        self.book = new_book(config, multiplier)
        self.outputs = private_outputs(self._roomy(config))
        self._log = log_of(np.zeros(config.log_capacity, LOG_RECORD))

    @staticmethod
    def _roomy(config: ExchangeConfig) -> ExchangeConfig:
        """Rings that hold whatever one command can cause: at most two reports and events for each open order, and its own."""
        outputs = 1 << (2 * config.max_orders + 64).bit_length()
        return replace(config, report_capacity=max(config.report_capacity, outputs), event_capacity=max(config.event_capacity, outputs))

    def apply(self, records: np.ndarray) -> EngineOutputs:
        """Append LOG_RECORD records to the log and apply them one by one, so that no output is overwritten before it is collected."""
        reports: dict[int, list[np.ndarray]] = {}
        events: list[np.ndarray] = []
        capacity = len(self._log.records)
        for record in np.asarray(records):
            sequence = int(self.book.state[0].sequence)
            self._log.records.view(np.ndarray)[sequence & (capacity - 1)] = record
            apply(self.book, self.outputs, self._log, sequence + 1)
            self._collect(reports, events)
        empty = self.outputs.events.view(np.ndarray)[:0]
        return EngineOutputs(
            {session: np.concatenate(parts) for session, parts in reports.items()},
            np.concatenate([empty, *events]),
        )

    def _collect(self, reports: dict[int, list[np.ndarray]], events: list[np.ndarray]) -> None:
        """Take what one command wrote and free its slots, as publisher and reader would."""
        outputs, state = self.outputs, self.outputs.state[0]
        capacity = len(outputs.reports) // self.config.max_sessions
        for session in outputs.touched[: state.touched]:
            output = outputs.sessions[session]
            first, behind = int(output.unpublished), int(self.book.sessions[session].next_report)
            numbers = np.arange(first, behind)
            part = outputs.reports.view(np.ndarray)[(session - 1) * capacity + (numbers & (capacity - 1))]
            part["number"] = numbers
            reports.setdefault(int(session), []).append(part)
            output.unpublished = behind
            output.limit = behind + capacity
        state.touched = 0
        numbers = np.arange(int(state.events_unpublished), int(self.book.state[0].next_event))
        part = outputs.events.view(np.ndarray)[numbers & (len(outputs.events) - 1)]
        part["number"] = numbers
        events.append(part)
        state.events_unpublished = self.book.state[0].next_event
        self.book.state[0].snapshots_due = 0
        self.book.traded["snapshot_due"] = 0

    def levels(self, instrument: int, side: Side) -> list[tuple[int, int]]:
        """(price in ticks, total quantity in lots) of every level, best first."""
        ladder = ladder_of(instrument, int(side))
        return [
            (int(price_of_rank(ladder, rank_of_level(self.book, level_index))), int(self.book.levels[level_index].quantity))
            for level_index in self._level_indexes(ladder)
        ]

    def queue(self, instrument: int, side: Side, price_ticks: int) -> list[tuple[int, int]]:
        """(order id, open quantity) of every order at a price, first in the queue first."""
        ladder = ladder_of(instrument, int(side))
        for level_index in self._level_indexes(ladder):
            if price_of_rank(ladder, rank_of_level(self.book, level_index)) == price_ticks:
                return self._queue(level_index)
        return []

    def _queue(self, level_index: int) -> list[tuple[int, int]]:
        orders, slot = [], int(self.book.levels[level_index].first)
        while slot != NIL:
            order = self.book.orders[slot]
            orders.append((int(order.order_id), int(order.leaves_quantity)))
            slot = int(order.following)
        return orders

    def _level_indexes(self, ladder: int) -> list[int]:
        indexes, level_index = [], int(self.book.ladders[ladder].best_level)
        while level_index != NIL:
            indexes.append(level_index)
            level_index = int(next_level(self.book, level_index))
        return indexes

    def check(self) -> int:
        """0 when every invariant holds, else an index into `check.CHECKS`."""
        return int(check_book(self.book))

    def state_hash(self) -> int:
        """Hash of the logical content."""
        return int(state_hash(self.book))

    @property
    def open_orders(self) -> int:
        """Orders resting in all books."""
        return int(self.book.state[0].open_orders)
