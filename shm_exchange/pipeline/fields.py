"""What is read from an item: a field by its name, or whatever a function says; and a hash of it that is the same in every process."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import numpy as np

from shm_exchange.runtime.functions import function_name, imported

Reading = Callable[[Any], Any]


def reading(of: str | Reading) -> Reading:
    """A function of an item: `of` itself, "module:function", or the name of a field (of a record or dict, else an attribute)."""
    if callable(of):
        return of
    if ":" in of:
        found: Reading = imported(of)
        return found
    return lambda item: plain(item[of] if isinstance(item, np.void | np.ndarray | dict) else getattr(item, of))


def reading_name(of: str | Reading | None) -> str | None:
    """The same for another process. Raises ConfigError for what it could not import."""
    if of is None or (isinstance(of, str) and ":" not in of):
        return of
    return function_name(of)


def plain(value: Any) -> Any:
    """A Python object instead of one of numpy's."""
    return value.item() if isinstance(value, np.generic | np.ndarray) else value


def stable_hash(value: Any) -> int:
    """Not Python's own, which every process seeds anew. Equal text, bytes, numbers and tuples of them have equal hashes."""
    value = plain(value)
    if isinstance(value, bytes):
        return zlib.crc32(value)
    return zlib.crc32(str(value).encode(errors="surrogateescape"))
