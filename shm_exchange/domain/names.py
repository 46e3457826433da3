"""Names of sessions, accounts, symbols and exchanges: what they may look like, and how a name becomes two words of a record."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

from shm_exchange.domain.errors import ConfigError
from shm_exchange.domain.limits import NAME_BYTES

_NAME = re.compile(f"[!-~]{{1,{NAME_BYTES}}}")
_EXCHANGE_NAME = re.compile(r"[A-Za-z0-9_-]{1,48}")


def checked_name(name: str, what: str) -> str:
    """`name` itself, if it is 1 to 16 printable ASCII characters without spaces. Raises ConfigError."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ConfigError(f"{what} {name!r} must be 1 to {NAME_BYTES} printable ASCII characters without spaces")
    return name


def checked_exchange_name(name: str) -> str:
    """`name` itself, if it can be part of a file name. Raises ConfigError."""
    if not isinstance(name, str) or not _EXCHANGE_NAME.fullmatch(name):
        raise ConfigError(f"exchange name {name!r} must be 1 to 48 letters, digits, '-' or '_'")
    return name


def name_words(name: str) -> tuple[int, int]:
    """The two little-endian signed 64-bit words that carry a name inside a record."""
    raw = name.encode("ascii").ljust(NAME_BYTES, b"\0")
    return int.from_bytes(raw[:8], "little", signed=True), int.from_bytes(raw[8:], "little", signed=True)


def words_name(low: int, high: int) -> str:
    """The inverse of `name_words`."""
    raw = (int(low) & 0xFFFF_FFFF_FFFF_FFFF).to_bytes(8, "little") + (int(high) & 0xFFFF_FFFF_FFFF_FFFF).to_bytes(8, "little")
    return raw.rstrip(b"\0").decode("ascii", "replace")


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint such as "; did you mean 'depth'?" for a misspelt word, or nothing."""
    match = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f"; did you mean {match[0]!r}?" if match else ""
