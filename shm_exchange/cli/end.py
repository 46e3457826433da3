"""`shm-exchange stop`: the end of an exchange."""

from __future__ import annotations

from shm_exchange.cli.look import Json, Name, only_name
from shm_exchange.domain.errors import ConfigError, ExchangeNotFound
from shm_exchange.domain.names import nearest, parsed_shard, whole_name


def stop(
    name: Name = None,
    *,
    as_json: Json = False,
) -> None:
    """Stop an exchange, whoever started it: what was submitted is matched, then processes and memory go."""
    from shm_exchange.cli.screen import Screen
    from shm_exchange.shm import shards_found
    from shm_exchange.supervisor.remote import stop_exchange

    screen, name = Screen(as_json=as_json), name or only_name()
    if shard := parsed_shard(name):
        raise ConfigError(f"{name!r} is one shard of {shard.shards}, which end together: stop them all with `shm-exchange stop {shard.whole}`")
    stopped = [stop_exchange(each) for each in shards_found(name) or (name,)]
    if not any(stopped):
        raise unknown(name)
    screen.result({"name": name, "stopped": True})
    screen.show(f"exchange {name!r} is stopped, its memory removed")


def unknown(name: str) -> ExchangeNotFound:
    """The error that names what there is."""
    from shm_exchange.shm import exchanges

    names = list(dict.fromkeys(whole_name(info.name) for info in exchanges()))
    known = f"there are {', '.join(names)}" if names else "there is none at all"
    return ExchangeNotFound(f"there is no exchange {name!r}{nearest(name, names)}; {known}; `shm-exchange list` shows more")
