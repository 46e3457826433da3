"""The layout for other languages: everything that the dtypes, enums and formulas of the package say, before it is put into a language's words.

Nothing is written down here a second time. Records and their comments come from `layout/`, words from `domain/enums.py`, and the places of the
arrays from calling `layout.regions.arrays` with formulas instead of numbers.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from enum import IntEnum, IntFlag
from functools import cache
from itertools import groupby
from types import ModuleType
from typing import Any, NamedTuple, cast

import numpy as np

from shm_exchange.domain import enums, limits
from shm_exchange.layout import headers, records, regions
from shm_exchange.layout.digest import LAYOUT_VERSION, layout_digest
from shm_exchange.layout.regions import Counts, Writer
from shm_exchange.shm import ATTACH_BYTE, MATCHER_BYTE, SUPERVISOR_BYTE, Segment
from shm_exchange.shm.root import data_path, root_path

ABOUT = """\
The memory layout of shm_exchange, made by `python -m tools.inspect_segment --header {language}` from the package's own dtypes. Do not edit.

Find it     The root file /dev/shm/shm_exchange-<uid>-<name> holds one ROOT record. Its `magic` is stored last: wait until it is MAGIC, then compare
            `version` and `digest` with the constants below, and stop where they differ. The data file is the root's path, a dot and `generation`
            in decimal; it is `data_bytes` long. It begins with one CONFIG record, from which `layout_of` computes where every array lies.
            Instruments begin at INSTRUMENTS_OFFSET. Map it for reading only, and never write.
Who lives   Byte locks on the root file (open file description locks): byte MATCHER_BYTE, SUPERVISOR_BYTE, and byte n for session n.
Read a top  v = load-acquire latest[i].version, 0 = none yet; slot = i * SNAPSHOT_SLOTS + v % SNAPSHOT_SLOTS;
            load-acquire snapshots[slot].stamp must be 2 v; load the fields relaxed; acquire fence; a relaxed load of the stamp must still be 2 v;
            else begin again, at most eight times. Bids are snapshot_levels[2 * slot * depth ...], asks follow `depth` levels later, best first.
Read events Number e lies in events[e & (event_capacity - 1)]: load-acquire `number` must be e, copy, acquire fence, `number` must still be e.
            Below `matcher.event_tail` (acquire) everything is out; a greater number in the slot says that it was overwritten.
Words       Prices are ticks and quantities lots: decimal = number * tick (or lot) of the INSTRUMENT. Little-endian; text is padded with zeros.
            order_id = lane << POSITION_BITS | position.
"""


class Field(NamedTuple):
    """A field of a record."""

    name: str
    kind: str  # "i8", "u8", "u2", "u1" or "text"
    length: int  # 1, or of an array
    offset: int
    comment: str


class Struct(NamedTuple):
    """A record."""

    name: str
    size: int
    fields: list[Field]
    comment: str


class Words(NamedTuple):
    """An enumeration."""

    name: str
    comment: str
    members: dict[str, int]


class Constant(NamedTuple):
    """A number with a name."""

    name: str
    value: int


class Array(NamedTuple):
    """A region: how many records of what, beginning at a multiple of what."""

    name: str
    struct: str
    length: str  # a formula of counts
    alignment: int


class Box(NamedTuple):
    """All arrays of one writer, beginning on a page."""

    writer: str
    arrays: list[Array]
    per_session: bool


class Formula:
    """Arithmetic that is written down instead of carried out."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __add__(self, other: Formula | int) -> Formula:
        return Formula(f"({self.text} + {_text(other)})")

    def __mul__(self, other: Formula | int) -> Formula:
        return Formula(f"{self.text} * {_text(other)}")

    def __floordiv__(self, other: Formula | int) -> Formula:
        return Formula(f"{self.text} / {_text(other)}")


def _text(part: Formula | int) -> str:
    return part.text if isinstance(part, Formula) else str(part)


_OTHER_NAMES = {"instruments": "instrument_count", "sessions": "max_sessions"}
COUNTS = {name: _OTHER_NAMES.get(name, name) for name in Counts._fields if name != "accounts"}
"""Counts and their fields in CONFIG. `accounts` is computed from them, as by `regions.max_accounts`."""


def structs() -> list[Struct]:
    """Every shared record, in the order of the modules."""
    return [
        Struct(name, dtype.itemsize, list(_fields(dtype, comments)), comments.get("", ""))
        for module, name, dtype in _named_dtypes()
        for comments in [_comments(module).get(name, {})]
    ]


def _named_dtypes() -> Iterator[tuple[ModuleType, str, np.dtype[Any]]]:
    for module in (headers, records):
        for name, dtype in vars(module).items():
            if name.isupper() and isinstance(dtype, np.dtype) and dtype.names:
                yield module, name, dtype


