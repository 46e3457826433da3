"""An exchange as people describe it: a TOML file, flags that override it, and the same as TOML again.

[exchange]
name = "demo"
shards = 2                matchers, to which instruments are dealt in turn; left out: one
max_orders = 65536

[[instrument]]
symbol = "ACME"
tick_size = "0.01"        a number without quotes is as good: it is read exactly
lot_size = "1"

[journal]
mode = "async"
directory = "/var/lib/demo"
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import fields
from decimal import Decimal
from pathlib import Path
from typing import Any

from shm_exchange.domain.config import ExchangeConfig, JournalConfig
from shm_exchange.domain.errors import ConfigError
from shm_exchange.domain.instrument import Instrument
from shm_exchange.domain.names import nearest
from shm_exchange.domain.packing import SIZES

DEFAULT_NAME = "demo"
DEFAULT_INSTRUMENT = "ACME:0.01:1"
_TABLES = ("exchange", "instrument", "journal")
JOURNAL_KEYS = tuple(field.name for field in fields(JournalConfig))
_EXCHANGE_KEYS = ("name", "shards", *SIZES)
_INSTRUMENT_KEYS = ("symbol", "tick_size", "lot_size", "min_price", "max_price")


def configured(source: str | None, name: str | None, instruments: Iterable[str], sizes: Mapping[str, int | None]) -> ExchangeConfig:
    """The configuration of a TOML file or a bare name (`source`), overridden by flags. Raises ConfigError."""
    is_file = source is not None and _is_file(source)
    exchange, listed = read_toml(Path(source)) if source is not None and is_file else ({}, [])
    exchange.pop("shards", None)
    exchange |= {key: value for key, value in sizes.items() if value is not None}
    if name is not None:
        exchange["name"] = name
    elif source is not None and not is_file:
        exchange["name"] = source
    flagged = [instrument_of(text) for text in instruments]
    return ExchangeConfig(exchange.pop("name", DEFAULT_NAME), tuple(flagged or listed or [instrument_of(DEFAULT_INSTRUMENT)]), **exchange)


def _is_file(source: str) -> bool:
    """A name has neither a dot nor a slash, so what has one is meant as a file."""
    return "/" in source or "." in source or Path(source).is_file()


def instrument_of(text: str) -> Instrument:
    """SYMBOL[:TICK[:LOT[:MIN[:MAX]]]]. Raises ConfigError."""
    parts = text.split(":")
    if len(parts) > len(_INSTRUMENT_KEYS):
        raise ConfigError(f"instrument {text!r} has too many parts; write SYMBOL:TICK:LOT, or SYMBOL:TICK:LOT:MIN_PRICE:MAX_PRICE")
    return Instrument(**{key: part for key, part in zip(_INSTRUMENT_KEYS, parts, strict=False) if part or key == "symbol"})


def read_toml(path: Path) -> tuple[dict[str, Any], list[Instrument]]:
    """The [exchange] table and the instruments of a file. Raises ConfigError, which names the file and what is near."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}; give a TOML file, or a bare name") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from None
    _check_keys(path, "table", document, _TABLES)
    exchange = document.get("exchange", {})
    instruments = document.get("instrument", [])
    if not isinstance(exchange, dict) or not isinstance(instruments, list) or not all(isinstance(entry, dict) for entry in instruments):
        raise ConfigError(f"{path}: write [exchange] with one bracket and [[instrument]] with two")
    _check_keys(path, "key of [exchange]", exchange, _EXCHANGE_KEYS)
    return dict(exchange), [_read_instrument(path, entry) for entry in instruments]


def journal_table(source: str | None) -> dict[str, Any]:
    """The [journal] table of a file, with a relative folder meant from the file's own; empty for a bare name. Raises ConfigError."""
    if source is None or not _is_file(source):
        return {}
    table = tomllib.loads(Path(source).read_text(encoding="utf-8")).get("journal", {})
    if not isinstance(table, dict):
        raise ConfigError(f"{source}: write [journal] with one bracket")
    _check_keys(Path(source), "key of [journal]", table, JOURNAL_KEYS)
    if isinstance(directory := table.get("directory"), str):
        table["directory"] = str(Path(source).absolute().parent / Path(directory).expanduser())
    return dict(table)


def shards_told(source: str | None) -> int | None:
    """How many shards a file wants; None where it does not say, and for a bare name. Raises ConfigError."""
    if source is None or not _is_file(source):
        return None
    shards = read_toml(Path(source))[0].get("shards")
    if shards is not None and not isinstance(shards, int):
        raise ConfigError(f"{source}: shards is how many there are, a whole number, not {shards!r}")
    return shards


def _read_instrument(path: Path, entry: dict[str, Any]) -> Instrument:
    _check_keys(path, "key of [[instrument]]", entry, _INSTRUMENT_KEYS)
    if "symbol" not in entry:
        raise ConfigError(f'{path}: an [[instrument]] has no symbol; add symbol = "…"')
    return Instrument(**entry)


def _check_keys(path: Path, what: str, found: Iterable[str], known: Iterable[str]) -> None:
    for key in found:
        if key not in known:
            raise ConfigError(f"{path}: there is no {what} {key!r}{nearest(key, known)}; known are {', '.join(known)}")


def toml_text(config: ExchangeConfig, journal: Mapping[str, Any], shards: int | None = None) -> str:
    """A file that says the same."""
    sharding = [f"shards = {shards}"] if shards else []
    lines = ["[exchange]", f"name = {json.dumps(config.name)}", *sharding, *(f"{size} = {getattr(config, size)}" for size in SIZES)]
    for instrument in config.instruments:
        given = {key: getattr(instrument, key) for key in _INSTRUMENT_KEYS}
        lines += ["", "[[instrument]]", *(f"{key} = {json.dumps(str(value))}" for key, value in given.items() if value is not None)]
    if journal:
        lines += ["", "[journal]", *(f"{key} = {json.dumps(value if isinstance(value, int) else str(value))}" for key, value in journal.items())]
    return "\n".join(lines) + "\n"
