"""The protocols' own texts, bound to a processor of the model: kernels as they stand, or with one order made weaker."""

from __future__ import annotations

from functools import partial
from types import FunctionType
from typing import Any

from shm_exchange import _intrinsics
from tests.litmus.interleave import nothing, plain
from tests.sim.processor import LOCKED, Processor


class Weaker:
    """One order of a protocol made weaker: an acquire or release access relaxed, a locked operation no fence, a fence or a relaxed store left out."""

    def __init__(self, kernel: str, order: str, field: str = "") -> None:
        self.kernel, self.order, self.field = kernel, order, field

    def __repr__(self) -> str:
        return f"{self.kernel}:{self.order}" + (f":{self.field}" if self.field else "")

    def stand_in(self, processor: Processor) -> Any:
        """What is done instead."""
        relaxed = {"store_release": processor.store_relaxed, "load_acquire": processor.load_relaxed}
        if self.order in LOCKED:
            return partial(processor.locked, "relaxed", LOCKED[self.order])
        return relaxed.get(self.order, nothing)


class Texts:
    """Kernels as they stand, and all that they call, on a processor.

    weaker: orders that are made weaker in them; replaced: constants and functions, by their names, that others take the place of.
    """

    def __init__(self, processor: Processor, *weaker: Weaker, **replaced: Any) -> None:
        self._processor, self._weaker = processor, weaker
        self._known = replaced
        self.weakened: set[Weaker] = set()
        """Those that were really used."""

    def __call__(self, kernel: Any) -> Any:
        """A kernel as plain Python."""
        function = getattr(kernel, "py_func", kernel)
        if function.__name__ not in self._known:
            called = {name: function.__globals__[name] for name in function.__code__.co_names if name in function.__globals__}
            inner = {name: self._known.get(name) or self(one) for name, one in called.items() if name in self._known or _is_kernel(one)}
            self._known[function.__name__] = plain(kernel, **inner | self._intrinsics_for(function.__name__))
        return self._known[function.__name__]

    def _intrinsics_for(self, kernel: str) -> dict[str, Any]:
        intrinsics = dict(self._processor.intrinsics)
        for weaker in self._weaker:
            if weaker.kernel == kernel:
                intrinsics[weaker.order] = self._weakened(weaker, intrinsics[weaker.order])
        return intrinsics

    def _weakened(self, weaker: Weaker, strong: Any) -> Any:
        weak = weaker.stand_in(self._processor)

        def use(*arguments: Any) -> Any:
            if weaker.field and arguments[1] != weaker.field:
                return strong(*arguments)
            self.weakened.add(weaker)
            return weak(*arguments)

        return use


def _is_kernel(thing: Any) -> bool:
    function = getattr(thing, "py_func", thing)
    return isinstance(function, FunctionType) and function.__module__.startswith("shm_exchange.") and function.__module__ != _intrinsics.__name__
