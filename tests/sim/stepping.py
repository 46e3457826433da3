"""A protocol step by step: what shared memory looks like after each single instruction of it, as whoever is killed there leaves it.

Kernels run as plain Python, all the way down, so that there is an instruction to be killed after; between two of them memory is compared. What a
processor may reorder is the business of the memory model.
"""

from __future__ import annotations

import ctypes
import importlib.util
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import FrameType, FunctionType, ModuleType
from typing import Any

import numpy as np
import pytest

import shm_exchange
from shm_exchange import _intrinsics, _jit
from tests.sim.disk import Killed
from tests.sim.stage import BEHIND

_PACKAGE = str(Path(shm_exchange.__file__).parent)
_memcmp = ctypes.CDLL(None).memcmp
_memcmp.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]


@cache
def _twins() -> ModuleType:
    """The intrinsics in plain Python, as the interpreted mode has them."""
    spec = importlib.util.spec_from_file_location("interpreted_intrinsics", _intrinsics.__file__)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_jit, "INTERPRETED", True)
        spec.loader.exec_module(module)
    return module


def interpreted(function: Any, known: dict[Any, Any] | None = None) -> Any:
    """A function or kernel as plain Python, and everything of ours that it calls as well."""
    known = {} if known is None else known
    plain = getattr(function, "py_func", function)
    if plain in known:
        return known[plain]
    names = dict(plain.__globals__)
    known[plain] = made = FunctionType(plain.__code__, names, plain.__name__, plain.__defaults__, plain.__closure__)
    made.__kwdefaults__ = plain.__kwdefaults__
    for name in plain.__code__.co_names:
        called = getattr(names.get(name), BEHIND, names.get(name))
        if called is None:
            continue
        if getattr(_intrinsics, name, None) is called and hasattr(_twins(), name):
            names[name] = getattr(_twins(), name)
        elif hasattr(called, "py_func") or (isinstance(called, FunctionType) and called.__module__.startswith("shm_exchange.")):
            names[name] = interpreted(called, known)
    return made


class Recording:
    """Every state of `memory` (bytes) while functions of the package run."""

    def __init__(self, memory: np.ndarray) -> None:
        self._memory = memory.view(np.uint64)
        self._first = self._memory.copy()
        self._last = self._memory.copy()
        self._changes: list[tuple[np.ndarray, np.ndarray]] = []

    def __len__(self) -> int:
        return len(self._changes) + 1

    def run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call it, instruction by instruction."""
        before = sys.gettrace()
        sys.settrace(self._enter)
        try:
            with np.errstate(over="ignore"):
                return function(*arguments)
        finally:
            sys.settrace(before)
            self._look()

    def pictures(self, every: int = 1, words: range = range(0)) -> Iterator[np.ndarray]:
        """The memory as it was at the beginning, after each change (or each so many, and each to these bytes), and at the end."""
        image = self._first.copy()
        yield image.view(np.uint8)
        for number, (where, what) in enumerate(self._changes, 1):
            image[where] = what
            if number % every == 0 or number == len(self._changes) or any(8 * int(word) in words for word in where):
                yield image.view(np.uint8)

    def _enter(self, frame: FrameType, _event: str, _argument: object) -> Callable[..., Any] | None:
        if not frame.f_code.co_filename.startswith(_PACKAGE):
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return self._step

    def _step(self, _frame: FrameType, _event: str, _argument: object) -> Callable[..., Any]:
        if _memcmp(self._memory.ctypes.data, self._last.ctypes.data, self._last.nbytes):
            self._look()
        return self._step

    def _look(self) -> None:
        where = np.flatnonzero(self._memory != self._last)
        if len(where):
            self._changes.append((where, self._memory[where]))
            self._last[where] = self._memory[where]


def run_until(line: int, function: Callable[[], object], rooms: tuple[str, ...]) -> int:
    """Call it, and be killed in front of that line (0: never) among all that it runs in these rooms; how many lines were run or begun."""
    count, places = 0, tuple(f"{_PACKAGE}/{room}/" for room in rooms)

    def step(_frame: FrameType, event: str, _argument: object) -> Callable[..., Any]:
        nonlocal count
        if event == "line":
            count += 1
            if count == line:
                raise Killed
        return step

    def enter(frame: FrameType, _event: str, _argument: object) -> Callable[..., Any] | None:
        return step if frame.f_code.co_filename.startswith(places) else None

    before = sys.gettrace()
    sys.settrace(enter)
    try:
        function()
    except Killed:
        pass
    finally:
        sys.settrace(before)
    return count
