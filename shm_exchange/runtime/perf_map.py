"""Names of compiled kernels for Linux perf: `perf-PID.map`, a line `start size name` for each function in memory.

perf finds a symbol in a file on disk; machine code made by numba lies in no file, and a profile of the matcher would be addresses alone. Where
`SHM_EXCHANGE_PERF_MAP` names a folder (/tmp is where perf looks), every process of ours writes its map there, anew whenever numba has compiled a
function or loaded it from the cache: so it is whole once the process is warm, in every role, and holds the user's numba functions too. `python -m
tools.profile` sets the variable; without it nothing here is imported.

A size is the way to the next function, or to the end of the mapping. numba offers no such list, so this looks into its code libraries; with a
numba that has changed there it warns, and the profile shows addresses. What was inlined lies inside its caller and has no name of its own.
"""

from __future__ import annotations

import os
import re
import warnings
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from functools import wraps
from importlib.metadata import version
from pathlib import Path
from typing import Any

VARIABLE = "SHM_EXCHANGE_PERF_MAP"
"""Holds the folder of the maps; inherited by every process of an exchange."""
WRITTEN_FOR = "0.68"
PERF_FOLDER = Path("/tmp")

FROM_PYTHON, FROM_C = " [called from Python]", " [called from C]"
"""Ends of the names of the wrappers that numba makes around a function."""

_PACKAGE = "shm_exchange."
_WRAPPERS = {"cpython": FROM_PYTHON, "cfunc": FROM_C}
_LENGTH = re.compile(r"\d+")

Function = tuple[int, str]
"""(address, name)"""


def map_of(pid: int, folder: Path = PERF_FOLDER) -> Path:
    """Where the map of a process lies, written or not."""
    return folder / f"perf-{pid}.map"


def start(folder: Path) -> None:
    """From now on keep the map of this process in `folder`. A numba that does not fit is a RuntimeWarning, as is a folder that cannot be written."""
    from numba.core import dispatcher

    if problem := why_not():
        warnings.warn(problem, RuntimeWarning, stacklevel=2)
        return
    functions: dict[int, str] = {}
    kind: Any = dispatcher.Dispatcher
    add_overload = kind.add_overload
    if getattr(add_overload, "writes_perf_map", False):
        return

    @wraps(add_overload)
    def add_and_name(self: Any, compiled: Any) -> None:
        add_overload(self, compiled)
        try:
            functions.update(functions_of(compiled.library))
            write(functions.items(), folder)
        except (AttributeError, OSError) as error:
            kind.add_overload = add_overload
            warnings.warn(_why_not(error, folder), RuntimeWarning, stacklevel=2)

    add_and_name.writes_perf_map = True  # type: ignore[attr-defined]
    kind.add_overload = add_and_name


def functions_of(library: Any) -> Iterator[Function]:
    """Every function of a code library of numba, with its address. Raises AttributeError where numba keeps them elsewhere.

    A library compiled now lists them itself. One from the cache is machine code without a list: there the bitcode that came along names them.
    """
    names = {function.name for function in library.get_defined_functions()}
    shared = library._shared_module  # noqa: SLF001 (None before anybody linked it)
    if shared is not None:
        names |= {function.name for function in shared.functions if not function.is_declaration}
    for name in names:
        if address := library.get_pointer_to_function(name):
            yield address, readable(name)


def readable(mangled: str) -> str:
    """`room.module.function` of numba's mangled name: no arguments, and no package where it is ours."""
    prefix, _, rest = mangled.rpartition("_ZN")
    parts = []
    while found := _LENGTH.match(rest):
        end = found.end() + int(found.group())
        parts.append(rest[found.end() : end].replace("_3clocals_3e", "<locals>"))
        rest = rest[end:]
    if not parts:
        return mangled
    wrapper = _WRAPPERS.get(prefix.rstrip(".")) or _WRAPPERS.get(parts[0], "")
    if parts[0] in _WRAPPERS:
        del parts[0]
    return ".".join(parts).removeprefix(_PACKAGE) + wrapper


def why_not() -> str:
    """Why this numba does not tell its functions, and what to do; nothing where it does."""
    from numba.core import codegen, dispatcher

    for home, names in ((codegen.JITCodeLibrary, ("get_defined_functions", "get_pointer_to_function")), (dispatcher.Dispatcher, ("add_overload",))):
        for name in names:
            if not hasattr(home, name):
                return _strange(f"{home.__name__} has no {name}")
    return ""


def write(functions: Iterable[Function], folder: Path) -> None:
    """Write the map of this process in one piece: a reader sees the old one or the new one."""
    ordered = sorted(functions)
    ends = [start for start, _ in ordered[1:]]
    mappings = _code_mappings()
    starts = [first for first, _ in mappings]
    lines = []
    for (address, name), following in zip(ordered, [*ends, 1 << 64], strict=True):
        place = bisect_right(starts, address) - 1
        end = min(following, mappings[place][1]) if place >= 0 else address
        lines.append(f"{address:x} {max(0, end - address):x} {name}\n")
    path = map_of(os.getpid(), folder)
    draft = path.with_suffix(".new")
    draft.write_text("".join(lines))
    draft.replace(path)


def _code_mappings() -> list[tuple[int, int]]:
    """(start, end) of everything this process may execute, ascending."""
    found = []
    for line in Path("/proc/self/maps").read_text().splitlines():
        addresses, rights = line.split(None, 2)[:2]
        if "x" in rights:
            first, last = addresses.split("-")
            found.append((int(first, 16), int(last, 16)))
    return found


def _why_not(error: Exception, folder: Path) -> str:
    if isinstance(error, OSError):
        return f"cannot write perf's map of kernel names into {folder} ({error.strerror}); set {VARIABLE} to a folder that can be written"
    return _strange(str(error))


def _strange(difference: str) -> str:
    return (
        f"numba {version('numba')} keeps its compiled functions elsewhere than numba {WRITTEN_FOR} ({difference}): "
        f"profiles will show no names of kernels; use numba {WRITTEN_FOR} to profile"
    )
