"""The compiled kernels of another process: what function lies at an address, and which function calls it.

Names come from the map that the process keeps (`runtime.perf_map`). Callers come from its machine code: kernels keep no frame pointer and leave no
unwind table, so no sampler can tell who called one. But a call of another kernel holds its whole address as a constant (LLVM's large code model on
x86-64), and a constant can be searched for. Only a kernel with one single caller gets it; of several, none is guessed.
"""

from __future__ import annotations

from bisect import bisect_right
from pathlib import Path
from typing import NamedTuple

from shm_exchange.runtime.perf_map import FROM_C, FROM_PYTHON, VARIABLE, map_of

_ADDRESS_BYTES = 8


class Function(NamedTuple):
    """A line of the map."""

    start: int
    size: int
    name: str


class Kernels:
    """What one process has compiled or loaded. Empty where it keeps no map."""

    def __init__(self, functions: list[Function], callers: dict[str, str] | None = None) -> None:
        self.functions = sorted(functions)
        self._starts = [function.start for function in self.functions]
        self._callers = callers or {}

    def name(self, address: int) -> str:
        """The function at an address; nothing where none is."""
        place = bisect_right(self._starts, address) - 1
        if place < 0:
            return ""
        function = self.functions[place]
        return function.name if address < function.start + function.size else ""

    def callers(self, name: str) -> list[str]:
        """The kernels by which `name` is called, outermost first, as far as each has one caller."""
        chain = [name]
        while (caller := self._callers.get(chain[0])) and caller not in chain:
            chain.insert(0, caller)
        return chain[:-1]


def kernels_of(pid: int) -> Kernels:
    """Read the map and the calls of a process that lives. Empty where it was started without the map."""
    functions = functions_in(map_file(pid))
    return Kernels(functions, _callers(pid, functions))


def map_file(pid: int) -> Path | None:
    """Where a process was told to keep its map; None where it was not, or is not ours to look at."""
    try:
        entries = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return None
    for entry in entries:
        name, _, value = entry.partition(b"=")
        if name == VARIABLE.encode() and value:
            return map_of(pid, Path(value.decode()))
    return None


def functions_in(path: Path | None) -> list[Function]:
    """The lines of a map; none where there is no such file."""
    if path is None or not path.exists():
        return []
    rows = (line.split(" ", 2) for line in path.read_text().splitlines())
    return [Function(int(start, 16), int(size, 16), name) for start, size, name in rows]


def _callers(pid: int, functions: list[Function]) -> dict[str, str]:
    """Kernel → the one kernel that calls it. A wrapper for calls from Python counts only where no kernel calls: the tour at the start uses both."""
    found: dict[str, set[str]] = {function.name: set() for function in functions}
    try:
        with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
            for function in functions:
                if function.name.endswith(FROM_C):
                    continue
                memory.seek(function.start)
                code = memory.read(function.size)
                for other in functions:
                    if other.name != function.name and other.start.to_bytes(_ADDRESS_BYTES, "little") in code:
                        found[other.name].add(function.name)
    except OSError:  # it has ended, or we may not look
        return {}
    single = {}
    for name, callers in found.items():
        inner = {caller for caller in callers if not caller.endswith(FROM_PYTHON)} or callers
        if len(inner) == 1:
            single[name] = inner.pop()
    return single
