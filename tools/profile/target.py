"""The process to look at: the matcher or a gateway of an exchange, found through the exchange's own words.

Every process that a command starts inherits the folder of the kernel maps, and that folder is ours alone: so its exchange can be told from others
that run on this machine. A profile of a process that compiles or waits for its first order says nothing; it begins when commands have come in
twice in a row.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from shm_exchange.domain.errors import ConfigError, ExchangeError, ExchangeNotFound
from shm_exchange.domain.names import nearest
from shm_exchange.runtime.perf_map import VARIABLE
from shm_exchange.shm import Segment, attach, exchanges
from shm_exchange.supervisor.status import status_of
from tools.profile import machine

MATCHER, GATEWAY = "matcher", "gateway"
_LOOK_SECONDS = 0.1
_SAY_SECONDS = 5.0
_GRACE_SECONDS = 20.0


class Target(NamedTuple):
    """Whom we look at."""

    exchange: str
    """Empty for a process that was named by its pid: then nothing else is known either."""
    role: str
    session: str
    """Of a gateway; empty for a matcher."""
    pid: int

    def __str__(self) -> str:
        whose = f"{self.role} {self.session!r}" if self.session else self.role
        return f"{whose} of {self.exchange}, process {self.pid}" if self.exchange else f"process {self.pid}"


class Wish(NamedTuple):
    """Which process is wanted. What is empty fits any."""

    role: str = MATCHER
    exchange: str = ""
    session: str = ""
    maps: str = ""
    """The folder of kernel maps by which processes of our command are known."""


class Running:
    """A command whose processes keep maps of their kernels. What it prints goes to standard error; ours is for figures."""

    def __init__(self, command: Sequence[str], maps: Path) -> None:
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # in a script's background; the command would inherit it, and ignore our Ctrl-C
            signal.signal(signal.SIGINT, signal.default_int_handler)
        environment = os.environ | {VARIABLE: str(maps), "PATH": machine.search_path()}
        try:
            found = machine.program(command[0]) or command[0]  # Popen itself would look along our own PATH
            self._process = subprocess.Popen([found, *command[1:]], env=environment, stdin=subprocess.DEVNULL, stdout=2)
        except OSError as error:
            raise ConfigError(f"cannot start {command[0]}: {error.strerror}; give a command as you would type it, behind --") from error

    def poll(self) -> int | None:
        """Its exit status; None while it runs."""
        return self._process.poll()

    def end(self) -> None:
        """Ctrl-C, and, where that is not enough after a while, SIGTERM and SIGKILL."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            if self.poll() is None:
                self._process.send_signal(number)
                with suppress(subprocess.TimeoutExpired):
                    self._process.wait(_GRACE_SECONDS)


@contextmanager
def running(command: Sequence[str], maps: Path) -> Iterator[Running]:
    """A command for the time of a block; it is ended with it."""
    started = Running(command, maps)
    try:
        yield started
    finally:
        started.end()


def busy(wish: Wish, command: Running | None, patience: float, say: Callable[[str], None]) -> Target:
    """Wait until a process that fits is at work. Raises ExchangeError when the command ends before, or after `patience` seconds."""
    watch = _Watch(wish)
    began = said = time.monotonic()
    while True:
        if found := watch.look():
            return found
        status = command.poll() if command else None
        if status is not None:
            how = "" if status == 0 else f" with {status}"
            raise ExchangeError(f"the command ended{how} before its {wish.role} was busy for {2 * _LOOK_SECONDS:g} s; give it more to do")
        now = time.monotonic()
        if now - began > patience:
            raise ExchangeError(f"no {wish.role} was busy within {patience:g} s: {watch.seen}; send it orders, or allow more with --patience")
        if now - said > _SAY_SECONDS:
            said = now
            say(f"waiting for a busy {wish.role} ({now - began:.0f} s): {watch.seen}")
        time.sleep(_LOOK_SECONDS)


class _Watch:
    """Looks at all exchanges again and again; who took commands between two looks, and between the two before, is busy."""

    def __init__(self, wish: Wish) -> None:
        self._wish = wish
        self._counts: dict[Target, int] = {}
        self._grew: set[Target] = set()
        self.seen = "there is no exchange yet"

    def look(self) -> Target | None:
        """The busiest process that fits; None where none was busy twice in a row."""
        counts = dict(self._candidates())
        growth = {target: count - self._counts.get(target, count) for target, count in counts.items()}
        grew = {target for target, more in growth.items() if more > 0}
        both = grew & self._grew
        self._counts, self._grew = counts, grew
        self.seen = f"{', '.join(map(str, counts))}: no orders come" if counts else "there is no exchange yet"
        return max(both, key=growth.__getitem__, default=None)

    def _candidates(self) -> Iterator[tuple[Target, int]]:
        """Every process that fits, and how many commands it has handled."""
        for info in exchanges():
            if not info.is_alive or self._wish.exchange not in ("", info.name):
                continue
            with suppress(ExchangeError, OSError), attach(info.name, dead_ok=True, populate=False, timeout=_LOOK_SECONDS) as segment:
                yield from (found for found in _roles(segment, self._wish) if self._is_ours(found[0].pid))

    def _is_ours(self, pid: int) -> bool:
        if not self._wish.maps:
            return True
        try:
            return f"{VARIABLE}={self._wish.maps}\0".encode() in Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            return False


def _roles(segment: Segment, wish: Wish) -> Iterator[tuple[Target, int]]:
    status = status_of(segment)
    if status["matcher"] != "running":
        return
    if wish.role == MATCHER:
        yield Target(segment.name, MATCHER, "", status["matcher_pid"]), status["commands"]
        return
    for lane in status["lanes"]:
        if lane["alive"] and wish.session in ("", lane["session"]):
            yield Target(segment.name, GATEWAY, lane["session"], lane["pid"]), lane["commands"]


def running_exchange(name: str) -> str:
    """The name of a living exchange, the only one where none is given. Raises ExchangeNotFound, ConfigError."""
    alive = [info.name for info in exchanges() if info.is_alive]
    known = f"there are {', '.join(alive)}" if alive else "there is none at all"
    if name and name not in alive:
        raise ExchangeNotFound(f"no exchange {name!r}{nearest(name, alive)} is running; {known}")
    if not name and len(alive) != 1:
        raise ConfigError(f"say what to profile, a command behind -- or the name of a running exchange; {known}")
    return name or alive[0]
