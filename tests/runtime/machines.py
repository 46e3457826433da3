"""Machines that do not exist: the few files of /proc, /sys and cgroups that are asked, below a folder."""

from __future__ import annotations

from pathlib import Path

CPU = "sys/devices/system/cpu"


def machine(root: Path, **files: str) -> Path:
    """A root with these files; `__` in a name stands for a slash."""
    return put(root, {name.replace("__", "/"): text for name, text in files.items()})


def put(root: Path, files: dict[str, str]) -> Path:
    """Write files below a root, which is returned."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return root


def cores(root: Path, siblings: list[str], l3: list[str], governor: str = "performance") -> Path:
    """A machine whose core n has these SMT siblings and shares its level 3 cache with those."""
    for core, (threads, shared) in enumerate(zip(siblings, l3, strict=True)):
        put(
            root,
            {
                f"{CPU}/cpu{core}/topology/thread_siblings_list": threads,
                f"{CPU}/cpu{core}/cache/index0/level": "1",
                f"{CPU}/cpu{core}/cache/index3/level": "3",
                f"{CPU}/cpu{core}/cache/index3/size": "32M",
                f"{CPU}/cpu{core}/cache/index3/shared_cpu_list": shared,
                f"{CPU}/cpu{core}/cpufreq/scaling_governor": governor,
            },
        )
    return root
