"""Making shards of one exchange: which instrument goes where, which folder and which core each shard gets, and what a resume finds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from shm_exchange.domain.config import ExchangeConfig
from shm_exchange.domain.errors import ConfigError, JournalError
from shm_exchange.domain.names import nearest, shard_names
from shm_exchange.runtime.affinity import checked_cores
from shm_exchange.supervisor.kept import Plan, check_saved, cleared, effective, holds_journal, is_running, planned

Shards = int | Mapping[str, int]
"""How many, and instruments are dealt to them in turn; or by symbol the shard of each, from 0."""
_FOLDER = "shard-"


def split(config: ExchangeConfig, shards: Shards) -> list[ExchangeConfig]:
    """The configuration of every shard. Sizes are those of each. Raises ConfigError."""
    chosen = dealt([item.symbol for item in config.instruments], shards)
    names = shard_names(config.name, max(chosen) + 1)
    whose = [tuple(item for item, shard in zip(config.instruments, chosen, strict=True) if shard == number) for number in range(len(names))]
    return [replace(config, name=name, instruments=instruments) for name, instruments in zip(names, whose, strict=True)]


def dealt(symbols: Sequence[str], shards: Shards) -> list[int]:
    """The shard of every symbol. Raises ConfigError."""
    if not isinstance(shards, Mapping):
        names = shard_names("any", shards)
        if len(names) > len(symbols):
            raise ConfigError(f"{shards} shards need an instrument each, and there are {len(symbols)}: give more instruments, or fewer shards")
        return [number % len(names) for number in range(len(symbols))]
    for symbol in shards:
        if symbol not in symbols:
            raise ConfigError(f"shards names {symbol!r}, which is none of the instruments{nearest(symbol, symbols)}; they are {', '.join(symbols)}")
    if left := [symbol for symbol in symbols if symbol not in shards]:
        raise ConfigError(f"shards does not say where {', '.join(left)} goes; give every symbol its shard, from 0")
    chosen = [shards[symbol] for symbol in symbols]
    numbers = set(chosen)
    if not all(isinstance(number, int) for number in chosen) or numbers != set(range(len(numbers))):
        raise ConfigError(f"shards are numbered 0, 1, 2 … without a gap, each with an instrument; not {sorted(numbers, key=str)}")
    shard_names("any", len(numbers))
    return chosen


def core_of_each(core: int | Sequence[int] | None, count: int) -> list[int | None]:
    """The core of every shard's matcher. Raises ConfigError."""
    if core is None:
        return [None] * count
    cores = [core] if isinstance(core, int) else list(core)
    if len(cores) != count:
        raise ConfigError(f"core names {len(cores)} for {count} matcher{'s' * (count > 1)}: give one for each, or leave it out")
    return list(checked_cores(cores))


def folder_of_each(directory: str | Path | None, count: int) -> list[Path | None]:
    """The folder of every shard's journal; None where it gets one that does not outlive it. Raises JournalError where one is in use."""
    if directory is None:
        return [None] * count
    place = Path(directory).expanduser().absolute()
    if holds_journal(place):
        raise JournalError(f"{place} holds a journal already: `shm-exchange run NAME --resume` goes on with it; use an empty folder here")
    return [place / f"{_FOLDER}{number}" for number in range(count)]


def shard_folders(directory: str | Path) -> list[Path]:
    """The folders of shards' journals in a folder, in order."""
    place = Path(directory)
    return sorted(place.glob(f"{_FOLDER}[0-9]")) if place.is_dir() else []


def planned_shards(config: ExchangeConfig, told: Mapping[str, Any], shards: int, *, resume: bool, new: bool) -> list[Plan]:
    """What `shm-exchange run` will run as shards: `kept.planned` for each. Raises ConfigError, JournalError, JournalDamaged."""
    configs = [replace(config, name=name) for name in shard_names(config.name, shards)] if resume else split(config, shards)
    wanted = effective(config.name, told)
    if "directory" not in wanted:
        return [planned(each, wanted, resume=resume, new=new) for each in configs]
    place = Path(wanted["directory"])
    folders = [place / f"{_FOLDER}{number}" for number in range(shards)]
    note = ""
    if not is_running(config.name):
        check_saved(config.name)
        if resume:
            _check_all_there(config.name, place, folders)
        else:
            note = cleared(place, new=new)
    plans = [planned(each, {**wanted, "directory": str(folder)}, resume=resume, new=False) for each, folder in zip(configs, folders, strict=True)]
    return [plans[0]._replace(note=note or plans[0].note), *plans[1:]]


def resumed_shards(name: str, told: Mapping[str, Any]) -> int:
    """How many shards the journals of an exchange are of; 0 where there is none, or one of an exchange without shards."""
    wanted = effective(name, told)
    return len(shard_folders(wanted["directory"])) if "directory" in wanted else 0


def _check_all_there(name: str, place: Path, folders: Iterable[Path]) -> None:
    expected, found = [folder.name for folder in folders], [folder.name for folder in shard_folders(place)]
    if found != expected:
        there = f"those of {', '.join(found)}" if found else "none of any shard"
        raise JournalError(
            f"{place} should hold the journals of exchange {name!r} in {len(expected)} shards, and holds {there}: resume all, together"
        )
