"""One look without a screen: the panels below each other as plain text, or the same as one object for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.text import Text

from shm_exchange.cli.top import market, panels
from shm_exchange.cli.top.alarms import Alarm
from shm_exchange.cli.top.crowd import crowd
from shm_exchange.cli.top.figures import Figures
from shm_exchange.cli.top.panels import Shown
from shm_exchange.cli.top.probe import RoundTrips
from shm_exchange.cli.top.reading import Reading
from shm_exchange.cli.top.rows import Participant
from shm_exchange.cli.top.tape import Trade
from shm_exchange.client import Depth
from shm_exchange.client.view import Level

_TAPE_WIDTH = 36
_LADDER_WIDTH = 64
_TRADES = 12


def picture(
    reading: Reading, figures: Figures, rows: Sequence[Participant], found: Sequence[Alarm], trips: RoundTrips | None, width: int
) -> list[Text]:
    """Everything, however long, in lines without trailing blanks."""
    shown = Shown(reading.config.instruments[0].symbol, all_trades=True)
    lines = [panels.title(reading, shown, width), *panels.headline(reading, figures, trips, width)[: 3 if trips else 2]]
    lines += [Text(), *panels.alarm_lines(found, width), Text(), *crowd(rows, figures, (width, None))]
    side = max(24, min(_LADDER_WIDTH, width - _TAPE_WIDTH))
    for symbol in reading.books:
        depth = reading.books[symbol]
        height = 1 + max(1, len(depth.bids), len(depth.asks))
        lines += [Text(), *market.ladder(reading, shown._replace(symbol=symbol), (side, height))]
    lines += [Text(), *market.tape(reading, shown, (min(width, _LADDER_WIDTH), 1 + _TRADES))]
    for line in lines:
        line.rstrip()
    return lines


def figures_of(reading: Reading, figures: Figures, rows: Sequence[Participant], found: Sequence[Alarm], trips: RoundTrips | None) -> dict[str, Any]:
    """Everything as plain words and figures, fit for JSON; prices and quantities as decimal strings. Null: one look could not tell."""
    state, _ = panels.state_of(reading)
    return {
        "name": reading.config.name,
        "state": state.partition(" ")[2],
        "time_ns": reading.clock_ns,
        "rates": {
            "seconds": figures.seconds,
            **{name: getattr(figures, name) for name in ("commands", "trades", "rejects", "events", "parks", "busy")},
        },
        "matcher_time": {name: getattr(figures, name) for name in ("command_ns", "sweep_ns", "batch", "is_recent")},
        "round_trip_ns": trips._asdict() if trips is not None else None,
        "counters": {name: value for name, value in reading.status.items() if name not in ("name", "lanes", "instruments")},
        "participants": [_participant(each) for each in rows],
        "books": {symbol: _book(depth) for symbol, depth in reading.books.items()},
        "trades": [_trade(trade) for trade in reading.trades[None]],
        "warnings": [{"severity": alarm.severity.name.lower(), "text": alarm.text} for alarm in found],
    }


def _participant(each: Participant) -> dict[str, Any]:
    words = {"name": each.name, "role": each.role, "pid": each.pid, "alive": each.alive, **each.process._asdict()}
    return words | {"lane": each.lane._asdict() | {"used": each.lane.share} if each.lane else None}


def _book(depth: Depth) -> dict[str, Any]:
    return {
        "bids": [_level(level) for level in depth.bids],
        "asks": [_level(level) for level in depth.asks],
        "last": _level(depth.last) if depth.last else None,
        "version": depth.version,
        "event_number": depth.event_number,
        "time_ns": depth.time_ns,
    }


def _level(level: Level) -> list[str]:
    return [str(level.price), str(level.quantity)]


def _trade(trade: Trade) -> dict[str, Any]:
    words = {"price": str(trade.price), "quantity": str(trade.quantity), "side": trade.side.name}
    return {"number": trade.number, "time_ns": trade.time_ns, "symbol": trade.symbol} | words
