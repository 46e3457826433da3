"""`Exchange`: the handle of a running exchange, in the process that started it or in any other.

with Exchange.start("demo", [Instrument("ACME")]) as exchange:      ours: it ends with this block, and with this process at the latest
    children = exchange.spawn(trader, count=4)
exchange = Exchange.attach("demo")                                  somebody's: we look, spawn, and may ask it to stop
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, suppress
from itertools import cycle, islice
from pathlib import Path
from shutil import rmtree
from typing import Any, Self, TypeVar, cast, overload

from shm_exchange.domain.config import ExchangeConfig
from shm_exchange.domain.errors import ConfigError, ExchangeNotFound, HandleClosed, ProcessDied
from shm_exchange.domain.instrument import Instrument
from shm_exchange.domain.names import checked_whole_name
from shm_exchange.domain.packing import config_of
from shm_exchange.runtime.affinity import checked_cores, usable_cores
from shm_exchange.runtime.interactive import is_interactive
from shm_exchange.runtime.warm import ensure_warm
from shm_exchange.shm import SHM_DIR, Segment, attach, shards_of
from shm_exchange.supervisor.control import Verdict
from shm_exchange.supervisor.kept import Kept, checked_mode, kept_of
from shm_exchange.supervisor.owned import OwnedSupervisor
from shm_exchange.supervisor.remote import stop_segment, verify_exchange
from shm_exchange.supervisor.sharding import Shards, core_of_each, folder_of_each, split
from shm_exchange.supervisor.spawn import Child, Task, function_name, packed_arguments, session_names
from shm_exchange.supervisor.status import Status, status_of
from shm_exchange.supervisor.supervisor import VERIFY_SECONDS

T = TypeVar("T")
ours: dict[str, Exchange] = {}
"""Running exchanges that this process started."""


class Exchange:
    """A running exchange. Made by `start` (then it is ours) and `attach`."""

    def __init__(self, segment: Segment, owned: OwnedSupervisor | None = None) -> None:
        self.name = segment.name
        self.config: ExchangeConfig = segment.config
        self.children: list[Child[object]] = []
        """Everything that `spawn` started through this handle."""
        self._segment = segment
        self._owned = owned
        self._pid = os.getpid()
        self._cores = usable_cores()
        self._closed = False
        self._told = False
        self.trouble = ""
        """What went wrong with an end that no other error has told of, once it is closed."""
        if owned is not None:
            ours[self.name] = self
            atexit.register(self._stop_at_exit)

    @classmethod
    def start(
        cls,
        name: str,
        instruments: Iterable[Instrument],
        *,
        core: int | Sequence[int] | None = None,
        journal: str = "off",
        journal_directory: str | Path | None = None,
        shards: Shards = 1,
        **sizes: int,
    ) -> Self:
        """Start an exchange that ends with this process, or with `stop`, or at the end of a `with` block.

        A child process makes the memory and starts the matcher, pinned to `core` if that is given; kernels are compiled first where no cache has
        them. `sizes` are those of ExchangeConfig: max_orders, max_sessions, lane_capacity, depth … In a notebook or at a prompt, one of that name
        that this very process started is stopped first: so a cell can be run again.

        journal: "off"; "async" (accepted orders survive every kill -9); "group" or "sync" (and every loss of power: reports wait for the disk). It is
        written to `journal_directory`, which must be empty; without one, to a temporary folder that a clean stop removes.

        shards: so many matchers, each a process with books of its own, behind one Gateway and one EventFeed; or {symbol: shard} to say which goes
        where. Sizes are each shard's, `core` then is a list, and each has a journal of its own (JOURNAL_DIRECTORY/shard-0 …).

        Raises ExchangeRunning, NotEnoughMemory, ConfigError, JournalError, ProcessDied.
        """
        config = config_of(checked_whole_name(name), instruments, sizes)
        configs = [config] if shards == 1 else split(config, shards)
        cores = core_of_each(core, len(configs))
        checked_mode(journal)
        ensure_warm()
        former = ours.get(name)
        if former is not None and former._pid == os.getpid() and is_interactive():  # noqa: SLF001
            former.stop()
        with ExitStack() as undo:
            folders = [journal_directory] if shards == 1 else folder_of_each(journal_directory, len(configs))
            owned = [_launched(*each, undo) for each in zip(configs, cores, [kept_of(journal, folder) for folder in folders], strict=True)]
            _load_client()
            for supervisor in owned:
                supervisor.await_ready()
            parts = [Exchange(attach(each.name, write=True, populate=False), supervisor) for each, supervisor in zip(configs, owned, strict=True)]
            undo.pop_all()
        return cls._over(parts)

    @classmethod
    def attach(cls, name: str) -> Self:
        """A handle of an exchange that another process runs. Raises ExchangeNotFound, LayoutMismatch."""
        return cls._over([Exchange(attach(each, write=True, populate=False)) for each in shards_of(name) or (name,)])

    @classmethod
    def _over(cls, parts: list[Exchange]) -> Self:
        """The handle of one exchange, or of one in shards."""
        from shm_exchange.supervisor.sharded import ShardedExchange

        return cast("Self", parts[0] if len(parts) == 1 else ShardedExchange(parts))

    def status(self) -> Status:
        """The exchange in figures: counters, lanes, the matcher's pulse. Raises HandleClosed after `stop`."""
        return status_of(self._segment)

    def verify(self, timeout: float = VERIFY_SECONDS) -> Verdict:
        """Let the matcher check every invariant of its book, and hash its state. Raises ProcessDied, ExchangeError."""
        self._check_open()
        if self._owned is None:
            return verify_exchange(self.name, timeout)
        return Verdict(*self._request("verify", timeout=timeout)["verdict"])

    @overload
    def spawn(
        self,
        function: Callable[..., T],
        *arguments: object,
        session: str | None = None,
        account: str | None = None,
        core: int | Sequence[int] | None = None,
        count: int = 1,
        gateway: bool = True,
        **named: object,
    ) -> list[Child[T]]: ...

    @overload
    def spawn(
        self,
        function: str,
        *arguments: object,
        session: str | None = None,
        account: str | None = None,
        core: int | Sequence[int] | None = None,
        count: int = 1,
        gateway: bool = True,
        **named: object,
    ) -> list[Child[object]]: ...

    def spawn(
        self,
        function: Callable[..., T] | str,
        *arguments: object,
        session: str | None = None,
        account: str | None = None,
        core: int | Sequence[int] | None = None,
        count: int = 1,
        gateway: bool = True,
        **named: object,
    ) -> list[Child[T]] | list[Child[object]]:
        """Run `function(gateway, *arguments, **named)` in `count` new processes, each with a gateway of its own.

        The function must be importable, and may be given as "module:function". session, account: names, in which {n} counts 1, 2 …; a session
        that several would share gets "-{n}" at its end; by default sessions are named after the function. core: one, or several that the
        processes take in turn. gateway=False: no gateway, the function gets its own arguments only. The processes end with the exchange, and
        with this process. Raises ConfigError.
        """
        self._check_open()
        if count < 1:
            raise ConfigError(f"count={count} spawns nothing; give at least 1")
        target = function_name(function)
        payload = packed_arguments(arguments, named)
        ensure_warm()
        names = session_names(session, target, len(self.children) + 1, count)
        cores = [[one] for one in checked_cores(core, self._cores)] if core is not None else [list(self._cores)]
        lifelines = [self._pid, *self._supervisors()]
        started: list[Child[T]] = []
        try:
            for number, (name, chosen) in enumerate(zip(names, islice(cycle(cores), count), strict=True), 1):
                trader = account and account.replace("{n}", str(number))
                task = Task(target, self.name, name if gateway else None, trader, chosen, lifelines)
                started.append(Child(name, task, payload))
            self._take_charge([child.pid for child in started])
        except BaseException:
            for child in started:
                child.end()
            raise
        self.children += started
        return started

    def stop(self) -> None:
        """End all spawned processes, the matcher and the supervisor, and remove the memory. Again is harmless.

        Of an attached exchange: end what we spawned, then ask whoever runs it to stop it. Raises HandleClosed in a forked child, ExchangeError when
        the supervisor of an attached exchange does not stop.
        """
        self._end(stop=True)

    def close(self) -> None:
        """Let go: of an exchange that we started as `stop`; of an attached one only what we spawned ends. Again is harmless."""
        self._end(stop=bool(self._supervisors()))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """`close`. Raises ProcessDied for a death that no other error has told of."""
        if self._pid != os.getpid():
            return
        self.close()
        if self.trouble and kind is None:
            raise ProcessDied(self.trouble)

    def __repr__(self) -> str:
        return f"<Exchange {self.name!r}, {'closed' if self._closed else 'ours' if self._supervisors() else 'attached'}>"

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
        if self._owned is not None:
            trouble.append(self._owned.stop())
        if stop:
            with suppress(ExchangeNotFound):
                stop_segment(self._segment)
        self._segment.close()
        self._closed = True
        if ours.get(self.name) is self:
            del ours[self.name]
        self.trouble = "" if self._told else "\n".join(filter(None, trouble))
        atexit.unregister(self._stop_at_exit)

    def _stop_at_exit(self) -> None:
        if self._pid == os.getpid():
            self._end(stop=True)

    def _check_open(self) -> None:
        if self._closed or self._pid != os.getpid():
            raise HandleClosed(f"this handle of exchange {self.name!r} was closed, or belongs to the process that forked this one; attach again")

    def _supervisors(self) -> list[int]:
        """Processes of supervisors that are ours."""
        return [] if self._owned is None else [self._owned.pid]

    def _take_charge(self, pids: list[int]) -> None:
        """Let our supervisor count processes, and end them with the exchange."""
        if self._owned is not None:
            self._request("spawned", pids=pids)

    def _request(self, what: str, **details: Any) -> dict[str, Any]:
        """Ask our supervisor."""
        assert self._owned is not None
        try:
            return self._owned.request(what, **details)
        except ProcessDied:
            self._told = True
            raise


def _launched(config: ExchangeConfig, core: int | None, kept: Kept, undo: ExitStack) -> OwnedSupervisor:
    """A supervisor that is getting ready; `undo` ends it."""
    if kept.forgets:
        undo.callback(rmtree, kept.journal.directory, ignore_errors=True)
    owned = OwnedSupervisor(config, SHM_DIR, core, kept)
    undo.callback(owned.close)
    return owned


def _load_client() -> None:
    """What the caller of `start` uses next, got ready while its matcher does the same: numba, and the machinery behind its first kernel."""
    from shm_exchange.client.endpoint import load_kernels

    load_kernels()
