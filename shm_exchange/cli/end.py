"""`shm-exchange stop` and `shm-exchange clean`: the end of an exchange that lives, and of what a dead one left."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from shm_exchange.cli.look import Json, Name, names_beginning, only_name
from shm_exchange.domain.errors import ConfigError, ExchangeNotFound
from shm_exchange.domain.names import nearest


def stop(
    name: Name = None,
    *,
    as_json: Json = False,
) -> None:
    """Stop an exchange, whoever started it: what was submitted is matched, then processes and memory go."""
    from shm_exchange.cli.screen import Screen
    from shm_exchange.supervisor.remote import stop_exchange

    screen, name = Screen(as_json=as_json), name or only_name()
    if not stop_exchange(name):
        raise _unknown(name)
    screen.result({"name": name, "stopped": True})
    screen.show(f"exchange {name!r} is stopped, its memory removed")


def clean(
    name: Annotated[str | None, typer.Argument(help="Only this one.", show_default=False, autocompletion=names_beginning)] = None,
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Remove what dead exchanges left in shared memory. Never touches a living one."""
    from shm_exchange.cli.screen import Screen, bytes_text
    from shm_exchange.shm import exchanges, reap

    screen, found = Screen(as_json=as_json), exchanges()
    chosen = [info for info in found if name in (None, info.name)]
    if name is not None and not chosen:
        raise _unknown(name)
    if name is not None and chosen[0].is_alive:
        raise ConfigError(f"exchange {name!r} is alive, and only what is dead can be cleaned; stop it with `shm-exchange stop {name}`")
    dead = [info for info in chosen if not info.is_alive]
    for info in dead:
        screen.say(f"dead: {info.name}, {bytes_text(info.size)}")
    if dead and not yes:
        _ask(len(dead))
    removed = [info for info in dead if reap(info.name)]
    kept = [info.name for info in dead if info not in removed]
    screen.result({"removed": [info.name for info in removed], "bytes": sum(info.size for info in removed), "kept": kept})
    screen.show(f"removed {len(removed)}, {bytes_text(sum(info.size for info in removed))}" if dead else "nothing to clean")
    if kept:
        screen.say(f"kept, because a process still has it open: {', '.join(kept)}; end that process and try again")
        raise typer.Exit(1)


def _ask(count: int) -> None:
    if not sys.stdin.isatty():
        raise ConfigError("there is nobody to ask on this standard input; say --yes to remove them")
    if not typer.confirm(f"remove {'it' if count == 1 else 'them'}?", err=True):
        raise typer.Exit(1)


def _unknown(name: str) -> ExchangeNotFound:
    from shm_exchange.shm import exchanges

    names = [info.name for info in exchanges()]
    known = f"there are {', '.join(names)}" if names else "there is none at all"
    return ExchangeNotFound(f"there is no exchange {name!r}{nearest(name, names)}; {known}; `shm-exchange list` shows more")
