"""What a user says about the journal, checked and made into what a supervisor is told."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import NamedTuple

from shm_exchange.domain.config import JournalConfig
from shm_exchange.domain.enums import JournalMode
from shm_exchange.domain.errors import ConfigError
from shm_exchange.domain.names import nearest

MODES = tuple(mode.name.lower() for mode in JournalMode)


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
    return Kept(JournalConfig(mode, str(Path(directory).expanduser().absolute())), forgets=False)


def default_directory(name: str) -> Path:
    """Where `shm-exchange run` keeps the journal of an exchange: the state folder of the XDG base directory specification."""
    state = os.environ.get("XDG_STATE_HOME", "")
    return (Path(state) if state.startswith("/") else Path.home() / ".local" / "state") / "shm_exchange" / name
