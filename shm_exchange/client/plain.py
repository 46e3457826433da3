"""Arrays as kernels like to be handed them."""

from __future__ import annotations

from typing import cast

import numpy as np

Records = np.ndarray[tuple[int], np.dtype[np.void]]
"""A one-dimensional array of one of the project's records."""


def plain(array: Records) -> Records:
    """The same memory as a plain ndarray: numba recognises that in 0.1 µs, and a recarray in 10."""
    return array.view(np.ndarray)


def rows(records: Records) -> list[tuple[int, ...]]:
    """Records as tuples of their fields."""
    return cast("list[tuple[int, ...]]", records.tolist())
