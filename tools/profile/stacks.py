"""Samples as stacks of readable frames, root first, whoever took them.

Frames are of four kinds: compiled (our kernels, and any other numba function), python, native (the interpreter's C and libraries) and system (Linux).
The way into the interpreter is folded into one frame `Python`; frames that nobody can name are left out; what called a kernel is added where it is
known (see `kernels`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from shm_exchange.runtime.perf_map import FROM_PYTHON
from tools.profile.kernels import Kernels

COMPILED, PYTHON, NATIVE, SYSTEM = "compiled", "python", "native", "system"

_PERF_FRAME = re.compile(r"\s+([0-9a-f]+) (.*) \((.*)\)$")
_SPY_ADDRESS = re.compile(r"0x([0-9a-f]+) \(.*\)$")
_SPY_PYTHON = re.compile(r"(.*) \((.*\.py)(?::\d+)?\)$")
_SPY_STARTER = "<frozen "
"""Files of the interpreter that only lead to the program."""
_SPY_NATIVE = re.compile(r"(.*) \((.*)\)$")
_UNKNOWN = "[unknown]"
_INTERPRETER = "_PyEval_EvalFrameDefault"
_LINUX = "[kernel"
_SYSTEM_CALL = re.compile(r"__(?:x64|arm64)_sys_(\w+)")


class Frame(NamedTuple):
    """One function on a stack."""

    name: str
    kind: str


Stack = tuple[Frame, ...]
"""Root first."""
IN_PYTHON = Frame("Python", PYTHON)
NAMELESS = Frame(_UNKNOWN, NATIVE)


class Weighed(NamedTuple):
    """A stack, and how many samples in a row found it."""

    stack: Stack
    samples: int


def from_perf(text: str, kernels: Kernels) -> list[Weighed]:
    """Stacks of `perf script -F tid,time,ip,sym,dso`, in the order of time."""
    found = []
    for sample in text.split("\n\n"):
        lines = [match for line in sample.splitlines() if (match := _PERF_FRAME.match(line))]
        if lines:
            frames = [_perf_frame(int(line[1], 16), line[2], line[3], kernels) for line in reversed(lines)]
            found.append(Weighed(_readable(frames, kernels), 1))
    return found


def from_py_spy(text: str, kernels: Kernels) -> list[Weighed]:
    """Stacks of `py-spy record -f raw`; it tells no order."""
    found = []
    for line in text.splitlines():
        names, _, count = line.rpartition(" ")
        frames = [_spy_frame(name, kernels) for name in names.split(";")]
        found.append(Weighed(_readable(frames, kernels), int(count)))
    return found


def own_work(stack: Stack) -> Frame:
    """To whom a sample is charged: the innermost frame, or the system call that was under way."""
    if stack[-1].kind != SYSTEM:
        return stack[-1]
    for frame in stack:
        if call := _SYSTEM_CALL.match(frame.name):
            return Frame(f"system call {call[1]}", SYSTEM)
    return Frame("interrupts and faults", SYSTEM)


def _perf_frame(address: int, symbol: str, module: str, kernels: Kernels) -> Frame:
    if name := kernels.name(address):
        return Frame(name, COMPILED)
    if module.startswith(_LINUX):
        return Frame(symbol, SYSTEM)
    return Frame(symbol.partition("@")[0], NATIVE)


def _spy_frame(text: str, kernels: Kernels) -> Frame:
    if address := _SPY_ADDRESS.match(text):
        name = kernels.name(int(address[1], 16))
        return Frame(name, COMPILED) if name else NAMELESS
    if _SPY_STARTER in text:
        return NAMELESS
    if python := _SPY_PYTHON.match(text):
        return Frame(f"{python[1]} ({python[2].removeprefix('shm_exchange/')})", PYTHON)
    native = _SPY_NATIVE.match(text)
    return Frame(native[1] if native else text, NATIVE)


def _readable(frames: Iterable[Frame], kernels: Kernels) -> Stack:
    known = [frame for frame in frames if frame.name != _UNKNOWN]
    inside = max((place for place, frame in enumerate(known) if frame.name == _INTERPRETER), default=-1)
    if inside >= 0:
        known[: inside + 1] = [IN_PYTHON]
    return tuple(_with_callers(known, kernels)) or (NAMELESS,)


def _with_callers(frames: list[Frame], kernels: Kernels) -> Iterator[Frame]:
    """Put in front of the outermost kernel those that called it. The wrapper that numba makes for calls from Python is no news to anybody."""
    before: Frame | None = None
    for frame in frames:
        if frame.kind == COMPILED and (before is None or before.kind != COMPILED):
            callers = kernels.callers(frame.name)
            if before is None and (frame.name.endswith(FROM_PYTHON) or (callers and callers[0].endswith(FROM_PYTHON))):
                yield IN_PYTHON
            for caller in callers:
                if not caller.endswith(FROM_PYTHON):
                    yield Frame(caller, COMPILED)
        yield frame
        before = frame
