"""What a container or a service manager allows us: memory, cores of time, cores. Both versions of control groups, and mixtures of them.

A group's limit holds for everything below it, so the strictest on the way to the top is the one that counts. A container often sees its own group as
the top of the mounted tree while /proc/self/cgroup still has the path of the host: then that path does not exist, and the top is asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from shm_exchange.runtime.machine import ROOT, number, word

_ENDLESS = 1 << 60
"""Version 1 says "no limit" with a number near 2^63."""


class MemoryLimit(NamedTuple):
    """How much memory the group may have, and how much it has already."""

    limit: int
    used: int

    @property
    def free(self) -> int:
        """What may still be taken, in bytes."""
        return max(0, self.limit - self.used)


def memory_limit(root: Path = ROOT) -> MemoryLimit | None:
    """The group with the least room left; None without a limit."""
    found = []
    for folder in _folders("memory", root):
        names = (("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes"))
        for limit_name, used_name in names:
            limit = number(folder / limit_name)
            if limit is not None and limit < _ENDLESS:
                found.append(MemoryLimit(limit, number(folder / used_name) or 0))
    return min(found, key=lambda limit: limit.free, default=None)


def core_quota(root: Path = ROOT) -> float | None:
    """Cores of time we may use; None without a limit."""
    quotas = [quota for folder in _folders("cpu", root) if (quota := _quota(folder)) is not None]
    return min(quotas, default=None)


def cpuset(root: Path = ROOT) -> str | None:
    """The cores our group is confined to, as the kernel writes them; None where it says nothing."""
    names = ("cpuset.cpus.effective", "cpuset.effective_cpus", "cpuset.cpus")
    return next((text for folder in _folders("cpuset", root) for name in names if (text := word(folder / name))), None)


def _quota(folder: Path) -> float | None:
    words = (word(folder / "cpu.max") or "").split()
    if len(words) != 2:
        words = [word(folder / f"cpu.cfs_{what}_us") or "" for what in ("quota", "period")]
    quota, period = words
    if not quota.isdecimal() or not period.isdecimal() or not int(period):  # "max", or -1
        return None
    return round(int(quota) / int(period), 2)


def _folders(controller: str, root: Path) -> Iterator[Path]:
    """Our group and all above it, the nearest first, in every tree that may know the controller."""
    top = root / "sys/fs/cgroup"
    for line in (word(root / "proc/self/cgroup") or "0::/").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        mounts = [top / controllers, top / controller] if controllers else [top, top / "unified"]
        for mount in dict.fromkeys(mounts):
            yield from _upwards(mount, path.strip("/"))


def _upwards(mount: Path, path: str) -> Iterator[Path]:
    folder = mount / path
    while folder != mount:
        if folder.is_dir():
            yield folder
        folder = folder.parent
    if mount.is_dir():
        yield mount
