"""`shm-exchange list` and `shm-exchange status`: what there is, read from its memory. No process is asked or disturbed."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shm_exchange.domain.errors import ConfigError, ExchangeNotFound
from shm_exchange.domain.names import whole_name

if TYPE_CHECKING:
    from rich.console import RenderableType

    from shm_exchange.shm import ExchangeInfo


_COUNTS = ("commands", "trades", "rejects", "open_orders", "events")


def names_beginning(incomplete: str) -> list[str]:
    """For the shell's completion: your exchanges, alive or not."""
    from shm_exchange.shm.root import SHM_DIR, names_in

    names = names_in(SHM_DIR)
    return sorted({each for name in names for each in (name, whole_name(name)) if each.startswith(incomplete)})


Name = Annotated[
    str | None,
    typer.Argument(help="Which exchange; not needed where there is only one.", show_default=False, autocompletion=names_beginning),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]


def list_(*, as_json: Json = False) -> None:
    """List your exchanges: alive, since when, how large, and what dead ones left."""
    from shm_exchange.cli.screen import Screen, bytes_text, table
    from shm_exchange.shm import exchanges

    screen, found = Screen(as_json=as_json), exchanges()
    screen.result({"exchanges": [_figures(info) for info in found]})
    rows = [(info.name, state_of(info), info.creator_pid or "-", _since(info), bytes_text(info.size)) for info in found]
    if rows:
        screen.show(table("name", "state", ">started by", "since", ">memory", rows=rows))
    else:
        screen.show(f"there is no exchange of user {os.getuid()}; start one with: shm-exchange run")


def state_of(info: ExchangeInfo) -> str:
    """In a word or two."""
    if info.matcher_alive:
        return "running" if info.supervisor_alive else "running, unsupervised"
    return "starting or ending" if info.supervisor_alive else "dead"


def _since(info: ExchangeInfo) -> str:
    from shm_exchange.shm.root import time_text

    return time_text(info.created_ns) if info.created_ns else "-"


def _figures(info: ExchangeInfo) -> dict[str, Any]:
    return {
        "name": info.name,
        "alive": info.is_alive,
        "state": state_of(info),
        "supervisor_alive": info.supervisor_alive,
        "matcher_alive": info.matcher_alive,
        "pid": info.creator_pid,
        "since": _since(info) if info.created_ns else None,
        "since_ns": info.created_ns,
        "memory_bytes": info.size,
    }


def status(
    name: Name = None,
    *,
    as_json: Json = False,
) -> None:
    """Show an exchange in figures: counters, lanes, and the top of every book. Ends 1 when its matcher is dead."""
    from shm_exchange.cli.screen import Screen

    screen, name = Screen(as_json=as_json), name or only_name()
    figures = _status(name)
    screen.result(figures)
    screen.show(*_tables(figures))
    if figures["matcher"] == "dead":
        screen.say(f"the matcher of exchange {name!r} is dead; stop it with `shm-exchange stop {name}` and start it again")
        raise typer.Exit(1)


def _status(name: str) -> dict[str, Any]:
    """Of an exchange, of a shard, or of all shards together, with their books."""
    from shm_exchange.client.shards import Catalogue
    from shm_exchange.shm import attach, shards_of
    from shm_exchange.supervisor.sharded_status import summed
    from shm_exchange.supervisor.status import status_of

    names = shards_of(name, timeout=0)
    rows, configs = [], []
    books: dict[str, Any] = {}
    for each in names or (name,):
        with attach(each, dead_ok=True, populate=False) as segment:
            rows.append(status_of(segment))
            configs.append(segment.config)
        books |= _books(each)
    if not names:
        return rows[0] | {"books": books}
    whole = replace(configs[0], name=name, instruments=tuple(Catalogue(configs).instruments))
    figures = summed(name, whole, rows)
    return figures | {"books": {symbol: books[symbol] for symbol in figures["instruments"]}}


def only_name() -> str:
    """The name of the one exchange that is alive, in shards or not. Raises ExchangeNotFound, ConfigError."""
    from shm_exchange.shm import exchanges

    names = list(dict.fromkeys(whole_name(info.name) for info in exchanges() if info.is_alive))
    if not names:
        raise ExchangeNotFound("no exchange is running; start one with `shm-exchange run`")
    if len(names) > 1:
        raise ConfigError(f"several exchanges are running: say which of {', '.join(names)}")
    return names[0]


