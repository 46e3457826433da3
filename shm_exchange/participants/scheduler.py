"""A whole market in one thread and in simulated time: the same participants, the same rules, and the same outcome every time.

Everything that happens is an event in one heap, ordered by (time, sequence), and sequences are given out as events are made. There is no wall clock,
no thread and no hash order: the same settings and seeds lead to the same EVENT records, whose SHA-256 is the event log hash.

    step   a participant has something to do: hear, see, act, or a command of its has reached the exchange
    look   it looks at prices that have moved since it last did, as often as it looks

A command takes the exchange MATCH_NS, one after the other: so time always goes on.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

import numpy as np

from shm_exchange.domain.config import ExchangeConfig
from shm_exchange.domain.enums import CommandKind, EventKind, Side
from shm_exchange.domain.errors import ConfigError
from shm_exchange.domain.limits import POSITION_BITS
from shm_exchange.domain.names import name_words
from shm_exchange.engine.engine import Engine, EngineOutputs
from shm_exchange.engine.ladder import ladder_of, price_of_rank, rank_of_level
from shm_exchange.layout.records import ALL_INSTRUMENTS, LOG_RECORD, LOGON
from shm_exchange.participants.ledger import new_ledger, page_of
from shm_exchange.participants.participant import Participant, Setting
from shm_exchange.participants.quotes import Command, Quote, mid_of

MATCH_NS = 1_000
_AT_ONCE = 64
_NIL = 0


class Seat(NamedTuple):
    """A participant and how the exchange knows it."""

    session: str
    account: str
    setting: Setting


class Earned(NamedTuple):
    """What became of one participant. Money is ticks × lots, a value an instrument."""

    session: str
    account: str
    commands: int
    fills: int
    positions: list[int]
    cash: list[int]
    pnl: list[float]


class Simulated(NamedTuple):
    """What became of them all."""

    event_log_hash: str
    """SHA-256 over the bytes of all EVENT records, in order."""
    seconds: float
    commands: int
    events: int
    trades: int
    volume: int
    """Lots traded."""
    mids: list[float | None]
    participants: list[Earned]
    is_balanced: bool
    """Positions and cash of all participants add up to zero, in every instrument."""
    book_check: int
    """0: every invariant of the book holds; else an index into engine.check.CHECKS."""


class _Kind(IntEnum):
    STEP = 0
    LOOK = 1


class Scheduler:
    """See the module. Raises ConfigError for settings that cannot be."""

    def __init__(self, config: ExchangeConfig, seats: Sequence[Seat]) -> None:
        if len(seats) > config.max_sessions:
            raise ConfigError(f"{len(seats)} participants need as many sessions, and there are {config.max_sessions}; give a greater max_sessions")
        if any("@" in symbol for seat in seats for symbol in seat.setting.watched):
            raise ConfigError("a simulation has one exchange: watch a symbol of it, without @")
        self._config, self._seats = config, seats
        self._engine = Engine(config)
        symbols = [instrument.symbol for instrument in config.instruments]
        self.participants = [Participant(seat.setting, config, new_ledger(len(symbols))) for seat in seats]
        self._symbols, self._quotes, self._traded = symbols, [Quote()] * len(symbols), [0] * len(symbols)
        self._heap: list[tuple[int, int, _Kind, int]] = []
        self._sequence = 0
        self._scheduled: list[int | None] = [None] * len(seats)
        """Per participant, the moment of its next step."""
        self._news: list[dict[str, None]] = [{} for _ in seats]
        """Per participant, symbols that have moved since it looked, in that order."""
        self._looked = [0] * len(seats)
        self._positions, self._fills = [1] * len(seats), [0] * len(seats)
        self._interested = [
            [index for index, seat in enumerate(seats) if symbol in (*seat.setting.symbols, *seat.setting.watched)] for symbol in symbols
        ]
        self._free_ns = 0
        self._hash = hashlib.sha256()
        self._commands = self._events = self._trades = 0

    def run(self, seconds: float) -> Simulated:
        """From nothing to the end: everybody begins at 0, is stopped after so long, and what is open then is canceled."""
        end_ns = int(seconds * 1e9)
        for index, seat in enumerate(self._seats):
            self._log_on(index, seat)
        for index, participant in enumerate(self.participants):
            own = participant.setting
            until = min(end_ns, int(own.seconds * 1e9)) if own.seconds else end_ns
            participant.start(0, until, (index + 1) << POSITION_BITS | self._positions[index])
            self._schedule(index)
        self._turn(end_ns)
        for index, participant in enumerate(self.participants):
            participant.stop(end_ns)
            self._schedule(index)
        self._turn(None)
        mids = [mid_of(quote) for quote in self._quotes]  # while there are still quotes
        for index, seat in enumerate(self._seats):
            if not seat.setting.keep:
                self._apply(max(end_ns, self._free_ns), index, _MASS_CANCEL)
        return self._outcome(seconds, mids)

    def _turn(self, until_ns: int | None) -> None:
        """Let happen what happens up to that moment; None: all that is on its way."""
        while self._heap and (until_ns is None or self._heap[0][0] <= until_ns):
            now_ns, _, kind, index = heapq.heappop(self._heap)
            participant = self.participants[index]
            if kind is _Kind.LOOK:
                self._looked[index] = now_ns
                news, self._news[index] = self._news[index], {}
                for symbol in news:
                    participant.saw(now_ns, symbol, self._quotes[self._symbols.index(symbol)])
            elif kind is _Kind.STEP:
                if self._scheduled[index] != now_ns:
                    continue  # it was put forward
                self._scheduled[index] = None
                self._step(now_ns, index, participant)
            self._schedule(index, at_least_ns=now_ns)

    def _step(self, now_ns: int, index: int, participant: Participant) -> None:
        end_ns = participant.market.end_ns
        if end_ns and now_ns >= end_ns:
            participant.stop(now_ns)
        participant.step(now_ns)
        for _, command in participant.due(now_ns, _AT_ONCE):
            self._apply(now_ns, index, command)

    def _schedule(self, index: int, at_least_ns: int = 0) -> None:
        """The participant's next step, where it is not in the heap yet."""
        next_ns, scheduled = self.participants[index].next_ns(), self._scheduled[index]
        if next_ns is None or (scheduled is not None and scheduled <= next_ns):
            return
        self._scheduled[index] = max(next_ns, at_least_ns)
        self._push(self._scheduled[index] or 0, _Kind.STEP, index)

    def _push(self, moment_ns: int, kind: _Kind, index: int) -> None:
        self._sequence += 1
        heapq.heappush(self._heap, (moment_ns, self._sequence, kind, index))

    def _apply(self, now_ns: int, index: int, command: Command) -> None:
        """A command has reached the exchange, which takes them one after the other."""
        self._free_ns = max(now_ns, self._free_ns) + MATCH_NS
        record = np.array([command], LOG_RECORD)
        record["command_id"] = (index + 1) << POSITION_BITS | self._positions[index]
        record["time_ns"] = self._free_ns
        self._positions[index] += 1
        self._commands += 1
        self._answer(self._engine.apply(record))

    def _answer(self, outputs: EngineOutputs) -> None:
        """Reports leave for those they are about, and prices for all who look."""
        for session, reports in outputs.reports.items():
            known = reports[reports["kind"] != EventKind.LOGGED_ON]
            self._fills[session - 1] += int((known["kind"] == EventKind.EXECUTED).sum())
            self.participants[session - 1].heard(self._free_ns, known)
            self._schedule(session - 1)
        events = outputs.events
        if not len(events):
            return
        self._hash.update(events.tobytes())
        self._events += len(events)
        trades = events[events["kind"] == EventKind.EXECUTED]
        self._trades += len(trades)
        for number in np.unique(events["instrument"]).tolist():
            mine = trades[trades["instrument"] == number]
            self._traded[number] += int(mine["quantity"].sum())
            self._show(number, mine, int(events["number"][-1]))

    def _show(self, number: int, trades: np.ndarray, event_number: int) -> None:
        """The newest touch of an instrument, for those who are interested, at their next look."""
        before = self._quotes[number]
        last = (int(trades["price_ticks"][-1]), int(trades["quantity"][-1])) if len(trades) else (before.last_ticks, before.last_lots)
        quote = Quote(*self._best(number, Side.BUY), *self._best(number, Side.SELL), *last, self._traded[number], event_number)
        if quote[:-1] == before[:-1]:
            return
        self._quotes[number] = quote
        for index in self._interested[number]:
            news = self._news[index]
            if not news:
                self._push(max(self._free_ns, self._looked[index] + self.participants[index].setting.look_ns), _Kind.LOOK, index)
            news[self._symbols[number]] = None

    def _best(self, number: int, side: Side) -> tuple[int, int]:
        """(ticks, lots) of the best level; zeros where the side is empty."""
        book, ladder = self._engine.book, ladder_of(number, int(side))
        level = int(book.ladders[ladder].best_level)
        if level == _NIL:
            return 0, 0
        return int(price_of_rank(ladder, rank_of_level(book, level))), int(book.levels[level].quantity)

    def _log_on(self, index: int, seat: Seat) -> None:
        record = np.zeros(1, LOG_RECORD)
        record["command_id"], record["kind"] = (index + 1) << POSITION_BITS | self._positions[index], CommandKind.LOGON
        names = record.view(LOGON)
        names["session_low"], names["session_high"] = name_words(seat.session)
        names["account_low"], names["account_high"] = name_words(seat.account)
        self._positions[index] += 1
        self._answer(self._engine.apply(record))

    def _outcome(self, seconds: float, mids: list[float | None]) -> Simulated:
        pages = [page_of(participant.ledger) for participant in self.participants]
        earned = []
        for seat, page, participant, fills in zip(self._seats, pages, self.participants, self._fills, strict=True):
            positions, cash = page["position"].tolist(), page["cash"].tolist()
            pnl = [money + held * (mid or 0.0) for money, held, mid in zip(cash, positions, mids, strict=True)]
            earned.append(Earned(seat.session, seat.account, participant.made, fills, positions, cash, pnl))
        everybody = np.array(pages)
        is_balanced = not any(everybody[name].sum(axis=0).any() for name in ("position", "cash"))
        return Simulated(
            self._hash.hexdigest(),
            seconds,
            self._commands,
            self._events,
            self._trades,
            sum(self._traded),
            mids,
            earned,
            is_balanced,
            self._engine.check(),
        )


_MASS_CANCEL: Command = (0, 0, 0, 0, 0, CommandKind.MASS_CANCEL, 0, 0, 0, 0, 0, ALL_INSTRUMENTS, 0, 0)


def simulate(config: ExchangeConfig, seats: Sequence[Seat], seconds: float) -> Simulated:
    """Run those participants on an exchange of that configuration for so many simulated seconds. Raises ConfigError."""
    return Scheduler(config, seats).run(seconds)
