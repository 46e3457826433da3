"""What a user says about the journal, checked and made into what a supervisor is told."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from shm_exchange.domain.config import FIRST_TERM, ExchangeConfig, JournalConfig, Term
from shm_exchange.domain.enums import JournalMode
from shm_exchange.domain.errors import ConfigError, JournalError
from shm_exchange.domain.names import nearest, whole_name
from shm_exchange.shm import SHM_DIR, exchanges, shards_found
from shm_exchange.supervisor.unsaved import unsaved_in, unsaved_text

MODES = tuple(mode.name.lower() for mode in JournalMode)


def holds_journal(directory: Path) -> bool:
    """Whether a folder has the journal of an exchange, or those of its shards."""
    return directory.is_dir() and any(any(directory.glob(f"{where}segment-*.log")) for where in ("", "shard-[0-9]/"))


class Kept(NamedTuple):
    """What is kept of the log, and whether it is removed when the exchange is stopped."""

    journal: JournalConfig
    forgets: bool


NOTHING_KEPT = Kept(JournalConfig(), forgets=False)


def checked_mode(word: str) -> JournalMode:
    """A mode by its word. Raises ConfigError."""
    if word not in MODES:
        raise ConfigError(f"journal must be one of {', '.join(MODES)}, not {word!r}{nearest(str(word), MODES)}")
    return JournalMode[word.upper()]


def kept_of(word: str, directory: str | Path | None) -> Kept:
    """For an exchange that begins; without a folder of the user's in one that does not outlive it. Raises ConfigError."""
    mode = checked_mode(word)
    if mode is JournalMode.OFF:
        if directory is not None:
            raise ConfigError('a folder for a journal that is off: say which mode, for example journal="async"')
        return NOTHING_KEPT
    if directory is None:
        return Kept(JournalConfig(mode, tempfile.mkdtemp(prefix="shm_exchange-journal-")), forgets=True)
    place = Path(directory).expanduser().absolute()
    if holds_journal(place):
        raise JournalError(f"{place} holds a journal already: `shm-exchange run NAME --resume` goes on with it; use an empty folder here")
    return Kept(JournalConfig(mode, str(place)), forgets=False)


def default_directory(name: str) -> Path:
    """Where `shm-exchange run` keeps the journal of an exchange: the state folder of the XDG base directory specification."""
    state = os.environ.get("XDG_STATE_HOME", "")
    return (Path(state) if state.startswith("/") else Path.home() / ".local" / "state") / "shm_exchange" / name


class Plan(NamedTuple):
    """What `shm-exchange run` will run."""

    config: ExchangeConfig
    journal: JournalConfig = JournalConfig()
    term: Term = FIRST_TERM
    note: str = ""
    """What the user should know of the journal that was found."""


def effective(name: str, told: Mapping[str, Any]) -> dict[str, Any]:
    """The [journal] table that is meant where a user says only a part of it, or nothing."""
    mode = told.get("mode", "async")
    if mode == "off":
        return {"mode": mode}
    directory = told.get("directory") or default_directory(name)
    if not isinstance(directory, str | Path):
        raise ConfigError(f"the folder of a journal is a path, not {directory!r}")
    return {**told, "mode": mode, "directory": str(Path(directory).expanduser().absolute())}


def planned(config: ExchangeConfig, told: Mapping[str, Any], *, resume: bool, new: bool) -> Plan:
    """An exchange that begins, or with `resume` goes on where its journal ends. Raises ConfigError, JournalError, JournalDamaged."""
    wanted = effective(config.name, told)
    journal = JournalConfig(**wanted | {"mode": checked_mode(wanted["mode"])})
    if journal.mode is JournalMode.OFF:
        if resume or new:
            raise ConfigError("there is nothing to resume or to begin anew where the journal is off")
        return Plan(config)
    if is_running(config.name):
        return Plan(config, journal)  # to be told who runs it, with the folder as it is
    check_saved(config.name)
    if resume:
        return _resumed(config.name, journal)
    return Plan(config, journal, note=cleared(Path(journal.directory), new=new))


def is_running(name: str) -> bool:
    """Whether an exchange of that name, or any shard of it, is alive."""
    return any(whole_name(info.name) == whole_name(name) and info.is_alive for info in exchanges(SHM_DIR))


def check_saved(name: str) -> None:
    """Raise JournalError where the memory that an exchange of that name left, whole or in shards, knows more than its files."""
    for each in (whole_name(name), *shards_found(whole_name(name))):
        if left := unsaved_in(each):
            raise JournalError(unsaved_text(each, left))


def _resumed(name: str, journal: JournalConfig) -> Plan:
    from shm_exchange.journal.reading import open_journal

    found = open_journal(journal.directory)
    if found.live:
        raise JournalError(f"somebody is writing to {journal.directory}: stop that exchange first, or wait until its keeper has ended")
    if found.config.name != name:
        raise JournalError(f"{journal.directory} holds the journal of exchange {found.config.name!r}, not of {name!r}: name that, or its own --dir")
    cut = f"; cut at its end: {found.cut}" if found.cut else ""
    note = f"resuming {found.end:,} commands of {found.terms[-1].term} terms from {journal.directory}{cut}"
    return Plan(found.config, journal, Term(found.terms[-1].term + 1, found.end), note)


def cleared(directory: Path, *, new: bool) -> str:
    """See that a folder holds no journal, if need be by moving it aside; what was done. Raises JournalError."""
    if not holds_journal(directory):
        return ""
    if not new:
        raise JournalError(f"{directory} holds the journal of a former run: go on with --resume, or begin anew with --new, which moves it aside")
    aside = directory.with_name(f"{directory.name}.before-{time.strftime('%Y%m%d-%H%M%S')}")
    directory.rename(aside)
    return f"the former journal is now {aside}"
