"""Errors that travel between a caller and its supervisor child, as JSON values; configurations do as `domain.packing` says."""

from __future__ import annotations

from shm_exchange.domain import errors
from shm_exchange.domain.errors import ExchangeError


def packed_error(error: ExchangeError) -> dict[str, str]:
    """An error as JSON values."""
    return {"kind": type(error).__name__, "text": str(error)}


def unpacked_error(packed: dict[str, str]) -> ExchangeError:
    """The error that the other side raised, to be raised here."""
    kind = getattr(errors, packed["kind"], ExchangeError)
    return kind(packed["text"]) if isinstance(kind, type) and issubclass(kind, ExchangeError) else ExchangeError(packed["text"])