def _fields(dtype: np.dtype[Any], comments: dict[str, str]) -> Iterator[Field]:
    for name in dtype.names or ():
        kind, offset = dtype[name], _offset(dtype, name)
        base, length = kind.base, int(np.prod(kind.shape, dtype=int))
        if base.kind == "S":
            yield Field(name, "text", base.itemsize, offset, comments.get(name, ""))
        else:
            yield Field(name, base.str[1:], length, offset, comments.get(name, ""))


def _offset(dtype: np.dtype[Any], name: str) -> int:
    fields = dtype.fields
    assert fields is not None
    return int(fields[name][1])


_COMMENTED = re.compile(r'\(?"(\w+)", "\w+"\),?\s*# (.*)')
_SPLICED = re.compile(r"\*(_[A-Z]+)")


@cache
def _comments(module: ModuleType) -> dict[str, dict[str, str]]:
    """What the source says beside each field, by record; under "" what it says beside a record that stands on one line."""
    lines = inspect.getsource(module).splitlines()
    found: dict[str, dict[str, str]] = {}
    for node in ast.parse("\n".join(lines)).body:
        if isinstance(node, ast.Assign) and isinstance(target := node.targets[0], ast.Name):
            text = "\n".join(lines[node.lineno - 1 : node.end_lineno])
            spliced = (found.get(name, {}) for name in _SPLICED.findall(text))
            own = {} if "\n" in text or "  # " not in text else {"": text.rpartition("  # ")[2]}
            found[target.id] = own | {name: comment for part in spliced for name, comment in part.items()} | dict(_COMMENTED.findall(text))
    return found


def words() -> list[Words]:
    """Every enumeration."""
    kinds = [kind for kind in vars(enums).values() if isinstance(kind, type) and issubclass(kind, IntEnum | IntFlag)]
    own = [kind for kind in kinds if kind.__module__ == enums.__name__]
    return [Words(kind.__name__, (kind.__doc__ or "").splitlines()[0], {member.name or "": int(member) for member in kind}) for kind in own]


def constants() -> list[Constant]:
    """Numbers that somebody who reads the memory needs."""
    named = {
        headers: ("MAGIC", "LANES_PER_WORD", "MATCHER_STARTING", "MATCHER_RUNNING", "MATCHER_STOPPED"),
        records: ("ALL_INSTRUMENTS",),
        limits: ("PAGE", "CACHE_LINE", "NAME_BYTES", "POSITION_BITS", "PRICE_TICKS_MAX", "QUANTITY_MAX", "ACCOUNTS_MAX", "SNAPSHOT_SLOTS"),
        regions: ("INSTRUMENTS_OFFSET", "ACCOUNTS_PER_SESSION"),
    }
    found = [Constant("LAYOUT_VERSION", LAYOUT_VERSION), Constant("LAYOUT_DIGEST", layout_digest())]
    found += [Constant(name, int(getattr(module, name))) for module, names in named.items() for name in names]
    locks = {"MATCHER_BYTE": MATCHER_BYTE, "SUPERVISOR_BYTE": SUPERVISOR_BYTE, "ATTACH_BYTE": ATTACH_BYTE}
    return found + [Constant(name, value) for name, value in locks.items()]


def boxes() -> list[Box]:
    """All arrays in the order of the file, their lengths as formulas of the names in Counts."""
    formulas = Counts(*(cast("int", Formula(name)) for name in Counts._fields))
    names = {id(dtype): name for _, name, dtype in _named_dtypes()}
    found = []
    for writer, own in groupby(regions.arrays(formulas), key=lambda array: array[0]):
        rows = [(name, names[id(dtype)], _text(cast("Formula | int", count)), regions.alignment_of(name)) for _, name, dtype, count in own]
        own_arrays = [Array(*row[:3], alignment=limits.PAGE if number == 0 else row[3]) for number, row in enumerate(rows)]
        found.append(Box(writer.value, own_arrays, per_session=writer is Writer.GATEWAY))
    return found


def snake(name: str) -> str:
    """`TimeInForce` as `time_in_force`."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")


class Here(NamedTuple):
    """Where one exchange lies."""

    name: str
    root_path: str
    data_path: str
    constants: list[Constant]


def here(segment: Segment, directory: str) -> Here:
    """Paths and offsets of an exchange, good until it is stopped."""
    found = [Constant("DATA_BYTES", segment.layout.size)]
    for region in segment.layout.regions.values():
        found.append(Constant(f"{region.name.upper()}_OFFSET_HERE", region.offset))
        found.append(Constant(f"{region.name.upper()}_COUNT_HERE", region.count))
    found.append(Constant("SESSION_STRIDE_HERE", segment.layout.regions["owner"].stride))
    name, generation = segment.name, segment.generation
    return Here(name, str(root_path(name, directory)), str(data_path(name, generation, directory)), found)
