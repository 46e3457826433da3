"""`shm-exchange clean`: what nobody uses any more is listed, and removed when the user agrees. Never a living exchange."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from shm_exchange.cli.look import Json, names_beginning
from shm_exchange.domain.errors import ConfigError
from shm_exchange.domain.names import whole_name

if TYPE_CHECKING:
    from shm_exchange.shm import ExchangeInfo


class Remains(NamedTuple):
    """Something that can go."""

    kind: str
    name: str
    size: int
    """Bytes."""
    note: str
    remove: Callable[[], bool]
    """Removes it; False where it is still in use."""


DEAD, KERNELS = "dead exchange", "compiled kernels"


def clean(
    name: Annotated[str | None, typer.Argument(help="Only this exchange.", show_default=False, autocompletion=names_beginning)] = None,
    *,
    everything: Annotated[
        bool, typer.Option("--all", help="Also compiled kernels, of this build and of all others; they are compiled again.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Remove what dead exchanges left in shared memory. Never touches a living one."""
    from shm_exchange.cli.screen import Screen, bytes_text

    if name is not None and everything:
        raise typer.BadParameter("a NAME cleans one exchange and --all everything: say one of them")
    screen = Screen(as_json=as_json)
    found = [*_dead_exchanges(name), *(_kernels() if everything else ())]
    tell = screen.say if yes else _echo  # who is asked must see about what
    for one in found:
        tell(f"{one.kind}: {one.name}, {bytes_text(one.size)}{one.note and f', {one.note}'}")
    if found and not yes:
        _ask(len(found))
    removed = [one for one in found if one.remove()]
    kept = [one for one in found if one not in removed]
    freed = sum(one.size for one in removed)
    names = {what: [one.name for one in of if one.kind == kind] for what, of, kind in _lists(removed, kept)}
    screen.result({**names, "bytes": freed})
    screen.show(f"removed {_count(removed)}, {bytes_text(freed)} freed" if found else "nothing to clean")
    for one in kept:
        _echo(f"kept {one.kind} {one.name}: {_why_kept(one)}")
    if kept:
        raise typer.Exit(1)


def _lists(removed: list[Remains], kept: list[Remains]) -> Iterator[tuple[str, list[Remains], str]]:
    """Names in the JSON object, and what stands there."""
    yield "removed", removed, DEAD
    yield "kept", kept, DEAD
    yield "kernels_removed", removed, KERNELS
    yield "kernels_kept", kept, KERNELS


def _dead_exchanges(name: str | None) -> Iterator[Remains]:
    """Of all, or the named one with all its shards. Raises ExchangeNotFound, ConfigError where that one, or any shard of it, lives."""
    from shm_exchange.cli.end import unknown
    from shm_exchange.shm import exchanges

    chosen = [info for info in exchanges() if name in (None, info.name, whole_name(info.name))]
    if name is not None and not chosen:
        raise unknown(name)
    if name is not None and any(info.is_alive for info in chosen):
        raise ConfigError(f"exchange {name!r} is alive, and only what is dead can be cleaned; stop it with `shm-exchange stop {name}`")
    return (_dead(info) for info in chosen if not info.is_alive)


def _dead(info: ExchangeInfo) -> Remains:
    from shm_exchange.shm import reap

    return Remains(DEAD, info.name, info.size, "", lambda: reap(info.name))


def _kernels() -> Iterator[Remains]:
    from shm_exchange.supervisor.caches import kernel_caches

    for cache in kernel_caches():
        yield Remains(KERNELS, str(cache.folder), cache.size, "of this build" if cache.is_current else "of another build", cache.remove)


def _count(removed: list[Remains]) -> str:
    dead, builds = (sum(one.kind == kind for one in removed) for kind in (DEAD, KERNELS))
    words = [f"{dead} dead exchange{'s' * (dead != 1)}"] if dead else []
    words += [f"the kernels of {builds} build{'s' * (builds != 1)}"] if builds else []
    return " and ".join(words) or "nothing"


def _why_kept(one: Remains) -> str:
    """Who is in the way, and what to do."""
    if one.kind == KERNELS:
        return "another process compiles there now, or the folder is not writable; try again later"
    from shm_exchange.shm import SHM_DIR
    from shm_exchange.shm.holders import holders
    from shm_exchange.shm.root import root_path

    found = [f"{holder.pid} ({holder.command})" for holder in holders(root_path(one.name, SHM_DIR)) if holder.spans]
    who = f"process {', '.join(found)} still has" if found else "a process still has"
    return f"{who} a session of it; end that and try again"


def _echo(text: str) -> None:
    """What is said even with --quiet."""
    typer.echo(text, err=True)


def _ask(count: int) -> None:
    if not sys.stdin.isatty():
        raise ConfigError("there is nobody to ask on this standard input; say --yes to remove them")
    if not typer.confirm(f"remove {'it' if count == 1 else f'all {count}'}?", err=True):
        raise typer.Exit(1)
