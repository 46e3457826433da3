"""The shards of an exchange as clients see them: one list of instruments, one space of ids.

    order_id  = shard << 50 | lane << 40 | position      still below 2^53; the ids of shard 0 are what they would be without shards
    instrument: the first of every shard, then the second of every shard, and so on: the order they were given in where they were dealt in turn

Inside, a shard knows neither: it is a whole exchange with ids and instruments of its own. They are translated at this edge, where records are
copied anyway. Event and report numbers are not translated: every shard counts its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from threading import Event as Flag
from typing import NamedTuple

import numpy as np

from shm_exchange.client.plain import Records
from shm_exchange.client.sleeper import SLICE_NS, Sleeper
from shm_exchange.domain.config import ExchangeConfig
from shm_exchange.domain.enums import CommandKind, EventKind
from shm_exchange.domain.errors import ConfigError, UnknownSymbol
from shm_exchange.domain.instrument import Instrument
from shm_exchange.domain.limits import SHARD_BITS_FROM
from shm_exchange.domain.names import nearest
from shm_exchange.shm.group import shards_of
from shm_exchange.shm.segment import Segment, attach

LOCAL_MASK = (1 << SHARD_BITS_FROM) - 1
"""What of an id its own shard knows."""
NAP_SECONDS, NAP_SECONDS_MAX = 0.0001, 0.004
"""Between two looks at all shards: an eighth of the time waited, within these bounds."""


CLIENT_IDS_MAX = 1 << 18
"""Client order ids whose shard a gateway remembers, the latest ones."""


class Home(NamedTuple):
    """Where an instrument is traded."""

    shard: int
    place: int
    """The number it has there."""


class Catalogue:
    """All instruments of a sharded exchange, and where each of them is traded."""

    def __init__(self, configs: Sequence[ExchangeConfig]) -> None:
        longest = max(len(config.instruments) for config in configs)
        homes = [Home(shard, index) for index in range(longest) for shard, config in enumerate(configs) if index < len(config.instruments)]
        self.instruments: list[Instrument] = [configs[home.shard].instruments[home.place] for home in homes]
        self.homes = {instrument.symbol: home for instrument, home in zip(self.instruments, homes, strict=True)}
        self.places = np.array(homes, np.int64)
        """By instrument: shard, and number there."""
        self._numbers = [
            np.array([homes.index(Home(shard, index)) for index in range(len(config.instruments))]) for shard, config in enumerate(configs)
        ]

    def widen_reports(self, reports: Records, shard: int) -> Records:
        """Translate REPORT records of a shard, in place."""
        caused = reports["kind"] != EventKind.EXECUTED  # of a trade the cause is an event, and its number stays
        reports["cause_id"][caused] += shard << SHARD_BITS_FROM
        return self._widen(reports, shard, ("order_id",))

    def widen_events(self, events: Records, shard: int) -> Records:
        """Translate EVENT records of a shard, in place."""
        return self._widen(events, shard, ("order_id", "resting_order_id"))

    def _widen(self, records: Records, shard: int, ids: Iterable[str]) -> Records:
        numbers = self._numbers[shard]
        for name in ids:
            records[name][records[name] > 0] += shard << SHARD_BITS_FROM
        known = records["instrument"] < len(numbers)  # a refused command may name any
        records["instrument"][known] = numbers[records["instrument"][known]]
        return records


class ClientIds:
    """On which shard a session used each of its client order ids last, as far back as that is remembered."""

    def __init__(self, lanes: Sequence[Records]) -> None:
        """Begin with what the session's lanes still show, by shard; ids that were used on several are left out, for a lane tells no time."""
        used = [set(lane["client_order_id"][(lane["kind"] == CommandKind.ENTER) & (lane["number"] > 0)].tolist()) - {0} for lane in lanes]
        self._shards = {each: shard for shard, ids in enumerate(used) for each in ids if sum(each in other for other in used) == 1}

    def shard_of(self, client_order_id: int) -> int | None:
        """None where that is not known (any more)."""
        return self._shards.get(client_order_id)

    def remember(self, client_order_id: int, shard: int) -> None:
        """It was used there just now."""
        self._shards.pop(client_order_id, None)  # so that the dictionary's order is that of use
        self._shards[client_order_id] = shard
        if len(self._shards) > CLIENT_IDS_MAX:
            del self._shards[next(iter(self._shards))]


class ShardSleeper(Sleeper):
    """What is awaited where there are several shards: a thread that looks at all of them between naps, for there is no single word to sleep on."""

    def __init__(self, segments: Sequence[Segment], look: Callable[[], bool], glance: Callable[[], bool]) -> None:
        """look: asked in the loop; glance: the same or less, asked in the thread."""
        self._segments, self._glance, self._called_back = segments, glance, Flag()
        super().__init__(segments[0], look, self._nap, self._called_back.set)

    def _nap(self) -> bool:
        self._called_back.clear()
        start = time.monotonic()
        while not (found := self._glance()) and (waited := time.monotonic() - start) < SLICE_NS / 1e9:
            if self._called_back.wait(nap_of(waited)):
                break
        return found

    def _is_gone(self) -> bool:
        return all(not segment.is_current or not (segment.supervisor_alive or segment.matcher_alive) for segment in self._segments)


def nap_of(waited: float) -> float:
    """How long to sleep before the next look at all shards, in seconds."""
    return min(max(waited / 8, NAP_SECONDS), NAP_SECONDS_MAX)


def shard_of(order_id: int) -> int:
    """Which shard an order or command id belongs to."""
    return order_id >> SHARD_BITS_FROM


def attach_all(names: Sequence[str], *, dead_ok: bool = False) -> list[Segment]:
    """Map every shard read-only. Raises ExchangeNotFound, LayoutMismatch."""
    with ExitStack() as undo:
        segments = [undo.enter_context(attach(name, dead_ok=dead_ok)) for name in names]
        undo.pop_all()
    return segments


def attach_symbol(name: str, symbol: str | None, *, dead_ok: bool = False) -> tuple[Segment, int]:
    """Map, read-only, the exchange or the shard of it that trades `symbol`; and which shard that is. Raises UnknownSymbol, ConfigError."""
    names = shards_of(name)
    if not names:
        return attach(name, dead_ok=dead_ok), 0
    if symbol is None:
        raise ConfigError(f"exchange {name!r} runs in shards, each with books of its own: say which symbol")
    symbols: list[str] = []
    for shard, each in enumerate(names):
        segment = attach(each, dead_ok=dead_ok, populate=False)
        here = [instrument.symbol for instrument in segment.config.instruments]
        if symbol in here:
            return segment, shard
        symbols += here
        segment.close()
    raise unknown_symbol(name, symbol, symbols)


def unknown_symbol(name: str, symbol: object, known: Iterable[str]) -> UnknownSymbol:
    """The error that names what there is."""
    symbols = list(known)
    return UnknownSymbol(f"exchange {name!r} has no instrument {symbol!r}{nearest(str(symbol), symbols)}; it has {', '.join(symbols)}")
