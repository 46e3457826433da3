"""One number for the whole layout: names, formats, offsets and sizes of every shared record. Attaching compares it before it reads a word."""

from __future__ import annotations

import hashlib

from shm_exchange.layout import headers, records
from shm_exchange.layout.headers import LANES_PER_WORD

LAYOUT_VERSION = 2

_SHARED = {
    name: dtype
    for module in (records, headers)
    for name, dtype in sorted(vars(module).items())
    if name.isupper() and hasattr(dtype, "itemsize") and hasattr(dtype, "fields")
}


def layout_digest() -> int:
    """A 63-bit hash of all shared dtypes."""
    text = repr([(name, dtype.descr, dtype.itemsize) for name, dtype in _SHARED.items()]) + repr(LANES_PER_WORD)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1
