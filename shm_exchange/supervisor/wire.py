"""What travels between a caller and its supervisor child, as JSON values: what is kept of the log, and errors."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from shm_exchange.domain import errors
from shm_exchange.domain.config import JournalConfig
from shm_exchange.domain.enums import JournalMode
from shm_exchange.domain.errors import ExchangeError


def packed_journal(journal: JournalConfig) -> dict[str, Any]:
    """What is kept of the log, as JSON values."""
    return {field.name: getattr(journal, field.name) for field in fields(JournalConfig)}


def unpacked_journal(packed: dict[str, Any]) -> JournalConfig:
    """The inverse of `packed_journal`."""
    return JournalConfig(**packed | {"mode": JournalMode(packed["mode"])})


def packed_error(error: ExchangeError) -> dict[str, str]:
    """An error as JSON values."""
    return {"kind": type(error).__name__, "text": str(error)}


def unpacked_error(packed: dict[str, str]) -> ExchangeError:
    """The error that the other side raised, to be raised here."""
    kind = getattr(errors, packed["kind"], ExchangeError)
    return kind(packed["text"]) if isinstance(kind, type) and issubclass(kind, ExchangeError) else ExchangeError(packed["text"])
