"""What this machine is, as the kernel's files tell it: processor, cores and their caches, clocks, memory policy, load.

Every question takes the root below which /proc and /sys are looked for, so that tests can ask about machines they do not run on. An answer of
None means that the kernel does not say.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

ROOT = Path("/")
_CPU = "sys/devices/system/cpu"
_CORES_MAX = 1 << 16
_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def word(path: Path) -> str | None:
    """The text of a small file; None where it is empty or cannot be read."""
    try:
        return path.read_text().strip() or None
    except (OSError, UnicodeDecodeError):
        return None


def number(path: Path) -> int | None:
    """The number in a small file."""
    text = word(path)
    return int(text) if text is not None and text.removeprefix("-").isdecimal() else None


def chosen(path: Path) -> str | None:
    """The word in brackets, as in `always [madvise] never`."""
    words = word(path) or ""
    return words[words.index("[") + 1 : words.index("]")] if "[" in words else None


def cpu_list(text: str) -> list[int]:
    """Read `0-2,8` as [0, 1, 2, 8]. Raises ValueError."""
    cores: list[int] = []
    for part in filter(None, text.strip().split(",")):
        first, _, last = part.partition("-")
        low, high = int(first), int(last or first)
        if not 0 <= low <= high < _CORES_MAX:
            raise ValueError(f"{part} is no range of cores")
        cores += range(low, high + 1)
    return cores


def cpuinfo(key: str, root: Path = ROOT) -> str | None:
    """A value of /proc/cpuinfo, of the first core that has it."""
    for line in (word(root / "proc/cpuinfo") or "").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == key:
            return value.strip()
    return None


def virtual_machine(root: Path = ROOT) -> bool | None:
    """Whether a hypervisor runs below us (known on x86 only)."""
    flags = cpuinfo("flags", root)
    return "hypervisor" in flags.split() if flags else None


def smt_siblings(cores: Iterable[int], root: Path = ROOT) -> list[list[int]]:
    """Groups among `cores` that are threads of one physical core."""
    return [group for group in _groups(cores, "topology/thread_siblings_list", root) if len(group) > 1]


def l3_groups(cores: Iterable[int], root: Path = ROOT) -> list[list[int]]:
    """`cores` by the level 3 cache they share; empty where the kernel knows of none."""
    cores = list(cores)
    if not cores or (index := _cache(cores[0], 3, root)) is None:
        return []
    return _groups(cores, f"cache/{index.name}/shared_cpu_list", root)


def _groups(cores: Iterable[int], file: str, root: Path) -> list[list[int]]:
    cores = list(cores)
    groups = {tuple(cpu_list(word(root / _CPU / f"cpu{core}" / file) or str(core))) for core in cores}
    return [found for group in sorted(groups) if (found := [core for core in group if core in cores])]


def cache_bytes(core: int, level: int, root: Path = ROOT) -> int | None:
    """Size of a core's cache of that level."""
    index = _cache(core, level, root)
    size = word(index / "size") if index else None
    return int(size[:-1]) * _UNITS[size[-1]] if size and size[-1] in _UNITS else None


def _cache(core: int, level: int, root: Path) -> Path | None:
    indexes = sorted((root / _CPU / f"cpu{core}/cache").glob("index*"))
    return next((index for index in indexes if word(index / "level") == str(level)), None)


def governor(core: int, root: Path = ROOT) -> str | None:
    """How the core's frequency is chosen."""
    return word(root / _CPU / f"cpu{core}/cpufreq/scaling_governor")


def turbo(root: Path = ROOT) -> bool | None:
    """Whether frequencies above the nominal one are allowed."""
    if no_turbo := word(root / _CPU / "intel_pstate/no_turbo"):
        return no_turbo == "0"
    boost = word(root / _CPU / "cpufreq/boost")
    return boost == "1" if boost else None


def clock_source(root: Path = ROOT) -> str | None:
    """What the kernel reads the time from."""
    return word(root / "sys/devices/system/clocksource/clocksource0/current_clocksource")


def huge_pages(root: Path = ROOT) -> str | None:
    """Transparent huge pages of private memory: always, madvise or never."""
    return chosen(root / "sys/kernel/mm/transparent_hugepage/enabled")


def huge_pages_shared(root: Path = ROOT) -> str | None:
    """Transparent huge pages of shared memory."""
    return chosen(root / "sys/kernel/mm/transparent_hugepage/shmem_enabled")


def perf_event_paranoid(root: Path = ROOT) -> int | None:
    """What perf may see: -1 everything … 2 one's own processes, above that nothing. None: this kernel counts no events."""
    return number(root / "proc/sys/kernel/perf_event_paranoid")


def swap_bytes(root: Path = ROOT) -> int:
    """Swap space that is in use as such."""
    lines = (word(root / "proc/swaps") or "").splitlines()[1:]
    return sum(int(line.split()[-3]) << 10 for line in lines if len(line.split()) >= 5)


def load_average(root: Path = ROOT) -> float | None:
    """Processes that ran or wanted to, on average over the last minute."""
    words = (word(root / "proc/loadavg") or "").split()
    return float(words[0]) if words else None
