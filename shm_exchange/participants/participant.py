"""One participant, whatever moves it: its behaviour, its market, its distance from the exchange, and the moments at which it acts.

It has neither a clock nor an exchange. `live` gives it the wall's and a gateway, `scheduler` simulated ones:

    heard, saw     what left the exchange now              ──▶ delayed ──▶ step: reports, prices, then `on_market`
    due            what has reached the exchange by now    ◀── delayed ◀── what the behaviour sent
"""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import NamedTuple

from shm_exchange._intrinsics import mix64
from shm_exchange.client.plain import Records, plain, rows
from shm_exchange.client.report import Report
from shm_exchange.domain.config import ExchangeConfig
from shm_exchange.participants.arrivals import POISSON, Arrivals
from shm_exchange.participants.behaviours import behaviour_of
from shm_exchange.participants.latency import NO_LATENCY, Latency, Line
from shm_exchange.participants.ledger import Ledger, fold_reports
from shm_exchange.participants.market import Market
from shm_exchange.participants.pacer import new_pacer, plan_next
from shm_exchange.participants.quotes import Command, Quote

LOOK_NS = 2_000_000
"""How often a participant looks at prices that may have moved, where it is one of a few …"""
LOOK_NS_EACH = 250_000
"""… and where it is one of many: so many looks share a core."""
_ARRIVALS_AT_ONCE = 64


class Setting(NamedTuple):
    """What one participant is: everything its process is told."""

    behaviour: str
    """A name, or module:qualname."""
    parameters: Mapping[str, object]
    symbols: tuple[str, ...]
    watched: tuple[str, ...] = ()
    seed: int = 1
    number: int = 0
    """Tells the participants of one seed apart."""
    rate: float = 0.0
    """Moments a second at which it acts; 0: whenever prices move."""
    burst: int = 1
    arrivals: Arrivals = POISSON
    latency: Latency = NO_LATENCY
    orders: int = 0
    """Commands in all; 0: no limit."""
    seconds: float = 0.0
    """0: no limit."""
    look_ns: int = LOOK_NS
    keep: bool = False
    """Leave open orders in the book at the end."""


class Participant:
    """See the module. Raises ConfigError for a behaviour or parameters that cannot be."""

    def __init__(self, setting: Setting, config: ExchangeConfig, ledger: Ledger) -> None:
        self.setting, self.ledger = setting, ledger
        self.behaviour = behaviour_of(setting.behaviour, setting.parameters, setting.seed, setting.number)
        key = f"{setting.seed} {setting.number}"
        self.market = Market(config.instruments, setting.symbols, setting.watched, Random(key))
        self.market.order_quota = config.session_orders
        self.made = 0
        """Commands that the behaviour has sent."""
        self._instruments = list(config.instruments)
        latency = setting.latency
        self._out: Line[Command] = Line(latency, Random(f"{key} out"))
        self._reports: Line[tuple[int, ...]] = Line(latency, Random(f"{key} reports"))
        self._quotes: Line[tuple[str, Quote]] = Line(latency, Random(f"{key} quotes"))
        self._pacer = None
        if setting.rate:
            seed = int(mix64(setting.seed << 20 ^ setting.number))
            self._pacer = plain(new_pacer(setting.rate, setting.burst, seed, setting.arrivals))
        self._acts = False
        self._next_ns = 0

    @property
    def is_done(self) -> bool:
        """Whether it has sent all it is to send, or was stopped."""
        return not self._acts

    def start(self, now_ns: int, end_ns: int, next_id: int) -> None:
        """The market begins. end_ns: 0 where nothing says when it ends; next_id: what its first command will be called."""
        market = self.market
        market.now_ns = market.start_ns = now_ns
        market.end_ns, market.next_id = end_ns, next_id
        if self._pacer is not None:
            self._pacer["next_ns"] = now_ns
            self._pacer["left"] = 1
            self._next_ns = int(plan_next(self._pacer))
        self._acts = True
        self.behaviour.on_start(market)
        self._collect(now_ns)

    def stop(self, now_ns: int) -> None:
        """It is over: the last word is the behaviour's. Again is harmless."""
        if not self._acts:
            return
        self.market.now_ns = now_ns
        self.behaviour.on_stop(self.market)
        self._collect(now_ns)
        self._acts = False

    def heard(self, now_ns: int, reports: Records) -> None:
        """REPORT records have left the exchange: they are in the ledger at once, and known to the behaviour when they arrive."""
        fold_reports(self.ledger, plain(reports))
        for row in rows(reports):
            self._reports.send(now_ns, row)

    def saw(self, now_ns: int, symbol: str, quote: Quote) -> None:
        """Prices have left the exchange."""
        self._quotes.send(now_ns, (symbol, quote))

    def step(self, now_ns: int) -> None:
        """Everything that has arrived or come due by now."""
        market, behaviour = self.market, self.behaviour
        market.now_ns = now_ns
        while (arrived := self._reports.take(now_ns)) is not None:
            report = Report(arrived[1], self._instruments)
            market.hear(report, arrived[1])
            behaviour.on_report(market, report)
        while (news := self._quotes.take(now_ns)) is not None:
            market.see(*news[1])
        self._collect(now_ns)
        for _ in range(self._moments(now_ns) if self._acts else 0):
            behaviour.on_market(market)
            market.has_news = False
            self._collect(now_ns)
            if not self._acts:
                break

    def next_ns(self) -> int | None:
        """When `step` or `due` will have something to do; None: not before something is heard or seen."""
        moments = [self._out.next_ns(), self._reports.next_ns(), self._quotes.next_ns()]
        if self._acts:
            moments += [self.market.wake_ns, self._next_ns if self._pacer is not None else None]
        return min((moment for moment in moments if moment is not None), default=None)

    def due(self, now_ns: int, at_most: int) -> list[tuple[int, Command]]:
        """(the moment it reaches the exchange, command), of those that have reached it by now."""
        arrived: list[tuple[int, Command]] = []
        while len(arrived) < at_most and (command := self._out.take(now_ns)) is not None:
            arrived.append(command)
        return arrived

    @property
    def has_unsent(self) -> bool:
        """Whether commands are on their way to the exchange."""
        return len(self._out) > 0

    def forget(self) -> None:
        """Reports were lost: it is to believe that nothing is open."""
        self.market.orders.clear()

    def _moments(self, now_ns: int) -> int:
        """How often to act now."""
        market, count = self.market, 0
        if market.wake_ns is not None and market.wake_ns <= now_ns:
            market.wake_ns, count = None, 1
        if self._pacer is None:
            return 1 if count or market.has_news else 0
        while self._next_ns <= now_ns and count < _ARRIVALS_AT_ONCE:
            count += 1
            self._next_ns = int(plan_next(self._pacer))
        return count

    def _collect(self, now_ns: int) -> None:
        """What the behaviour has just sent leaves now, as far as it may send so much."""
        limit = self.setting.orders
        for command in self.market.taken():
            if limit and self.made >= limit:
                self._acts = False
                return
            self.made += 1
            self._out.send(now_ns, command)
        if limit and self.made >= limit:
            self._acts = False


def look_ns_for(participants: int) -> int:
    """How often each of so many looks at the prices."""
    return max(LOOK_NS, LOOK_NS_EACH * participants)
