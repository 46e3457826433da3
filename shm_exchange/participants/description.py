"""A market as it is wanted: groups of participants, and the seats that they become on an exchange. `market_file` reads it from TOML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from shm_exchange.domain.config import ExchangeConfig
from shm_exchange.domain.errors import ConfigError
from shm_exchange.domain.instrument import Instrument
from shm_exchange.domain.limits import NAME_BYTES
from shm_exchange.domain.names import checked_name, nearest
from shm_exchange.participants.arrivals import POISSON, Arrivals
from shm_exchange.participants.latency import NO_LATENCY, Latency
from shm_exchange.participants.participant import Setting, look_ns_for
from shm_exchange.participants.scheduler import Seat

_DEFAULT = "ACME"


@dataclass(frozen=True)
class Group:
    """One [[participant]] table."""

    line: int
    behaviour: str
    parameters: Mapping[str, object]
    count: int = 1
    session: str | None = None
    account: str | None = None
    symbols: tuple[str, ...] = ()
    watched: tuple[str, ...] = ()
    rate: float = 0.0
    burst: int = 1
    arrivals: Arrivals = POISSON
    latency: Latency = NO_LATENCY
    look_ns: int | None = None
    seed: int | None = None
    cores: tuple[int, ...] = ()
    keep: bool = False


class Description(NamedTuple):
    """A whole file."""

    path: str
    exchange: str | None
    seconds: float
    """0: no limit."""
    orders: int
    seed: int
    instruments: tuple[Instrument, ...]
    groups: tuple[Group, ...]

    @property
    def participants(self) -> int:
        """How many there are in all."""
        return sum(group.count for group in self.groups)

    def seats(self, symbols: tuple[str, ...], seconds: float, orders: int) -> list[tuple[Seat, int | None]]:
        """Every participant with the core it is to run on, on an exchange with these symbols. Raises ConfigError."""
        made: list[tuple[Seat, int | None]] = []
        names: dict[str, int] = {}
        for group in self.groups:
            for symbol in (*group.symbols, *(watched for watched in group.watched if "@" not in watched)):
                if symbol not in symbols:
                    raise ConfigError(
                        f"{self.path}:{group.line}: there is no symbol {symbol!r}{nearest(symbol, symbols)}; known are {', '.join(symbols)}"
                    )
            for number in range(group.count):
                name = self._name(group, names)
                setting = self._setting(group, symbols, seconds, orders, len(made))
                account = (group.account or name).replace("{n}", str(number + 1))
                core = group.cores[number % len(group.cores)] if group.cores else None
                made.append((Seat(name, checked_name(account, "account"), setting), core))
        return made

    def _setting(self, group: Group, symbols: tuple[str, ...], seconds: float, orders: int, number: int) -> Setting:
        return Setting(
            behaviour=group.behaviour,
            parameters=group.parameters,
            symbols=group.symbols or symbols[:1],
            watched=group.watched,
            seed=self.seed if group.seed is None else group.seed,
            number=number,
            rate=group.rate,
            burst=group.burst,
            arrivals=group.arrivals,
            latency=group.latency,
            orders=orders,
            seconds=seconds,
            look_ns=look_ns_for(self.participants) if group.look_ns is None else group.look_ns,
            keep=group.keep,
        )

    def _name(self, group: Group, names: dict[str, int]) -> str:
        """Of the next session of a group: after its template, or after its behaviour; several of one name are numbered."""
        template = group.session or group.behaviour.rpartition(":")[2].rpartition(".")[2] + "-{n}"
        if "{n}" not in template and group.count > 1:
            template += "-{n}"
        names[template] = names.get(template, 0) + 1
        digits = str(names[template])
        if "{n}" not in template and names[template] > 1:
            raise ConfigError(f"{self.path}:{group.line}: session {template!r} is named twice; let {{n}} count in it")
        room = NAME_BYTES - len(digits)
        head, _, tail = template.partition("{n}") if "{n}" in template else (template, "", "")
        name = f"{head[: room - len(tail) - 1]}-{digits}{tail}" if len(head) + len(tail) > room else template.replace("{n}", digits)
        return checked_name(name, "session")


def config_for(description: Description) -> ExchangeConfig:
    """The exchange of a simulation: the instruments of the file, or those that its participants name."""
    named = dict.fromkeys(symbol for group in description.groups for symbol in (*group.symbols, *group.watched) if "@" not in symbol)
    instruments = description.instruments or tuple(Instrument(symbol) for symbol in named or (_DEFAULT,))
    sessions = max(16, description.participants)
    return ExchangeConfig(description.exchange or "simulated", instruments, max_sessions=sessions, max_orders=max(65_536, 1024 * sessions))
