"""Histories: a seeded log in a folder, and what the engine makes of it where nothing was ever interrupted."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from shm_exchange._jit import INTERPRETED
from shm_exchange.domain.config import ExchangeConfig, TermStart
from shm_exchange.engine.book import Book
from shm_exchange.engine.engine import Engine
from shm_exchange.journal.checkpoints import write_checkpoint
from shm_exchange.journal.reading import Journal
from shm_exchange.journal.segments import SegmentWriter
from shm_exchange.layout.records import COMMAND_WORDS
from tests.oracle.flow import PROFILES, flow

COMMANDS = 200 if INTERPRETED else 1500
SEGMENT_RECORDS = 64 if INTERPRETED else 256
Spoil = Callable[[bytearray], None]


class History(NamedTuple):
    """A log, and every output and state hash that it leads to."""

    config: ExchangeConfig
    log: np.ndarray
    reports: dict[int, np.ndarray]
    events: np.ndarray
    hashes: list[int]
    """By log number: of the state in front of that command; one more at the end."""


@lru_cache(maxsize=8)
def history(profile: str, seed: int = 1) -> History:
    config, log = PROFILES[profile].config, flow(seed, COMMANDS, PROFILES[profile])
    engine, hashes = Engine(config), []
    reports: dict[int, list[np.ndarray]] = {}
    events = []
    for record in log:
        hashes.append(engine.state_hash())
        outputs = engine.apply(record.reshape(1))
        events.append(outputs.events)
        for session, part in outputs.reports.items():
            reports.setdefault(session, []).append(part)
    joined = {session: np.concatenate(parts) for session, parts in reports.items()}
    return History(config, log, joined, np.concatenate(events), [*hashes, engine.state_hash()])


def continued(config: ExchangeConfig, book: Book) -> Engine:
    """An engine that goes on with a book, behind everything that it has said."""
    engine = Engine(config)
    engine.book = book
    capacity = len(engine.outputs.reports) // config.max_sessions
    engine.outputs.sessions["unpublished"] = book.sessions["next_report"]
    engine.outputs.sessions["limit"] = book.sessions["next_report"] + capacity
    engine.outputs.state["events_unpublished"] = book.state["next_event"]
    return engine


def book_at(config: ExchangeConfig, log: np.ndarray, sequence: int) -> Book:
    """As the engine has it in front of that command."""
    engine = Engine(config)
    engine.apply(log[:sequence])
    return engine.book


def record(directory: Path, config: ExchangeConfig, log: np.ndarray, first: int = 0, term: TermStart | None = None) -> Journal:
    """Append log numbers from `first` on to the journal of a folder, all of it durable."""
    ring = np.zeros(1 << len(log).bit_length(), log.dtype)
    ring[: len(log)] = log
    writer = SegmentWriter(directory, config, term or TermStart(), first, segment_records=SEGMENT_RECORDS, durable_mode=True)
    writer.append(ring.view(COMMAND_WORDS), first, len(log))
    writer.close(clean=True)
    return Journal(directory)


def checkpoint_at(directory: Path, past: History, sequence: int, term: int = 1) -> Path:
    """A checkpoint of the state in front of that command."""
    return write_checkpoint(directory, past.config, book_at(past.config, past.log, sequence), term)


def spoil(path: Path, change: Spoil) -> None:
    """Change the bytes of a file."""
    data = bytearray(path.read_bytes())
    change(data)
    path.write_bytes(data)
