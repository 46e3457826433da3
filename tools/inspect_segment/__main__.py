"""Look into an exchange's memory, alive or dead, without taking part: lanes, rings, log, events, book tops, counters, locks."""

from __future__ import annotations

import argparse
import os
import sys

if __name__ == "__main__":
    os.nice(19)  # before anything heavy is imported: a busy core is its exchange's, not ours

from rich.text import Text

from shm_exchange.cli.screen import Screen, table
from shm_exchange.domain.errors import ConfigError, ExchangeError, ExchangeNotFound, UnknownSymbol
from shm_exchange.domain.names import nearest
from shm_exchange.shm import SHM_DIR, Segment, attach, exchanges
from tools.inspect_segment.dump import dump_of, hex_lines, map_of
from tools.inspect_segment.header import here
from tools.inspect_segment.header_c import c_header
from tools.inspect_segment.header_rust import rust_header
from tools.inspect_segment.picture import Wanted, picture_of
from tools.inspect_segment.tables import map_table, picture_tables

_EPILOG = """examples:
  python -m tools.inspect_segment                                everything about the only exchange there is
  python -m tools.inspect_segment demo --log 20 --events 20      the last commands and events in words
  python -m tools.inspect_segment demo --map                     where each region lies, and who writes it
  python -m tools.inspect_segment demo --region lane --session 1 --index 5 --hex
  python -m tools.inspect_segment --header c > shm_exchange.h    the layout for C; with a NAME its offsets too
"""


_HEADERS = {"c": c_header, "rust": rust_header}


def _count(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"must be 0 or more, not {number}")
    return number


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.inspect_segment", description=__doc__, epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", nargs="?", metavar="NAME", help="which exchange; not needed where there is only one")
    parser.add_argument("--log", type=_count, default=5, metavar="N", help="decode the last N log records (default 5)")
    parser.add_argument("--events", type=_count, default=5, metavar="N", help="decode the last N events (default 5)")
    parser.add_argument("--reports", type=_count, default=0, metavar="N", help="decode the last N reports of every session (default 0)")
    parser.add_argument("--symbol", action="append", default=[], metavar="SYMBOL", help="ladder and version slots of this instrument (repeatable)")
    parser.add_argument("--map", action="store_true", help="only the memory map: regions with offset, size and writer")
    parser.add_argument("--region", metavar="REGION", help="only records of this region, field by field; --map lists the regions")
    parser.add_argument("--session", type=_count, metavar="S", help="with --region: the session whose region it is, from 1")
    parser.add_argument("--index", type=_count, default=0, metavar="I", help="with --region: the first record (default 0)")
    parser.add_argument("--count", type=_count, default=1, metavar="N", help="with --region: how many records (default 1)")
    parser.add_argument("--hex", action="store_true", help="with --region: bytes instead of fields")
    parser.add_argument("--header", choices=_HEADERS, help="print the layout for another language")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Print what was asked for; 0 when it could be read."""
    parser = _parser()
    wanted = parser.parse_args(arguments)
    if wanted.region is None and (wanted.session is not None or wanted.index or wanted.count != 1 or wanted.hex):
        parser.error("--session, --index, --count and --hex go with --region")
    if wanted.header and wanted.json:
        parser.error("--header prints a source file, not JSON")
    try:
        _show(wanted)
    except ExchangeError as error:
        sys.stderr.write(f"inspect_segment: {error}\n")
        return 1
    return 0


def _show(wanted: argparse.Namespace) -> None:
    if wanted.header and wanted.name is None:
        sys.stdout.write(_HEADERS[wanted.header]())
        return
    screen = Screen(as_json=wanted.json)
    with attach(wanted.name or _only_name(), dead_ok=True, populate=False) as segment:
        if wanted.header:
            sys.stdout.write(_HEADERS[wanted.header](here(segment, SHM_DIR)))
        elif wanted.map:
            rows = map_of(segment)
            screen.result({"name": segment.name, "memory_bytes": segment.layout.size, "regions": rows})
            screen.show(map_table(rows, segment.layout.size))
        elif wanted.region is not None:
            _dump(screen, segment, wanted)
        else:
            _check_symbols(segment, wanted.symbol)
            figures = picture_of(segment, SHM_DIR, Wanted(wanted.log, wanted.events, wanted.reports))
            screen.result(figures)
            screen.show(*picture_tables(figures, wanted.symbol))


def _dump(screen: Screen, segment: Segment, wanted: argparse.Namespace) -> None:
    figures = dump_of(segment, wanted.region, wanted.session, wanted.index, wanted.count)
    screen.result(figures)
    for record in figures["records"]:
        title = f"{figures['region']}[{record['index']}] of {figures['count']:,}, at byte {record['offset']:,}, written by {figures['writer']}"
        if wanted.hex:
            lines = [Text(line) for line in hex_lines(record["offset"], record["hex"])]
            screen.show(Text(title, style="bold"), *lines)
        else:
            screen.show(Text(title, style="bold"), table("", "", rows=record["fields"].items()))


def _check_symbols(segment: Segment, symbols: list[str]) -> None:
    known = [instrument.symbol for instrument in segment.config.instruments]
    for symbol in symbols:
        if symbol not in known:
            raise UnknownSymbol(f"exchange {segment.name!r} has no instrument {symbol!r}{nearest(symbol, known)}; it has {', '.join(known)}")


def _only_name() -> str:
    """The one that lives, or the one that is left. Raises ExchangeNotFound, ConfigError."""
    found = exchanges()
    chosen = [info.name for info in found if info.is_alive] or [info.name for info in found]
    if not chosen:
        raise ExchangeNotFound("there is no exchange, alive or dead; start one with `shm-exchange run`")
    if len(chosen) > 1:
        raise ConfigError(f"there are several exchanges: say which of {', '.join(chosen)}")
    return chosen[0]


if __name__ == "__main__":
    sys.exit(main())
