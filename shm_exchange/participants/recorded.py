"""A file of order flow as a participant: its commands, in its order, at its times, through one gateway. LOBSTER, CSV and the referee's form."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from shm_exchange.domain.errors import ConfigError
from shm_exchange.participants.behaviour import Behaviour, parameter
from shm_exchange.participants.flow_files import Wish, read_source
from shm_exchange.participants.market import Market
from shm_exchange.participants.quotes import Command


@dataclass
class Replay(Behaviour):
    """Sends a file. With times in it and no rate, by its own clock; with a rate, a command at each of its moments."""

    file: str = parameter("", "", "path of the file")
    speed: float = parameter(1.0, "", "times as fast as the file's clock", above=0.0)
    only: str = parameter("", "", "only the commands of this session of the file; empty: all")
    _commands: list[Command] = field(default_factory=list, init=False)
    _times: list[int] = field(default_factory=list, init=False)
    _sent: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        if not self.file or not Path(self.file).is_file():
            raise ConfigError(f"replay needs file = a path of a file that can be replayed; there is no file {self.file!r}")

    def on_start(self, market: Market) -> None:
        """Read it, for the instruments of this exchange."""
        flow = read_source(Path(self.file), Wish(symbol=market.symbol, instruments=market.instruments)).flow
        if self.only and self.only not in flow.sessions:
            raise ConfigError(f"{self.file} has no session {self.only!r}; it has {', '.join(flow.sessions)}")
        chosen = np.array([not self.only or flow.sessions[number] == self.only for number in flow.session_of], bool)
        self._commands = flow.commands[chosen].tolist()
        if flow.time_ns is not None and chosen.any():
            times = flow.time_ns[chosen]
            self._times = (np.rint((times - times[0]) / self.speed).astype(np.int64) + market.now_ns).tolist()
            market.wake_at(self._times[0])

    def on_market(self, market: Market) -> None:
        """Send what is due."""
        if not self._times:
            self._send(market, self._sent + 1)
            return
        until = self._sent
        while until < len(self._times) and self._times[until] <= market.now_ns:
            until += 1
        self._send(market, until)
        if until < len(self._times):
            market.wake_at(self._times[until])

    def _send(self, market: Market, until: int) -> None:
        for command in self._commands[self._sent : until]:
            market.send(command)
        self._sent = min(until, len(self._commands))
