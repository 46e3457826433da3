"""Where log lines go. The package logs under "shm_exchange" and leaves handlers to the program; this is the handler of our own programs.

    SHM_EXCHANGE_LOG="INFO /tmp/exchange.log"      matcher, supervisor and spawned processes of whoever has it in the environment

The command line's -v and --log-file set it, so that its children write to the same place: to a file by its path, to the terminal through
/proc/PID/fd/2, because a child's own standard error is kept in memory for the day it dies. Every line is one write of a file opened for
appending, so lines of several processes do not mix. Nothing is ever logged for an order.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

from shm_exchange.domain.errors import ConfigError
from shm_exchange.domain.names import nearest

VARIABLE = "SHM_EXCHANGE_LOG"
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
_PACKAGE = "shm_exchange"


def log_to(role: str, level: str, path: str | Path | None) -> None:
    """Write lines of at least `level`, ours and from now on our children's, to the file, else to our standard error. Raises ConfigError."""
    if path is None:
        os.environ[VARIABLE] = f"{level} /proc/{os.getpid()}/fd/2"
        _set(role, level, logging.StreamHandler())
        return
    try:
        handler = logging.FileHandler(Path(path).absolute(), encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot write the log {path}: {error.strerror}; name a file in a folder that is yours") from error
    os.environ[VARIABLE] = f"{level} {Path(path).absolute()}"
    _set(role, level, handler)


def log_as_told(role: str, *, otherwise: logging.Handler | None = None) -> None:
    """In a child: write where the environment says; else, from warnings on, to `otherwise`. What cannot be written is dropped: a log stops nobody."""
    level, _, path = os.environ.get(VARIABLE, "").partition(" ")
    if not level:
        if otherwise is not None:
            _plain(otherwise)
        return
    logging.raiseExceptions = False
    try:
        _set(role, checked_level(level), logging.FileHandler(path, encoding="utf-8"))
    except (ConfigError, OSError):
        return


def say_plainly(level: str) -> None:
    """In the command line, where nobody asked for a log: errors and warnings as single lines on standard error."""
    _plain(logging.StreamHandler(), level)


def checked_level(level: str) -> str:
    """The name of a level. Raises ConfigError."""
    if level.upper() not in LEVELS:
        raise ConfigError(f"a log level is one of {', '.join(LEVELS)}, not {level!r}{nearest(level.upper(), LEVELS)}")
    return level.upper()


def _set(role: str, level: str, handler: logging.Handler) -> None:
    handler.setFormatter(logging.Formatter(f"%(asctime)s.%(msecs)03d %(levelname)-7s {role}[%(process)d]  %(message)s", "%Y-%m-%d %H:%M:%S"))
    _install(handler, level)


def _plain(handler: logging.Handler, level: str = "WARNING") -> None:
    handler.setFormatter(logging.Formatter("shm-exchange: %(message)s"))
    _install(handler, level)


def _install(handler: logging.Handler, level: str) -> None:
    """The one handler of our own; told again, it is replaced."""
    logger = logging.getLogger(_PACKAGE)
    for old in [old for old in logger.handlers if not isinstance(old, logging.NullHandler)]:
        logger.removeHandler(old)
        old.close()
    logger.addHandler(handler)
    logger.setLevel(level)
    logger.propagate = False
