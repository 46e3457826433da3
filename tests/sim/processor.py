"""The protocols' own texts on the memory model: kernels as plain Python whose every use of a shared word is an operation of the model.

A program is a function without arguments that calls such texts. It has no thread: whenever the model has answered its last operation it is run again
from its beginning, with all the answers it got so far, until it comes to the next one. So it must depend on nothing else, and must make the private
memory that it writes anew each time. What it has learnt is a node of a tree; programs that learnt the same are at the same node, and run once.

Records of `shared` arrays may be used as in any kernel: through intrinsics, by plain attributes (a relaxed access), by their addresses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np

from tests.litmus.interleave import nothing
from tests.sim.memory_model import Operation, Order

Program = Callable[[], object]

LOCKED: dict[str, Callable[[int, int], int]] = {"exchange": lambda _, operand: operand, "fetch_or": int.__or__, "fetch_and": int.__and__}
"""From the word and the operand to the new word."""
_PRIVATE = 1 << 40
"""Addresses from here on are those of private records."""


class _AtOperation(BaseException):
    """Ends a run of a program at the operation that nobody has answered yet."""

    def __init__(self, operation: Operation) -> None:
        self.operation = operation


class Node:
    """All that a program has learnt so far, and what it does next."""

    def __init__(self, processor: Processor, program: Program, results: tuple[int, ...] = (), values: dict[int, int] | None = None) -> None:
        self._processor, self._program, self._results, self._values = processor, program, results, values or {}
        self._next: dict[tuple[int, int], Node] = {}
        self.loads: list[int] = []
        """Locations of the relaxed loads between the last answer and the next operation."""
        self.first_load = 0
        self.operation = Operation("done")

    def run(self, known_loads: int) -> Node:
        """Find out what comes next; so many relaxed loads have begun before."""
        self.operation, loads = self._processor.run(self._program, self._results, self._values)
        self.loads, self.first_load = loads[known_loads:], known_loads
        return self

    def result(self, result: int) -> Node:
        """The operation was performed, with this result."""
        if (-1, result) not in self._next:
            node = Node(self._processor, self._program, (*self._results, result), self._values)
            self._next[-1, result] = node.run(self._known)
        return self._next[-1, result]

    def learn(self, number: int, value: int) -> Node:
        """The relaxed load of this number was performed."""
        if (number, value) not in self._next:
            node = Node(self._processor, self._program, self._results, self._values | {number: value})
            if self.operation.kind == "need" and self.operation.value == number:
                node.run(self._known)
            else:
                node.operation, node.first_load = self.operation, self._known
            self._next[number, value] = node
        return self._next[number, value]

    @property
    def _known(self) -> int:
        return self.first_load + len(self.loads)


class LateValue:
    """What a relaxed load will have read when somebody asks."""

    __slots__ = ("_number", "_processor")

    def __init__(self, processor: Processor, number: int) -> None:
        self._processor, self._number = processor, number

    def __int__(self) -> int:
        return self._processor.value_of(self._number)

    __index__ = __int__

    def __eq__(self, other: object) -> bool:
        return int(self) == other

    __hash__ = None  # type: ignore[assignment]

    def __lt__(self, other: int) -> bool:
        return int(self) < other

    def __le__(self, other: int) -> bool:
        return int(self) <= other

    def __gt__(self, other: int) -> bool:
        return int(self) > other

    def __ge__(self, other: int) -> bool:
        return int(self) >= other

    def __add__(self, other: int) -> int:
        return int(self) + int(other)

    def __sub__(self, other: int) -> int:
        return int(self) - int(other)

    def __rsub__(self, other: int) -> int:
        return int(other) - int(self)

    def __mod__(self, other: int) -> int:
        return int(self) % other

    def __rmul__(self, other: int) -> int:
        return other * int(self)

    def __and__(self, other: int) -> int:
        return int(self) & int(other)


class SharedRecord:
    """A record of shared memory: its fields are locations of the model."""

    def __init__(self, processor: Processor, locations: dict[str, int]) -> None:
        object.__setattr__(self, "processor", processor)
        object.__setattr__(self, "locations", locations)

    def __getattr__(self, field: str) -> Any:
        return self.processor.load_relaxed(self, field)

    def __setattr__(self, field: str, value: int) -> None:
        self.processor.store_relaxed(self, field, value)


class SharedArray:
    """An array of shared records."""

    def __init__(self, records: list[SharedRecord], address: int, record_bytes: int) -> None:
        self._records, self._record_bytes = records, record_bytes
        self.ctypes = SimpleNamespace(data=address)

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index: int) -> SharedRecord:
        return self._records[index]

    def part(self, index: int) -> SharedArray:
        """An array of this record alone."""
        return SharedArray([self[index]], self.address_of(index), self._record_bytes)

    def address_of(self, index: int) -> int:
        """Where a record lies."""
        return int(self.ctypes.data) + index * self._record_bytes


class PrivateArray(list[SimpleNamespace]):
    """An array of private records, into which a shared one can be copied as a whole."""

    def __setitem__(self, index: Any, record: Any) -> None:
        super().__setitem__(index, SimpleNamespace(**{field: getattr(record, field) for field in record.locations}))


def private(dtype: np.dtype, **values: Any) -> SimpleNamespace:
    """A private record; what is not given is 0."""
    return SimpleNamespace(**(dict.fromkeys(dtype.names or (), 0) | values))


def privates(dtype: np.dtype, count: int, **values: Any) -> PrivateArray:
    """An array of such records, all alike."""
    return PrivateArray(private(dtype, **values) for _ in range(count))


class Processor:
    """Runs programs, and stands for the intrinsics meanwhile."""

    def __init__(self) -> None:
        self.initial: list[int] = []
        self.names: list[str] = []
        self._records: dict[int, Any] = {}
        self._locations: dict[int, int] = {}
        self._next_address = 4096
        self._begin((), {})
        words = {"load_relaxed", "load_acquire", "store_relaxed", "store_release", "futex_wait", "futex_wake", "record_at"}
        self.intrinsics: dict[str, Any] = {name: getattr(self, name) for name in words}
        for name, function in LOCKED.items():
            self.intrinsics[name] = partial(self.locked, "full", function)
        for order in ("acquire", "release", "full"):
            self.intrinsics[f"fence_{order}"] = partial(self.perform, Operation("fence", order))
        self.intrinsics |= {"pause": nothing, "prefetch": nothing, "monotonic_ns": lambda: 1, "trailing_zeros": _trailing_zeros}

    def shared(self, name: str, dtype: np.dtype, initial: int | Sequence[dict[str, int]] = 1, *, fields: Sequence[str] = ()) -> SharedArray:
        """So many records of shared memory, or one for each dict of initial values; what is not given is 0. `fields`: those that are used at all."""
        values = [{}] * initial if isinstance(initial, int) else initial
        address, records = self._next_address, []
        used = fields or [field for field in dtype.names or () if field != "_reserved"]
        offsets: dict[str, Any] = dict(dtype.fields or {})
        for index, record in enumerate(values):
            locations = {}
            for field in used:
                locations[field] = self._locations[address + index * dtype.itemsize + int(offsets[field][1])] = len(self.initial)
                self.initial.append(record.get(field, 0))
                self.names.append(f"{name}[{index}].{field}")
            records.append(SharedRecord(self, locations))
            self._records[address + index * dtype.itemsize] = records[-1]
        self._next_address += len(values) * dtype.itemsize + 4096
        return SharedArray(records, address, dtype.itemsize)

    def place(self, record: SimpleNamespace) -> int:
        """The address of a private record, for this run."""
        self._placed.append(record)
        return _PRIVATE + len(self._placed) - 1

    def start(self, program: Program) -> Node:
        """A program that has learnt nothing."""
        return Node(self, program).run(0)

    def run(self, program: Program, results: tuple[int, ...], values: dict[int, int]) -> tuple[Operation, list[int]]:
        """The operation behind these results, and the locations of all relaxed loads that the program began."""
        self._begin(results, values)
        try:
            operation = Operation("done", value=program())
        except _AtOperation as stop:
            operation = stop.operation
        except AssertionError as error:
            operation = Operation("failed", value=str(error))
        return operation, self._loads

    def _begin(self, results: tuple[int, ...], values: dict[int, int]) -> None:
        self._results, self._values = iter(results), values
        self._loads: list[int] = []
        self._placed: list[SimpleNamespace] = []

    def perform(self, operation: Operation) -> int:
        """The model's answer to an operation."""
        for result in self._results:
            return result
        raise _AtOperation(operation)

    def value_of(self, number: int) -> int:
        """What a relaxed load reads."""
        if number not in self._values:
            raise _AtOperation(Operation("need", location=self._loads[number], value=number))
        return self._values[number]

    def load_relaxed(self, record: Any, field: str) -> Any:
        """A relaxed load of a shared word; private ones are simply there."""
        if not isinstance(record, SharedRecord):
            return getattr(record, field)
        self._loads.append(record.locations[field])
        return LateValue(self, len(self._loads) - 1)

    def load_acquire(self, record: Any, field: str) -> Any:
        """As above, acquire."""
        if not isinstance(record, SharedRecord):
            return getattr(record, field)
        return self.perform(Operation("load", "acquire", record.locations[field]))

    def store_relaxed(self, record: Any, field: str, value: Any) -> None:
        """A relaxed store."""
        self._store("relaxed", record, field, value)

    def store_release(self, record: Any, field: str, value: Any) -> None:
        """A release store."""
        self._store("release", record, field, value)

    def _store(self, order: Order, record: Any, field: str, value: Any) -> None:
        if isinstance(record, SharedRecord):
            self.perform(Operation("store", order, record.locations[field], int(value)))
        else:
            setattr(record, field, value)

    def locked(self, order: Order, function: Callable[[int, int], int], record: SharedRecord, field: str, operand: int) -> int:
        """A locked read-modify-write."""
        return self.perform(Operation("locked", order, record.locations[field], int(operand), function))

    def futex_wait(self, address: int, expected: int, _timeout_ns: int) -> int:
        """Sleep, if the word is as expected; no time ever ends the sleep."""
        return self.perform(Operation("wait", location=self._locations[address], value=expected))

    def futex_wake(self, address: int) -> int:
        """Wake who sleeps on the word."""
        return self.perform(Operation("wake", location=self._locations[address]))

    def record_at(self, address: int, _dtype: np.dtype) -> Any:
        """The record at an address, shared or private."""
        return self._placed[address - _PRIVATE] if address >= _PRIVATE else self._records[address]


def _trailing_zeros(bits: int) -> int:
    return (int(bits) & -int(bits)).bit_length() - 1
