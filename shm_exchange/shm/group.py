"""The shards of one exchange, found by their names alone: `demo` in three shards is demo@0of3, demo@1of3 and demo@2of3, each a whole exchange.

A name is one or the other: whoever makes memory first claims its own root, then looks for rivals, exchanges of the same name in another number of
shards. Of two that begin at the same time each has claimed before it looks, so at least one sees the other.

Rejected: a file that lists the shards. It could be older or newer than what it lists; names are looked up together with the things themselves.
"""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path

from shm_exchange.domain.errors import ExchangeNotFound
from shm_exchange.domain.names import parsed_shard, shard_names, whole_name
from shm_exchange.shm.root import SHM_DIR, claim, names_in, root_path

_POLL_SECONDS = 0.005


def shards_of(name: str, directory: str | Path = SHM_DIR, timeout: float = 5.0) -> tuple[str, ...]:
    """The names of all shards of a sharded exchange, in order; empty for any other name.

    Shards begin one after the other: those that are missing get `timeout` seconds to come. Raises ExchangeNotFound where they do not.
    """
    if parsed_shard(name) or root_path(name, directory).exists():
        return ()
    deadline = time.monotonic() + timeout
    while found := shards_found(name, directory):
        counts = {shard.shards for each in found if (shard := parsed_shard(each))}
        count = min(counts)
        if counts == {count} and found == list(shard_names(name, count)):
            return tuple(found)
        if time.monotonic() > deadline:
            cure = f"end what is left with `shm-exchange stop {name}`, and start it again"
            raise ExchangeNotFound(f"exchange {name!r} is not complete: of its {max(counts)} shards there are only {', '.join(found)}; {cure}")
        time.sleep(_POLL_SECONDS)
    return ()


def shards_found(name: str, directory: str | Path = SHM_DIR) -> list[str]:
    """The names of those shards of an exchange that have a file, alive or dead, complete or not."""
    return [each for each in names_in(directory) if (shard := parsed_shard(each)) and shard.whole == name]


def clear_rivals(name: str, directory: str | Path) -> None:
    """Remove what dead exchanges of the same name in another number of shards left. Caller: has claimed `name`. Raises ExchangeRunning."""
    for other in names_in(directory):
        if whole_name(other) == whole_name(name) and _count(other) != _count(name):
            with closing(claim(other, directory)) as root:
                root.remove_files()


def _count(name: str) -> int:
    shard = parsed_shard(name)
    return shard.shards if shard else 1
