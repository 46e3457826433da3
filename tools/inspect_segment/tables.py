"""The figures of a picture as text, section by section."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import zip_longest

from rich.console import Group, RenderableType
from rich.text import Text

from shm_exchange.cli.screen import bytes_text, table
from tools.inspect_segment.picture import Figures
from tools.inspect_segment.words import command_text, event_text, id_text, time_of_day

_DETAILED = 4
"""So many instruments are shown with their ladders and slots unless they are chosen."""
_GONE = "gone"


def picture_tables(figures: Figures, symbols: list[str]) -> Iterator[RenderableType]:
    """Everything, with an empty line between sections."""
    sections = [_overview(figures), _locks(figures), _words(figures), _lanes(figures), _report_rings(figures), _accounts(figures)]
    sections += [_books(figures), *_details(figures, symbols), _log(figures), _events(figures), *_reports(figures)]
    for number, section in enumerate(section for section in sections if section is not None):
        if number:
            yield Text()
        yield section


def _overview(figures: Figures) -> RenderableType:
    heartbeat = figures["heartbeat_age_seconds"]
    matcher = f"{figures['matcher']}, process {figures['matcher_pid']}"
    if figures["matcher_stopped_by_signal"]:
        matcher += ", STOPPED by a signal"
    elif figures["matcher_alive"]:
        matcher += ", asleep until something is submitted" if figures["matcher_parked"] else ", awake"
    supervisor = f"{'alive' if figures['supervisor_alive'] else _GONE}, process {figures['supervisor_pid']}"
    journal = figures["journal"]
    rows = [
        ("matcher", matcher),
        *([("journal", f"{journal['mode']}, keeper {journal['keeper']}, process {journal['keeper_pid']}")] if journal else []),
        ("supervisor", supervisor),
        ("heartbeat", "none yet" if heartbeat is None else f"{heartbeat:,.3f} s ago"),
        ("memory", f"{bytes_text(figures['memory_bytes'])}, generation {figures['generation']}"),
        ("layout", f"version {figures['layout_version']}, digest {figures['layout_digest']}"),
        ("log", _ring(figures["log"], "command", 0)),
        ("events", _ring(figures["event_ring"], "event", 1)),
    ]
    return _section(f"exchange {figures['name']}", "", "", rows=rows)


def _ring(ring: Figures, what: str, first: int) -> str:
    if ring["tail"] <= first:
        return f"tail {ring['tail']:,}: no {what} yet; room for {ring['capacity']:,}"
    return f"tail {ring['tail']:,}; {what}s {ring['oldest']:,} to {ring['tail'] - 1:,} are still there ({ring['capacity']:,} slots)"


def _locks(figures: Figures) -> RenderableType:
    rows = []
    for lock in figures["locks"]:
        names = ", ".join(f"{holder['pid']} {holder['command']}{_state(holder)}" for holder in lock["holders"])
        who = names or ("a process that cannot be seen from here" if lock["held"] else "nobody")
        rows.append((lock["byte"], lock["role"], who, lock["pid_in_memory"] or "-"))
    readers = [f"{reader['pid']} {reader['command']}{_state(reader)}" for reader in figures["readers"]]
    if readers:
        rows.append(("", "no lock, file open", ", ".join(readers), ""))
    return _section("locks", ">byte", "role", "held by (says the kernel)", ">pid in memory", rows=rows)


def _state(process: Figures) -> str:
    return " (stopped)" if process["state"] in ("T", "t") else ""


def _words(figures: Figures) -> RenderableType:
    """Control beside matcher, and the counters in two columns: so it fits 80 characters."""
    counters = list(figures["counters"].items())
    half = (len(counters) + 1) // 2
    pairs = [(figures["control"].items(), figures["matcher_words"].items()), (counters[:half], counters[half:])]
    beside = [[(*left, *right) for left, right in zip_longest(*pair, fillvalue=("", ""))] for pair in pairs]
    return Group(_section("", "control", ">", "matcher", ">", rows=beside[0]), Text(), _section("", "counters", ">", "", ">", rows=beside[1]))


def _section(title: str, *columns: str, rows: Iterable[Iterable[object]]) -> RenderableType:
    """A table under a heading of any length, whose last column may go on in a new line."""
    made = table(*columns, rows=rows)
    made.columns[-1].no_wrap = False
    return Group(Text(title, style="bold"), made) if title else made


def _lanes(figures: Figures) -> RenderableType:
    rows = [
        (
            lane["number"],
            lane["session"],
            lane["account"],
            lane["pid"],
            lane["state"],
            f"{lane['head']:,}",
            f"{lane['waiting']:,}",
            f"{lane['open_orders']:,}",
            " ".join(word for word in ("active", "parked") if lane[word]) or "-",
        )
        for lane in figures["lanes"]
    ]
    used = f"lanes: {len(rows)} of {figures['config']['max_sessions']} were ever used"
    if not rows:
        return Text(used, style="bold")
    return _section(used, ">lane", "session", "account", ">pid", "", ">head", ">waiting", ">open", "hints", rows=rows)


def _report_rings(figures: Figures) -> RenderableType | None:
    rows = [
        (
            lane["number"],
            lane["session"],
            *(f"{lane[key]:,}" for key in ("report_head", "report_tail", "reports_waiting", "reports_skipped")),
        )
        for lane in figures["lanes"]
    ]
    title = f"report rings of {figures['config']['report_capacity']:,}"
    return _section(title, ">lane", "session", ">head", ">tail", ">unread", ">skipped", rows=rows) if rows else None


def _accounts(figures: Figures) -> RenderableType | None:
    rows = [(account["number"], account["account"]) for account in figures["accounts"]]
    return _section("accounts", ">number", "account", rows=rows) if rows else None


def _books(figures: Figures) -> RenderableType:
    rows = []
    for book in figures["books"]:
        latest = book["latest"]
        best = [side[0] if (side := latest and latest[key]) else ["-", "-"] for key in ("bids", "asks")]
        states = [slot["state"].partition(":")[0] for slot in book["slots"]]
        odd = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states) if state not in ("latest", "whole", "never written"))
        last = latest["last"][0] if latest and latest["last"] else "-"
        rows.append((book["symbol"], f"{book['version']:,}", best[0][1], *(side[0] for side in best), best[1][1], last, odd or "all whole"))
    title = "book tops, as last published (the books themselves are the matcher's private memory)"
    return _section(title, "symbol", ">version", ">bid size", ">bid", ">ask", ">ask size", ">last", "slots", rows=rows)


def _details(figures: Figures, symbols: list[str]) -> Iterator[RenderableType]:
    chosen = [book for book in figures["books"] if book["symbol"] in symbols or not symbols]
    for book in chosen if symbols else chosen[:_DETAILED]:
        if book["latest"]:
            yield _ladder(book)
        yield _slots(book)
    if not symbols and len(chosen) > _DETAILED:
        yield Text(f"{len(chosen) - _DETAILED} more instruments: --symbol shows their ladders and slots")


def _ladder(book: Figures) -> RenderableType:
    bids, asks = book["latest"]["bids"], book["latest"]["asks"]
    blank = ["", ""]
    rows = [
        (*reversed(bids[line] if line < len(bids) else blank), *(asks[line] if line < len(asks) else blank))
        for line in range(max(len(bids), len(asks)))
    ]
    title = f"{book['symbol']}: levels of version {book['version']:,}" + ("" if rows else ", both sides empty")
    return _section(title, ">bid size", ">bid", ">ask", ">ask size", rows=rows) if rows else Text(title, style="bold")


def _slots(book: Figures) -> RenderableType:
    rows = [
        (slot["slot"], f"{slot['stamp']:,}", f"{slot['version']:,}", slot["state"], f"{slot['event_number']:,}", *_size(slot))
        for slot in book["slots"]
    ]
    return _section(f"{book['symbol']}: version slots", ">slot", ">stamp", ">version", "", ">event", ">bids", ">asks", rows=rows)


def _size(slot: Figures) -> tuple[int, int]:
    return len(slot["bids"]), len(slot["asks"])


def _log(figures: Figures) -> RenderableType | None:
    rows = [(f"{one['number']:,}", time_of_day(one["time_ns"]), id_text(one["command_id"]), command_text(one)) for one in figures["log"]["last"]]
    return _section(f"log, last {len(rows)}", ">number", "time", ">lane:position", "command", rows=rows) if rows else None


def _events(figures: Figures) -> RenderableType | None:
    rows = [(f"{one['number']:,}", f"{one['sequence']:,}", event_text(one)) for one in figures["event_ring"]["last"]]
    return _section(f"events, last {len(rows)}", ">number", ">log", "event", rows=rows) if rows else None


def _reports(figures: Figures) -> Iterator[RenderableType]:
    for lane in figures["lanes"]:
        rows = [(f"{one['number']:,}", event_text(one)) for one in lane["last_reports"]]
        if rows:
            yield _section(f"reports of session {lane['session']}, last {len(rows)}", ">number", "report", rows=rows)


def map_table(rows: list[Figures], memory_bytes: int) -> RenderableType:
    """Where each region lies."""
    lines = [(row["region"], f"{row['offset']:,}", f"{row['bytes']:,}", f"{row['count']:,}", row["record_bytes"], row["writer"]) for row in rows]
    again = next(row for row in rows if row["sessions"])
    note = f"a gateway's regions come again for each of {again['sessions']:,} sessions, every {again['stride']:,} bytes"
    return Group(
        _section(f"memory map, {memory_bytes:,} bytes", "region", ">offset", ">bytes", ">records", ">each", "writer", rows=lines), Text(), Text(note)
    )
