"""`shm-exchange journal`: looking at the files of a log. Only `compact` and `cut` write to them, and an exchange at work is not disturbed."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shm_exchange.cli.journal_replay import Folder, compact, cut, replay
from shm_exchange.cli.look import Json
from shm_exchange.domain.errors import JournalDamaged

if TYPE_CHECKING:
    from shm_exchange.cli.replay_screen import Advance
    from shm_exchange.cli.screen import Screen
    from shm_exchange.journal.comparing import Difference
    from shm_exchange.journal.header import Segment
    from shm_exchange.journal.reading import Journal

app = typer.Typer(
    help="The files in which an exchange keeps its log.",
    no_args_is_help=True,
    epilog="Example:  shm-exchange journal verify /var/lib/exchange/demo",
)
_CHECKED_AT_ONCE, _PRINTED_AT_ONCE = 1 << 18, 1 << 10
"""Records."""


@app.command(epilog="Example:  shm-exchange journal verify /var/lib/exchange/demo")
def verify(directory: Folder, *, as_json: Json = False) -> None:
    """Read every record of a journal and check it. Ends 1 on damage, and says where.

    Of a journal that is being written, what is written so far is checked.
    """
    from shm_exchange.cli.replay_screen import Advance
    from shm_exchange.cli.screen import Screen
    from shm_exchange.journal.reading import open_journal

    screen = Screen(as_json=as_json)
    figures: dict[str, Any] = {"directory": str(directory), "good": False, "damage": None, "segments": []}
    try:
        journal = open_journal(directory)
        figures |= _summary(journal)
        with Advance(screen) as advance:
            figures["segments"] = [_checked(journal, *span, advance) for span in journal.spans()]
        figures["damage"] = next((row["damage"] for row in figures["segments"] if row["damage"]), None)
    except JournalDamaged as error:
        figures["damage"] = str(error)
    figures["good"] = figures["damage"] is None
    screen.result(figures)
    _show_verdict(figures, screen)
    if not figures["good"]:
        typer.echo(f"shm-exchange: {figures['damage']}", err=True)
        raise typer.Exit(1)


@app.command(epilog="Example:  shm-exchange journal dump /var/lib/exchange/demo --first 1000 --last 1020")
def dump(
    directory: Folder,
    *,
    first: Annotated[int | None, typer.Option(min=0, help="From this number on (default: the first there is).", show_default=False)] = None,
    last: Annotated[int | None, typer.Option(min=0, help="Up to this number, with it (default: the last there is).", show_default=False)] = None,
    as_json: Json = False,
) -> None:
    """Print the commands of a log, one a line: number, time (UTC), session, and what it asks for.

    Prices and quantities are decimals where the command names its instrument, else ticks and lots. Nonsense that a gateway sent is shown in numbers.
    """
    from shm_exchange.cli.screen import Screen
    from shm_exchange.journal.reading import open_journal

    if first is not None and last is not None and first > last:
        raise typer.BadParameter(f"--first {first} lies behind --last {last}")
    journal, screen = open_journal(directory), Screen(as_json=as_json)
    begin, end = journal.first if first is None else first, journal.end if last is None else last + 1
    if as_json:
        _dump_json(journal, begin, end)
    else:
        _dump_lines(journal, begin, end, screen)
        screen.say(_rest(journal))


@app.command(epilog="Example:  shm-exchange journal diff /var/lib/exchange/demo /backup/demo")
def diff(
    one: Annotated[Path, typer.Argument(metavar="A", help="The folder of a journal.", show_default=False)],
    other: Annotated[Path, typer.Argument(metavar="B", help="The folder of another.", show_default=False)],
    *,
    as_json: Json = False,
) -> None:
    """Find the first command at which two logs part, and show both. Ends 1 where they do.

    Compared is what was asked for and when, from the first number that both hold to where the longer one ends.
    """
    from shm_exchange.cli.replay_screen import Advance
    from shm_exchange.cli.screen import Screen
    from shm_exchange.journal.comparing import common_span, first_difference
    from shm_exchange.journal.reading import open_journal

    screen, journals = Screen(as_json=as_json), (open_journal(one), open_journal(other))
    first, end = common_span(*journals)
    with Advance(screen) as advance:
        found = first_difference(*journals, lambda number: advance("comparing", number - first, end - first))
    screen.result(_difference_figures(found, journals, first))
    if found is None:
        screen.show(f"the logs are the same: numbers {first} to {end - 1}")
        return
    sides = zip((one, other), journals, (found.one, found.other), strict=True)
    screen.show(f"the logs part at number {found.number}:", *(f"{path}: {_side(found.number, record, journal)}" for path, journal, record in sides))
    raise typer.Exit(1)


app.command(epilog="Example:  shm-exchange journal replay /var/lib/exchange/demo --to 1000")(replay)
app.command(epilog="Example:  shm-exchange journal cut /var/lib/exchange/demo --at 1000")(cut)
app.command(epilog="Example:  shm-exchange journal compact /var/lib/exchange/demo --dry-run")(compact)


def _summary(journal: Journal) -> dict[str, Any]:
    words = {"exchange": journal.config.name, "first": journal.first, "end": journal.end, "durable": journal.durable}
    return words | {"terms": [term._asdict() for term in journal.terms], "live": journal.live, "cut": journal.cut}


def _checked(journal: Journal, segment: Segment, behind: int, advance: Advance) -> dict[str, Any]:
    """What a segment holds, as JSON values, after every record of it was read."""
    number, damage = segment.first, None
    try:
        for records in journal.records(segment.first, behind, _CHECKED_AT_ONCE):
            number += len(records)
            advance("checking records", number - journal.first, journal.end - journal.first)
    except JournalDamaged as error:
        damage = str(error)
    words = {"file": segment.path.name, "first": segment.first, "end": behind, "term": segment.term.term}
    return words | {"records": behind - segment.first, "bytes": segment.path.stat().st_size, "damage": damage, "good_up_to": number}


def _show_verdict(figures: dict[str, Any], screen: Screen) -> None:
    from shm_exchange.cli.screen import bytes_text, table

    rows = [
        (
            row["file"],
            f"{row['first']:,}",
            f"{row['end'] - 1:,}" if row["records"] else "-",
            row["term"],
            f"{row['records']:,}",
            bytes_text(row["bytes"]),
            f"damaged at {row['good_up_to']:,}" if row["damage"] else "good",
        )
        for row in figures["segments"]
    ]
    if rows:
        screen.show(table("file", ">first number", ">last", ">term", ">records", ">size", "verdict", rows=rows), "")
    if figures["damage"]:
        screen.show("the journal is DAMAGED")
        return
    count = figures["end"] - figures["first"]
    screen.show(f"{count:,} records of exchange {figures['exchange']!r} are good; all below number {figures['durable']} are said to be durable")
    if figures["cut"]:
        screen.show(f"cut, as left by a write that never ended: {figures['cut']}")
    if figures["live"]:
        screen.show("it is being written: checked is what was there at the beginning")


def _dump_lines(journal: Journal, begin: int, end: int, screen: Screen) -> None:
    from shm_exchange.cli.journal_text import record_line
    from shm_exchange.cli.replay_screen import Advance

    with Advance(screen) as advance:
        number = begin
        for records in journal.records(begin, end, _PRINTED_AT_ONCE):
            lines = [record_line(number + place, record, journal.config) for place, record in enumerate(records)]
            sys.stdout.write("\n".join([*lines, ""]))
            number += len(records)
            if not sys.stdout.isatty():  # there the lines themselves show how far it is
                advance("printing", number - begin, end - begin)


def _dump_json(journal: Journal, begin: int, end: int) -> None:
    """One object, written as it goes: a log may be greater than the memory."""
    head = json.dumps(_summary(journal))
    sys.stdout.write(f'{head[:-1]}, "records": [')
    damage = None
    try:
        for place, text in enumerate(_json_records(journal, begin, end)):
            sys.stdout.write(f"{', ' if place else ''}{text}")
    except JournalDamaged as error:
        damage = error
    sys.stdout.write(f'], "damage": {json.dumps(damage and str(damage))}}}\n')
    if damage is not None:
        raise damage


def _json_records(journal: Journal, begin: int, end: int) -> Iterator[str]:
    from shm_exchange.cli.journal_text import record_figures

    number = begin
    for records in journal.records(begin, end, _PRINTED_AT_ONCE):
        for record in records:
            yield json.dumps(record_figures(number, journal.term_of(number), record, journal.config))
            number += 1


def _rest(journal: Journal) -> str:
    """What lies behind what was printed."""
    words = f"the log holds numbers {journal.first} to {journal.end - 1}" if journal.end > journal.first else "the log is empty"
    return words + (f"; cut: {journal.cut}" if journal.cut else "") + ("; it is being written" if journal.live else "")


def _difference_figures(found: Difference | None, journals: tuple[Journal, Journal], first: int) -> dict[str, Any]:
    from shm_exchange.cli.journal_text import record_figures

    sides = zip(journals, (found.one, found.other), strict=True) if found else ()
    records = [
        (record is not None and found is not None and record_figures(found.number, journal.term_of(found.number), record, journal.config)) or None
        for journal, record in sides
    ]
    return {"same": found is None, "compared_from": first, "ends": [journal.end for journal in journals]} | {
        "number": found and found.number,
        "records": records,
    }


def _side(number: int, record: Any, journal: Journal) -> str:
    from shm_exchange.cli.journal_text import record_line

    return f"the log ends before {number}" if record is None else record_line(number, record, journal.config)
