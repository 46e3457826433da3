"""What a ring is, whoever has it open, and its items in the form in which kernels copy them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from shm_exchange.domain.errors import ConfigError
from shm_exchange.pipeline.ring_layout import WORD
from shm_exchange.pipeline.shared import Rows
from shm_exchange.pipeline.terms import Terms


class Kind(NamedTuple):
    """Plain data: it travels in the address."""

    terms: Terms
    dtype: np.dtype[Any]
    key: str | None
    lanes: int


class Staging:
    """Items of whole words, as the kernels copy them."""

    def __init__(self, kind: Kind) -> None:
        self._kind = kind
        rest = -kind.dtype.itemsize % WORD.itemsize
        self._padded = np.dtype([("item", kind.dtype), ("_reserved", "u1", (rest,))]) if rest else None

    def room(self, count: int) -> tuple[Rows, Rows]:
        """Memory for items, and the items in it."""
        if self._padded is None:
            items = np.empty(count, self._kind.dtype)
            return items, items
        memory = np.zeros(count, self._padded)
        return memory, memory["item"]

    def fill(self, items: Rows, given: object) -> None:
        """Set all items to what is given. Raises ConfigError when it is no record of our dtype."""
        dtype = getattr(given, "dtype", self._kind.dtype)
        if dtype != self._kind.dtype and (dtype.names or self._kind.dtype.names):
            raise self._no_record(given, f"it has dtype {dtype}")
        try:
            items[:] = given
        except (TypeError, ValueError) as error:
            raise self._no_record(given, error) from error

    def _no_record(self, given: object, why: object) -> ConfigError:
        return ConfigError(f"{given!r} is no record of queue {self._kind.terms.name!r}, whose dtype is {self._kind.dtype}: {why}")
