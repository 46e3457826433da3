"""What a bounded queue does when it is full: a policy, by name."""

from __future__ import annotations

from enum import StrEnum

from shm_exchange.domain.errors import ConfigError
from shm_exchange.domain.names import nearest


class Policy(StrEnum):
    """What `put` does where there is no room."""

    BLOCK = "block"
    """Wait for room. Nothing is lost; a slow consumer slows its producer."""
    TIMEOUT = "timeout"
    """Wait up to `write_timeout`, then drop this item, count it and warn."""
    DROP_OLDEST = "drop_oldest"
    """Never wait: the oldest item makes room, and is counted. The newest `maxsize` are kept."""
    CONFLATE = "conflate"
    """Never wait: an item replaces one of the same key that was not taken yet. The newest of every key is kept, once."""
    CREDIT = "credit"
    """Wait for credit: the consumer grants room when it has FINISHED an item, not when it takes it. Nothing is lost; work in hand counts as well."""


def checked_policy(name: str) -> Policy:
    """The policy of that name. Raises ConfigError."""
    try:
        return Policy(name)
    except ValueError:
        raise ConfigError(f"there is no policy {name!r}{nearest(name, map(str, Policy))}; known are {', '.join(Policy)}") from None
