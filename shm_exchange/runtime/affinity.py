"""Cores: which ones we may use, how a process takes one, and whether anybody may spin.

What counts is the affinity mask, because cpusets and taskset both show in it; a container's CPU quota shows in its cgroup only. A spinning
process that shares its core with the one it waits for makes that one wait: with more processes than cores nobody spins.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from pathlib import Path

from shm_exchange.domain.errors import ConfigError
from shm_exchange.runtime.cgroups import core_quota
from shm_exchange.runtime.machine import ROOT

SPIN_POLLS = 20_000
"""Empty polls before the first yield: about as long as a process needs to wake from a futex, so spinning never costs more than it saves."""


def usable_cores() -> tuple[int, ...]:
    """The cores this process may run on, in order."""
    return tuple(sorted(os.sched_getaffinity(0)))


def parallel_processes(root: Path = ROOT) -> int:
    """How many processes can run at the same time: the usable cores, or fewer under a CPU quota; at least 1."""
    cores = len(os.sched_getaffinity(0))
    quota = core_quota(root)
    return cores if quota is None else max(1, min(cores, int(quota)))


def spin_polls_for(processes: int) -> int:
    """How often a process that waits may look before it yields, when so many of them share our cores; 0: never spin."""
    return SPIN_POLLS if processes <= parallel_processes() else 0


def checked_cores(wanted: int | Iterable[int], usable: Collection[int] | None = None) -> tuple[int, ...]:
    """The wanted cores, if all of them are usable. Raises ConfigError."""
    allowed = usable_cores() if usable is None else tuple(sorted(usable))
    cores = (wanted,) if isinstance(wanted, int) else tuple(wanted)
    if not cores:
        raise ConfigError("core=[] names no core; leave it out to run on any")
    for core in cores:
        if isinstance(core, bool) or core not in allowed:
            raise ConfigError(
                f"core {core!r} cannot be used: this process may run on {_text(allowed)} (affinity, cpuset or taskset); choose one of those"
            )
    return cores


def pin(cores: int | Iterable[int]) -> None:
    """Let this process run on these cores only. Raises ConfigError for a core that the machine or its cpuset does not give us."""
    chosen = {cores} if isinstance(cores, int) else set(cores)
    try:
        os.sched_setaffinity(0, chosen)
    except (OSError, ValueError) as error:
        here = _text(usable_cores())
        raise ConfigError(f"cannot pin to {_text(chosen)}: {error}; this process runs on {here} now, choose one of those") from error


def _text(cores: Iterable[int]) -> str:
    numbers = sorted(cores)
    return f"core {numbers[0]}" if len(numbers) == 1 else f"cores {', '.join(map(str, numbers))}"
