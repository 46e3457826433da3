"""`ShardedExchange`: the handle of an exchange in shards. Each shard is a whole exchange, with a supervisor, a matcher and a journal of its own.

What is asked of the whole is asked of every shard and added up. One that dies takes nothing with it: its supervisor replaces its matcher while the
others trade on, and what cannot be replaced is said by `verify`, and at the end.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256

from shm_exchange.domain.errors import ExchangeError, HandleClosed
from shm_exchange.domain.names import whole_name
from shm_exchange.runtime.affinity import usable_cores
from shm_exchange.supervisor.control import Verdict
from shm_exchange.supervisor.exchange import Exchange, ours
from shm_exchange.supervisor.sharded_status import ShardedStatus, summed
from shm_exchange.supervisor.supervisor import VERIFY_SECONDS


class ShardedExchange(Exchange):
    """A running exchange in shards. Made by `Exchange.start` (then it is ours) and `Exchange.attach`."""

    def __init__(self, shards: Sequence[Exchange]) -> None:
        from shm_exchange.client.shards import Catalogue

        self.shards = list(shards)
        """The handle of each shard."""
        configs = [part.config for part in shards]
        self.name = whole_name(configs[0].name)
        self.config = replace(configs[0], name=self.name, instruments=tuple(Catalogue(configs).instruments))
        """Of all: every instrument, in the order that Gateway and EventFeed count them; sizes are each shard's."""
        self.children = []
        self._pid, self._cores = os.getpid(), usable_cores()
        self._closed, self._told, self.trouble = False, False, ""
        if self._supervisors():
            ours[self.name] = self
            atexit.register(self._stop_at_exit)

    def status(self) -> ShardedStatus:
        """All shards in figures, added up, and each of them under "shards". Raises HandleClosed after `stop`."""
        return summed(self.name, self.config, [part.status() for part in self.shards])

    def verify(self, timeout: float = VERIFY_SECONDS) -> Verdict:
        """Let every matcher check its book: the first fault that is found, one hash of all states, and how many commands lie behind them."""
        self._check_open()
        verdicts = [part.verify(timeout) for part in self.shards]
        hashes = b"".join(verdict.state_hash.to_bytes(8, "little", signed=True) for verdict in verdicts)
        state_hash = int.from_bytes(sha256(hashes).digest()[:8], "little") >> 1
        faults = (verdict.check_code for verdict in verdicts if not verdict.holds)
        return Verdict(next(faults, 0), state_hash, sum(verdict.sequence for verdict in verdicts))

    def _end(self, *, stop: bool) -> None:
        if self._pid != os.getpid():
            raise HandleClosed(f"exchange {self.name!r} belongs to process {self._pid}, which forked this one; it is stopped there")
        if self._closed:
            return
        trouble = [child.unseen_problem for child in self.children]
        for child in self.children:
            child.terminate()
        for child in self.children:
            child.end()
        errors: list[ExchangeError] = []
        for part in self.shards:
            try:
                part.stop() if stop else part.close()
            except ExchangeError as error:  # the others are stopped all the same
                errors.append(error)
            trouble.append(part.trouble)
        self._closed = True
        if ours.get(self.name) is self:
            del ours[self.name]
        self.trouble = "" if self._told else "\n".join(filter(None, trouble))
        atexit.unregister(self._stop_at_exit)
        if errors:
            raise errors[0]

    def _supervisors(self) -> list[int]:
        return [pid for part in self.shards for pid in part._supervisors()]  # noqa: SLF001 (an exchange of exchanges)

    def _take_charge(self, pids: list[int]) -> None:
        for part in self.shards:
            part._take_charge(pids)  # noqa: SLF001
