"""`shm-exchange journal replay` and `compact`: what the engine makes of a log, and the part of a log that nobody needs for that any more."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shm_exchange.cli.look import Json

if TYPE_CHECKING:
    from shm_exchange.cli.replay_screen import Advance
    from shm_exchange.cli.screen import Screen
    from shm_exchange.journal.reading import Journal
    from shm_exchange.journal.replaying import Replay

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The folder of a journal.", show_default=False)]
_SLICE = 1 << 18
"""Records between two looks at the screen."""


def replay(
    directory: Folder,
    *,
    to: Annotated[int | None, typer.Option(min=0, help="Up to this number, without it (default: all there is).", show_default=False)] = None,
    checkpoint: Annotated[bool, typer.Option("--checkpoint/--no-checkpoint", help="Begin at the newest good one, not at the first command.")] = True,
    as_json: Json = False,
) -> None:
    """Rebuild the book from a log, check it, and print what became of it, with the hash of its state.

    The hash is the same wherever the replay began and on every machine; an exchange that stood there had the same. Ends 1 where the book is broken.
    """
    from shm_exchange.cli.replay_screen import Advance
    from shm_exchange.cli.screen import Screen
    from shm_exchange.engine.check import CHECKS
    from shm_exchange.journal.checkpoints import any_image, no_image
    from shm_exchange.journal.reading import open_journal
    from shm_exchange.journal.replaying import Replay

    screen, journal = Screen(as_json=as_json), open_journal(directory)
    made = Replay(journal, at_most=to, suits=any_image if checkpoint else no_image)
    begin = made.sequence
    with Advance(screen) as advance:
        _advance(made, journal.end if to is None else to, advance)
    broken = made.check()
    figures = _figures(made, journal, begin) | {"check": CHECKS[broken]}
    screen.result({"directory": str(directory)} | figures)
    _show_state(figures, screen)
    if broken:
        typer.echo(f"shm-exchange: the book is broken: {CHECKS[broken]}; a bug, please report it with the journal", err=True)
        raise typer.Exit(1)


def cut(
    directory: Folder,
    *,
    at: Annotated[int, typer.Option(min=0, help="The first number that goes.", show_default=False)],
    as_json: Json = False,
) -> None:
    """Remove what lies from a number on: after a power loss, where pages that nobody had synced reached the disk out of order.

    `verify` names the number. What was durable is never cut. Copy the folder before.
    """
    from shm_exchange.cli.screen import Screen
    from shm_exchange.journal.cutting import cut_journal

    screen, touched = Screen(as_json=as_json), cut_journal(directory, at)
    screen.result({"directory": str(directory), "end": at, "files": [path.name for path in touched]})
    screen.show(
        f"{directory} ends before number {at:,} now; " + (f"cut: {', '.join(path.name for path in touched)}" if touched else "nothing lay behind")
    )


def compact(
    directory: Folder,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    as_json: Json = False,
) -> None:
    """Remove the segments that lie below the newest two good checkpoints: no rebuild needs them.

    Where there is no checkpoint yet, one is made first, unless an exchange is writing the journal: then its own are waited for. What is removed can
    no longer be dumped, and reports and events of that time can no longer be derived. Copy the folder before, if you need them.
    """
    from shm_exchange.cli.screen import Screen
    from shm_exchange.journal.folder import FolderLock
    from shm_exchange.journal.reading import Journal, open_journal

    screen = Screen(as_json=as_json)
    with ExitStack() as stack:
        journal = open_journal(directory)
        if not dry_run and not journal.live:
            stack.callback(FolderLock(directory).close)
            journal = Journal(directory)
        figures = _compact(journal, dry_run, screen)
    screen.result({"directory": str(directory)} | figures)
    _show_compacted(figures, screen)


def _compact(journal: Journal, dry_run: bool, screen: Screen) -> dict[str, Any]:
    """Do it, or find what it would do. Caller: holds the folder's lock, unless the journal is live."""
    from shm_exchange.cli.replay_screen import Advance
    from shm_exchange.journal.checkpoints import prune_checkpoints
    from shm_exchange.journal.compacting import remove, surplus_below, surplus_of

    surplus, made = surplus_of(journal), None
    if not surplus.below and not journal.live and (place := min(journal.durable, journal.end)) > 0:
        surplus, made = surplus_below(journal, place), place
        if not dry_run:
            with Advance(screen) as advance:
                _make_checkpoint(journal, place, advance)
    size = sum(segment.path.stat().st_size for segment in surplus.segments)
    if not dry_run:
        remove(journal, surplus.segments)
        if not journal.live:
            prune_checkpoints(journal)
    words = {"dry_run": dry_run, "live": journal.live, "needed_from": surplus.below, "checkpoint_made": made, "bytes": size}
    return words | {"removed": [segment.path.name for segment in surplus.segments]}


def _advance(made: Replay, to: int, advance: Advance) -> None:
    begin = made.sequence
    while made.advance(to, _SLICE) < to:
        advance("replaying", made.sequence - begin, to - begin)


def _make_checkpoint(journal: Journal, place: int, advance: Advance) -> None:
    """Caller: holds the folder's lock."""
    from shm_exchange.journal.checkpoints import write_checkpoint
    from shm_exchange.journal.replaying import Replay

    replayed = Replay(journal, at_most=place)
    _advance(replayed, place, advance)
    write_checkpoint(journal.directory, journal.config, replayed.book, journal.term_of(place))


def _figures(made: Replay, journal: Journal, begin: int) -> dict[str, Any]:
    state = made.book.state[0]
    return {
        "exchange": journal.config.name,
        "live": journal.live,
        "began_at": begin,
        "checkpoint": made.checkpoint.path.name if made.checkpoint else None,
        "skipped": list(made.skipped),
        "commands": made.sequence,
        "rejects": int(state.rejects),
        "events": int(state.next_event) - 1,
        "trades": int(state.trades),
        "open_orders": int(state.open_orders),
        "accounts": int(state.account_count),
        "state_hash": made.state_hash(),
    }


def _show_state(figures: dict[str, Any], screen: Screen) -> None:
    from shm_exchange.cli.screen import table

    source = f"checkpoint {figures['checkpoint']}" if figures["checkpoint"] else "the first command"
    screen.show(f"exchange {figures['exchange']!r} behind command {figures['commands']:,}, replayed from {source}:", "")
    names = ("commands", "rejects", "events", "trades", "open_orders", "accounts")
    rows = [(name.replace("_", " "), f"{figures[name]:,}") for name in names]
    screen.show(table("", ">", rows=[*rows, ("state hash", figures["state_hash"]), ("check", figures["check"])]))
    if figures["live"]:
        screen.show("it is being written: replayed is what was there at the beginning")


def _show_compacted(figures: dict[str, Any], screen: Screen) -> None:
    from shm_exchange.cli.screen import bytes_text

    would = "would be " if figures["dry_run"] else ""
    if figures["checkpoint_made"] is not None:
        screen.show(f"a checkpoint {would or 'was '}made at number {figures['checkpoint_made']:,}")
    if not figures["needed_from"]:
        why = "its exchange has made no checkpoint yet" if figures["live"] else "none of its records is known to be on disk"
        screen.show(f"nothing {would or 'was '}removed: {why}")
        return
    count, size = len(figures["removed"]), bytes_text(figures["bytes"])
    screen.show(f"{count} segments ({size}) {would or 'were '}removed: a rebuild needs records from number {figures['needed_from']:,} on")