def _books(name: str) -> dict[str, Any]:
    """Best levels, last trade and version of every book."""
    from shm_exchange.client import MarketView
    from shm_exchange.shm import attach

    books: dict[str, Any] = {}
    with attach(name, dead_ok=True, populate=False) as segment:
        for instrument in segment.config.instruments:
            top = MarketView(segment, instrument.symbol).top()
            levels = {"bid": top.bid, "ask": top.ask, "last": top.last}
            books[instrument.symbol] = {key: level and [str(level.price), str(level.quantity)] for key, level in levels.items()}
            books[instrument.symbol] |= {"version": top.version, "event_number": top.event_number}
    return books


def _tables(figures: dict[str, Any]) -> list[RenderableType]:
    from rich.text import Text

    from shm_exchange.cli.screen import bytes_text, table

    mean, idle = figures["sweep_ns_mean"], figures["idle_share"]
    words = [
        ("matcher", f"{figures['matcher']}, process {figures['matcher_pid']}, idle {idle:.1%}, {'spins' if figures['spins'] else 'parks when idle'}"),
        ("life", f"term {figures['term']}, matcher number {figures['matcher_lives']} of it"),
        ("supervisor", f"process {figures['supervisor_pid']}" if figures["supervisor_alive"] else "none: the matcher runs on by itself"),
        ("memory", bytes_text(figures["memory_bytes"])),
        ("commands", f"{figures['commands']:,} in {figures['sweeps']:,} sweeps of {mean:,} ns, at most {figures['batch_high']:,} at once"),
        ("outcome", f"{figures['trades']:,} trades, {figures['rejects']:,} rejects, {figures['events']:,} events, {figures['reports']:,} reports"),
        ("open orders", f"{figures['open_orders']:,} now, {figures['open_orders_high']:,} at most"),
        ("waiting", f"at most {figures['lane_depth_high']:,} in one lane; {figures['reports_skipped']:,} reports skipped"),
    ]
    if (journal := figures["journal"]) is not None:
        words.append(("journal", _journal(journal)))
    lanes = [
        (*(lane[key] for key in ("session", "account", "pid")), "alive" if lane["alive"] else "gone", *_counts(lane)) for lane in figures["lanes"]
    ]
    books = [(symbol, *_side(book["bid"])[::-1], *_side(book["ask"]), _side(book["last"])[0]) for symbol, book in figures["books"].items()]
    tables: list[RenderableType] = [
        table("", "", rows=words, title=f"exchange {figures['name']}"),
        Text(),
        table("symbol", ">bid size", ">bid", ">ask", ">ask size", ">last", rows=books),
    ]
    if shards := figures.get("shards"):
        tables += [Text(), _shards(shards)]
    if lanes:
        tables += [Text(), table("session", "account", ">process", "", ">commands", ">waiting", ">open", ">reports", ">unread", rows=lanes)]
    return tables


def _shards(shards: list[dict[str, Any]]) -> RenderableType:
    from shm_exchange.cli.screen import table

    rows = [
        (row["name"], f"{row['matcher']}, process {row['matcher_pid']}", *(f"{row[key]:,}" for key in _COUNTS), " ".join(row["instruments"]))
        for row in shards
    ]
    return table("shard", "matcher", *(f">{key.replace('_', ' ')}" for key in _COUNTS), "instruments", rows=rows)


def _journal(journal: dict[str, Any]) -> str:
    """In words: what is safe, and what is wrong."""
    from shm_exchange.cli.screen import bytes_text

    said = f"{journal['mode']}, keeper {journal['keeper']}, process {journal['keeper_pid']}: {journal['archived']:,} commands in files"
    said += f" ({journal['behind']:,} to come), {journal['durable']:,} on the disk, {bytes_text(journal['bytes'])} written"
    if journal["checkpoint"]:
        said += f", checkpoint at {journal['checkpoint']:,}"
    if journal["syncs"]:
        said += f"; the disk takes {journal['sync_ns_mean'] / 1e6:.2f} ms, {journal['sync_ns_high'] / 1e6:.2f} ms at most"
    if journal["diverged"]:
        said += f"; DIVERGED at {journal['diverged']:,}: the state is not what the log leads to"
    if journal["admission"] != "all":
        said += f"; admission: {journal['admission']}"
    return said + (f"; {journal['error']}" if journal["error"] else "")


def _counts(lane: dict[str, Any]) -> list[str]:
    return [f"{lane[key]:,}" for key in ("commands", "depth", "open_orders", "reports", "reports_waiting")]


def _side(level: list[str] | None) -> tuple[str, str]:
    return (level[0], level[1]) if level else ("-", "-")
