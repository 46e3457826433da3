"""Names of sessions, accounts, symbols and exchanges: what they may look like, and how a name becomes two words of a record."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import NamedTuple

from shm_exchange.domain.errors import ConfigError
from shm_exchange.domain.limits import NAME_BYTES, SHARDS_MAX

_NAME = re.compile(f"[!-~]{{1,{NAME_BYTES}}}")
EXCHANGE_NAME = r"[A-Za-z0-9_-]{1,48}(?:@[0-9]of[0-9])?"
"""Of an exchange, or of one shard of it: demo@1of3 is the second of three. A pattern."""
_EXCHANGE_NAME, _WHOLE_NAME = re.compile(EXCHANGE_NAME), re.compile(r"[A-Za-z0-9_-]{1,48}")
_SHARD = re.compile(r"(.+)@([0-9])of([0-9])")


class ShardName(NamedTuple):
    """What the name of a shard says."""

    whole: str
    """Name of the exchange."""
    shard: int
    """Which one, from 0."""
    shards: int
    """How many there are."""


def checked_name(name: str, what: str) -> str:
    """`name` itself, if it is 1 to 16 printable ASCII characters without spaces. Raises ConfigError."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ConfigError(f"{what} {name!r} must be 1 to {NAME_BYTES} printable ASCII characters without spaces")
    return name


def checked_exchange_name(name: str) -> str:
    """`name` itself, of an exchange or of a shard, if it can be part of a file name. Raises ConfigError."""
    if not isinstance(name, str) or not _EXCHANGE_NAME.fullmatch(name):
        raise ConfigError(f"exchange name {name!r} must be 1 to 48 letters, digits, '-' or '_'")
    return name


def checked_whole_name(name: str) -> str:
    """`name` itself, if a user may give it to an exchange: shards get theirs from it. Raises ConfigError."""
    if isinstance(name, str) and (shard := parsed_shard(name)):
        raise ConfigError(f"{name!r} is the name of a shard, and shards begin together: start {shard.whole!r} in {shard.shards} shards")
    if not isinstance(name, str) or not _WHOLE_NAME.fullmatch(name):
        raise ConfigError(f"exchange name {name!r} must be 1 to 48 letters, digits, '-' or '_'")
    return name


def shard_names(name: str, count: int) -> tuple[str, ...]:
    """The names of all shards of an exchange, in order. Raises ConfigError."""
    if not isinstance(count, int) or isinstance(count, bool) or not 2 <= count <= SHARDS_MAX:
        raise ConfigError(f"an exchange has 2 to {SHARDS_MAX} shards, or 1, which is none; not {count!r}")
    return tuple(f"{checked_whole_name(name)}@{shard}of{count}" for shard in range(count))


def parsed_shard(name: str) -> ShardName | None:
    """What the name of a shard says; None for any other name."""
    match = _SHARD.fullmatch(name)
    return ShardName(match[1], int(match[2]), int(match[3])) if match else None


def whole_name(name: str) -> str:
    """The name that its user gave an exchange, of a shard of it or of itself."""
    shard = parsed_shard(name)
    return shard.whole if shard else name


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
