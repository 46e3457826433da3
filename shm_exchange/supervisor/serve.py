"""What a supervisor waits for: signals, requests, the end of its caller, of any of its crew or of a session's process.

Once a second it counts processes.

In the foreground (`shm-exchange run`) it ends with SIGINT or SIGTERM, or when the exchange had to be given up. As the child of `Exchange.start` it
ends when it is told to, or when its caller died or closed the pipe; after the exchange was given up it goes on to say so to whoever asks.
"""

from __future__ import annotations

import logging
import signal
from collections.abc import Sequence
from typing import Any

from shm_exchange.domain.errors import ExchangeError
from shm_exchange.runtime import pidfd
from shm_exchange.runtime.channel import Channel
from shm_exchange.runtime.signals import SignalPipe
from shm_exchange.supervisor.supervisor import Supervisor
from shm_exchange.supervisor.wire import packed_error

PLEASE_VERIFY = signal.SIGURG
"""Sent, again and again, by whoever only attached and wants the book checked: a supervisor that does not listen yet ignores it by default."""
_TICK_SECONDS = 1.0
_log = logging.getLogger(__name__)


def supervisor_signals(*more: signal.Signals) -> SignalPipe:
    """The signals that end a supervisor. Open it before there is anything to clean up."""
    return SignalPipe(signal.SIGTERM, *more)


def serve_in_foreground(supervisors: Sequence[Supervisor], signals: SignalPipe) -> str:
    """Until a signal of `signals` asks to end: "" then; or why the exchange was given up first. The caller stops the supervisors.

    Several are the shards of one exchange: a shard that is given up is told of, and the others go on, until none is left.
    """
    return _Service(supervisors, signals).run()


def serve_caller(supervisor: Supervisor, signals: SignalPipe, channel: Channel, caller: int) -> None:
    """Until told to stop, or until `caller` (a pidfd) has ended. The caller of this function stops the supervisor."""
    _Service([supervisor], signals, channel, caller).run()


class _Service:
    def __init__(self, supervisors: Sequence[Supervisor], signals: SignalPipe, channel: Channel | None = None, caller: int | None = None) -> None:
        self._supervisors = supervisors
        self._signals = signals
        self._channel = channel
        self._caller = caller
        self._mourned: set[str] = set()

    def run(self) -> str:
        """Wait, and do what is due, until there is a reason to end."""
        with SignalPipe(PLEASE_VERIFY) as self._wishes:
            return self._loop()

    def _loop(self) -> str:
        while True:
            watched = [handle for supervisor in self._supervisors for handle in supervisor.pidfds()]
            ready = pidfd.readable([*self._sources(), *watched], _TICK_SECONDS)
            if self._signals.fileno() in ready and self._signals.taken() - {PLEASE_VERIFY}:
                return ""
            if self._wishes.fileno() in ready and self._wishes.taken():
                self._verify()
            if self._caller in ready:
                return ""
            for supervisor in self._supervisors:
                if not ready or ready.intersection(supervisor.pidfds()):
                    supervisor.attend()
                if supervisor.matcher_death and supervisor.name not in self._mourned and (death := self._mourn(supervisor)):
                    return death
            if self._channel is not None and self._channel.reader in ready and self._requested(self._channel):
                return ""
            if not ready:
                for supervisor in self._supervisors:
                    supervisor.update_spinning()

    def _sources(self) -> list[int]:
        sources = [self._signals.fileno(), self._wishes.fileno()]
        if self._channel is not None and self._caller is not None:
            sources += [self._channel.reader, self._caller]
        return sources

    def _verify(self) -> None:
        """Somebody wishes a check: they read the verdict in the matcher's memory. A signal does not say of which shard."""
        for supervisor in self._supervisors:
            try:
                if not supervisor.matcher_death or len(self._supervisors) == 1:
                    supervisor.verify()
            except ExchangeError as error:
                _log.error("%s", error)

    def _mourn(self, supervisor: Supervisor) -> str:
        """An exchange was given up. In the foreground the last one is the end; a caller is told now, and again by every answer."""
        self._mourned.add(supervisor.name)
        if self._channel is None and len(self._mourned) == len(self._supervisors):
            return supervisor.matcher_death
        _log.error("%s", supervisor.matcher_death)
        return ""

    def _requested(self, channel: Channel) -> bool:
        """Answer what was asked; whether to end."""
        going_on = channel.fill()
        while (request := channel.take()) is not None:
            if request["request"] == "stop":
                return True
            channel.send(id=request["id"], **self._answer(request))
        return not going_on

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        (supervisor,) = self._supervisors
        try:
            if death := supervisor.matcher_death:
                return {"error": {"kind": "ProcessDied", "text": death}}
            if request["request"] == "verify":
                return {"verdict": supervisor.verify(request["timeout"])}
            if request["request"] == "spawned":
                supervisor.take_charge(request["pids"])
        except ExchangeError as error:
            return {"error": packed_error(error)}
        return {}
