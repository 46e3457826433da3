"""The two processes that every cross-core measurement needs: an exchange whose matcher sits on one core, and a gateway on another.

On one core both share it, nobody spins, and the figures measure the scheduler; the environment card says so.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from shm_exchange.domain.config import ExchangeConfig
from shm_exchange.domain.errors import ConfigError
from shm_exchange.domain.instrument import Instrument
from shm_exchange.runtime.launch import launch
from shm_exchange.supervisor.supervisor import Supervisor

EAGER_POLLS = 1 << 40
"""Never yield: both processes have a core of their own."""
TICK = "0.005"


def cores() -> tuple[int, int]:
    """(gateway's core, matcher's core): two different ones where there are two."""
    usable = sorted(os.sched_getaffinity(0))
    return usable[0], usable[-1]


def spare_core() -> int | None:
    """A core beside those two, where there is one. Caller: not pinned yet."""
    usable = sorted(os.sched_getaffinity(0))
    return usable[1] if len(usable) > 2 else None


def two_cores(what: str) -> tuple[int, int]:
    """`cores`, of which there must be two. Raises ConfigError."""
    own, other = cores()
    if own == other:
        raise ConfigError(f"{what} needs two cores: both ends spin, and on one core neither would let the other run")
    return own, other


def bench_config(name: str, **sizes: int) -> ExchangeConfig:
    """One instrument with the referee's tick, and two sessions with room for its standing book."""
    wanted = {
        "max_orders": 65_536,
        "max_sessions": 2,
        "session_orders": 65_536,
        "session_pages": 4096,
        "max_pages": 8192,
        "sweep_budget": 256,
        **sizes,
    }
    return ExchangeConfig(f"{name}-{os.getpid()}", (Instrument("MID", TICK),), **wanted)


@contextmanager
def pinned(core: int) -> Iterator[None]:
    """Keep this process on one core, for a while."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def peer(module: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """`python -m module arguments` beside us, once it has said that it is ready. It ends by itself; after an error or Ctrl-C it is killed."""
    with launch(module, arguments, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            if process.stdout.readline() != b"ready\n":
                raise SystemExit(f"{module} did not start")
            yield process
            if process.wait() != 0:
                raise SystemExit(f"{module} failed")
        finally:
            process.kill()


@contextmanager
def exchange(config: ExchangeConfig) -> Iterator[Supervisor]:
    """A running matcher on its core, spinning if it has one to itself; this process pinned to the other."""
    own, matcher = cores()
    with Supervisor(config, cores=(matcher, None), end_with_parent=True) as supervisor, pinned(own):
        supervisor.control.set_spin_polls(EAGER_POLLS if own != matcher else 0)
        yield supervisor
