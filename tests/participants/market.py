"""Traders in lockstep with an engine, in one process: no memory is shared and nothing depends on who gets a core."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from shm_exchange.domain.config import ExchangeConfig
from shm_exchange.domain.enums import CommandKind, EventKind
from shm_exchange.domain.instrument import Instrument
from shm_exchange.domain.limits import POSITION_BITS
from shm_exchange.domain.names import name_words
from shm_exchange.engine.engine import Engine
from shm_exchange.layout.records import COMMAND, LOG_RECORD, LOGON
from shm_exchange.participants.flow import fill_commands
from shm_exchange.participants.portfolio import Portfolio, Traded, new_portfolio
from shm_exchange.participants.settle import settle

MIDS = (10_000, 5_000, 2_000)
BATCH = 64
WINDOW = 1024


class Market:
    """An engine and its traders; sessions are numbered from 1."""

    def __init__(self, seed: int, traders: int = 4, slots: int = 1500) -> None:
        instruments = tuple(Instrument(symbol) for symbol in ("ACME", "GLOBEX", "INITECH"))
        self.engine = Engine(ExchangeConfig("market", instruments, max_sessions=8))
        self.portfolios: dict[int, Portfolio] = {}
        self.tamper: tuple[EventKind, Callable[[np.void], None]] | None = None
        """Lies, once, in the first report of a kind about an order in a slot."""
        self.lies = 0
        self.commands: list[np.ndarray] = []
        self.reports: list[np.ndarray] = []
        for session in range(1, traders + 1):
            portfolio = new_portfolio([Traded(*market) for market in enumerate(MIDS)], seed, session, slots)
            portfolio.tally[0].next_id = self._log_on(session)
            self.portfolios[session] = portfolio

    def round(self, orders_until: int) -> int:
        """Every trader submits a batch and takes its reports; returns how many commands that were."""
        submitted = 0
        for portfolio in self.portfolios.values():
            commands = np.zeros(BATCH, COMMAND).view(np.recarray)
            first = int(portfolio.tally[0].next_id)
            count = int(fill_commands(portfolio, commands, WINDOW, orders_until, 0))
            records = commands[:count].view(np.ndarray).view(LOG_RECORD)
            records["command_id"] = first + np.arange(count)
            submitted += count
            self.commands.append(records.copy())
            self._apply(records)
        return submitted

    def run(self, orders: int) -> None:
        """Until every trader has submitted that many new orders."""
        while self.round(orders):
            continue

    def _apply(self, records: np.ndarray) -> None:
        for session, reports in self.engine.apply(records).reports.items():
            self.reports.append(reports.copy())
            if self.tamper and not self.lies:
                self._lie_once(reports)
            settle(self.portfolios[session], reports.view(np.recarray), 1000)

    def _lie_once(self, reports: np.ndarray) -> None:
        assert self.tamper
        kind, lie = self.tamper
        for index in np.flatnonzero((reports["kind"] == kind) & (reports["client_order_id"] != 0))[:1]:
            lie(reports[index])
            self.lies += 1

    def _log_on(self, session: int) -> int:
        """Returns the id of the session's next command."""
        records = np.zeros(1, LOG_RECORD)
        records["command_id"], records["kind"] = session << POSITION_BITS | 1, CommandKind.LOGON
        names = records.view(LOGON)
        names["session_low"], names["session_high"] = name_words(f"trader{session}")
        names["account_low"], names["account_high"] = name_words(f"trader{session}")
        self.engine.apply(records)
        return (session << POSITION_BITS) + 2
