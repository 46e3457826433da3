"""What travels over a feed's WebSocket: JSON text, validated where it comes in. Both ends import this; neither reads a word that is not checked here.

    client ▶ {"method": "subscribe", "params": {"symbols": ["BTC"]}, "id": 1}          no symbols: all
    server ▶ {"result": ["BTC"], "id": 1}                or {"error": {"code": -32602, "message": "…"}, "id": 1}
    server ▶ {"symbol": "BTC", "timestamp": 1700000000000000000, "bid": 42000, "ask": "42000.5", "bid_size": 2, "ask_size": 1.5, "volume": 7,
              "sequence": 12}                            a list of them is one frame too

timestamp: ISO 8601 text (UTC where it names no zone; digits beyond the microsecond are dropped), or a whole number since 1970: of nanoseconds,
or of milliseconds where it is below 10^15. Numbers may be text, for venues that send decimals. Sizes and volume default to 0; sequence counts the
ticks of its symbol from 1, and need not be there. A crossed quote passes: in an auction venues do send it.
"""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import Any

from shm_exchange.domain.errors import ConfigError
from shm_exchange.pipeline.tick import TICK, Tick

SYMBOL_BYTES = TICK["symbol"].itemsize
INVALID_PARAMETERS = -32602
"""As JSON-RPC says it."""
_MILLISECONDS_BELOW = 10**15
_INT64 = 2**63
_SHOWN = 40


class FeedTick(Tick):
    """A tick of a venue that counts the ticks of each symbol."""

    sequence: int | None = None


class BadFrame(ValueError):
    """A frame that is not what this module describes; its text says which part."""


def parse_tick(frame: str | bytes) -> Tick | list[Tick] | None:
    """The tick of a frame, or the list of them. Raises BadFrame."""
    try:
        content = json.loads(frame)
    except (ValueError, RecursionError) as error:
        raise BadFrame(f"it is no JSON: {type(error).__name__}") from None
    return [tick_of(part) for part in content] if isinstance(content, list) else tick_of(content)


def tick_of(content: object) -> Tick:
    """The tick that an object of this form tells. Raises BadFrame."""
    if not isinstance(content, dict):
        raise BadFrame(f"a tick must be an object, not {shown(content)}")
    symbol = content.get("symbol")
    if not isinstance(symbol, str) or not is_symbol(symbol):
        raise BadFrame(f"symbol must be 1 to {SYMBOL_BYTES} printable ASCII characters, not {shown(symbol)}")
    prices = [_number(content, name) for name in ("bid", "ask")]
    sizes = [_size(content, name) for name in ("bid_size", "ask_size", "volume")]
    tick = FeedTick(symbol, _timestamp_ns(content.get("timestamp")), *prices, *sizes)
    tick.sequence = _sequence(content.get("sequence"))
    return tick


def answer_in(frame: str | bytes) -> dict[str, Any] | None:
    """The answer to a request, where the frame is one."""
    probe = b'"id"' if isinstance(frame, bytes) else '"id"'
    if probe not in frame:  # type: ignore[operator]  # ticks have none: they are decoded once
        return None
    try:
        content = json.loads(frame)
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) and ("result" in content or "error" in content) else None


def subscribe_frame(symbols: tuple[str, ...], number: int = 1) -> str:
    """The request for these symbols."""
    return json.dumps({"method": "subscribe", "params": {"symbols": list(symbols)}, "id": number})


def tick_frame(tick: Tick, sequence: int | None = None) -> str:
    """A tick as `parse_tick` reads it."""
    numbered = {} if sequence is None else {"sequence": sequence}
    fields = tick._asdict()
    return json.dumps({"symbol": fields.pop("symbol"), "timestamp": fields.pop("timestamp_ns"), **fields, **numbered}, allow_nan=False)


def checked_symbols(symbols: object) -> tuple[str, ...]:
    """Symbols to subscribe to, each once. Raises ConfigError."""
    if isinstance(symbols, str) or not isinstance(symbols, list | tuple | set | frozenset):
        raise ConfigError(f"symbols must be a list of symbols, not {symbols!r}")
    ordered = sorted(symbols, key=str) if isinstance(symbols, set | frozenset) else symbols
    for symbol in ordered:
        if not is_symbol(symbol):
            raise ConfigError(f"{shown(symbol)} is no symbol: it must be 1 to {SYMBOL_BYTES} printable ASCII characters")
    return tuple(dict.fromkeys(ordered))


def is_symbol(value: object) -> bool:
    """Whether a TICK record can hold it."""
    return isinstance(value, str) and 0 < len(value) <= SYMBOL_BYTES and value.isascii() and value.isprintable()


def shown(value: object) -> str:
    """A value out of a frame for a message: what came from outside is long or not printable at times."""
    text = ascii(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _number(content: dict[str, Any], name: str) -> float:
    value = content.get(name)
    try:
        number = math.nan if isinstance(value, bool) or not isinstance(value, int | float | str) else float(value)
    except (ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise BadFrame(f"{name} must be a finite number, not {shown(value)}")
    return number


def _size(content: dict[str, Any], name: str) -> float:
    number = _number(content, name) if name in content else 0.0
    if number < 0:
        raise BadFrame(f"{name} must not be negative, it is {number:g}")
    return number


def _timestamp_ns(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _INT64:
        return value * 1_000_000 if value < _MILLISECONDS_BELOW and value * 1_000_000 < _INT64 else value
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
            since = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - datetime(1970, 1, 1, tzinfo=UTC)
        except (ValueError, OverflowError):
            raise BadFrame(f"timestamp {shown(value)} is no ISO 8601 time") from None
        nanoseconds = (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1000
        if 0 <= nanoseconds < _INT64:
            return nanoseconds
    raise BadFrame(f"timestamp must be an ISO 8601 time, or a whole number of nanoseconds or milliseconds since 1970, not {shown(value)}")


def _sequence(value: Any) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < _INT64:
        raise BadFrame(f"sequence must be a whole number, not {shown(value)}")
    return value
