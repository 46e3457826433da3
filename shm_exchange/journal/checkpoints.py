"""Checkpoints: the engine's state at a log number, in a file, so that a rebuild need not begin at the first command.

Whoever makes one writes it beside, sees it on disk, and then gives it its name. Whoever wants one takes the newest that is good: its CRC holds, it
was made under the same rules, the book made from it passes every check and has the hash that the header says, and it belongs to this history: after
a power loss a term may begin below a checkpoint that was on disk already, and what that one knows has not happened. Others are skipped and said.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from shm_exchange.domain.config import ExchangeConfig
from shm_exchange.domain.errors import ConfigError, JournalDamaged, JournalError
from shm_exchange.domain.limits import RULES_VERSION
from shm_exchange.domain.packing import packed_config
from shm_exchange.engine.book import Book
from shm_exchange.engine.check import CHECKS, check_book, state_hash
from shm_exchange.engine.image import DTYPES, Image, export_book, image_of, import_image
from shm_exchange.journal.codec import crc_of_words
from shm_exchange.journal.folder import TEMPORARY, checkpoint_path, checkpoint_paths, open_file, read_at, replace_file, sync_folder
from shm_exchange.journal.reading import Journal
from shm_exchange.layout.files import FILE_VERSION
from shm_exchange.layout.images import CHECKPOINT_HEADER, CHECKPOINT_MAGIC

KEPT = 2
"""So many good ones are kept: the newest may be lost with its disk block."""
_SIZES = ("max_orders", "max_sessions", "max_pages", "session_orders", "session_pages")
"""What a rule depends on. Rings and snapshots may have other sizes."""
_CURE = "remove it, or restore it from a copy"

_log = logging.getLogger(__name__)


class Checkpoint(NamedTuple):
    """What a file holds, its CRC checked."""

    path: Path
    sequence: int
    """It is the state behind all log records below."""
    term: int
    state_hash: int
    image: Image


Suits = Callable[[Image], bool]
"""Whether an image is one to begin with."""


def any_image(_: Image) -> bool:
    """Every one is."""
    return True


def no_image(_: Image) -> bool:
    """None is: begin at the first command."""
    return False


class Found(NamedTuple):
    """A book to begin with, if there is one, and what was looked at in vain."""

    checkpoint: Checkpoint | None
    book: Book | None
    skipped: tuple[str, ...]


def write_checkpoint(directory: Path, config: ExchangeConfig, book: Book, term: int) -> Path:
    """Put the state of a book into a file, on disk as a whole or not at all. Caller: holds the folder's lock. Raises JournalError."""
    image = export_book(book)
    header = np.zeros(1, CHECKPOINT_HEADER)
    header["magic"], header["version"], header["rules_version"] = CHECKPOINT_MAGIC, FILE_VERSION, RULES_VERSION
    header["config"], header["term"] = _digest(config), term
    header["sequence"], header["state_hash"] = image.state["sequence"], state_hash(book)
    for name, table in zip(_LENGTHS, image[1:], strict=True):
        header[name] = len(table)
    tables = b"".join(table.tobytes() for table in image)
    header["crc"] = _crc(header.tobytes() + tables)
    path = checkpoint_path(directory, int(book.state[0].sequence))
    try:
        replace_file(path, header.tobytes() + tables)
    except OSError as error:
        path.with_name(path.name + TEMPORARY).unlink(missing_ok=True)
        raise JournalError(
            f"cannot write checkpoint {path}: {error.strerror}; the journal itself is whole: make room, or look after the disk"
        ) from error
    return path


def read_checkpoint(path: Path, config: ExchangeConfig) -> Checkpoint:
    """What a file holds. Raises FileNotFoundError, JournalDamaged, and JournalError where it is of another version, of other rules or sizes."""
    fd = open_file(path)
    try:
        raw = read_at(fd, path, CHECKPOINT_HEADER.itemsize, 0)
        if len(raw) < CHECKPOINT_HEADER.itemsize:
            raise JournalDamaged(f"{path} is damaged: its header is cut short; {_CURE}")
        header = np.frombuffer(raw, CHECKPOINT_HEADER)[0]
        if header["magic"] != CHECKPOINT_MAGIC:
            raise JournalDamaged(f"{path} is damaged at byte 0: it does not begin as a checkpoint; {_CURE}")
        lengths = [1, *(int(header[name]) for name in _LENGTHS)]
        sizes = [length * dtype.itemsize for length, dtype in zip(lengths, DTYPES, strict=True)]
        if os.fstat(fd).st_size != len(raw) + sum(sizes):
            raise JournalDamaged(f"{path} is damaged: it has {os.fstat(fd).st_size:,} bytes and should have {len(raw) + sum(sizes):,}; {_CURE}")
        tables = read_at(fd, path, sum(sizes), len(raw))
    finally:
        os.close(fd)
    if _crc(_without_crc(raw) + tables) != header["crc"]:
        raise JournalDamaged(f"{path} is damaged: it does not agree with its CRC; {_CURE}")
    _check_kind(path, header, config)
    begins = np.cumsum([0, *sizes])
    parts = (np.frombuffer(tables[begin : begin + size], np.uint8).copy() for begin, size in zip(begins, sizes, strict=False))
    return Checkpoint(path, int(header["sequence"]), int(header["term"]), int(header["state_hash"]), image_of(*parts))


def book_of(checkpoint: Checkpoint, config: ExchangeConfig, multiplier: int) -> Book:
    """A book in the state of the checkpoint, checked; `multiplier` as in `new_book`. Raises JournalDamaged."""
    try:
        book = import_image(config, checkpoint.image, multiplier)
    except ConfigError as error:
        raise JournalDamaged(f"{checkpoint.path} is damaged: {error}; {_CURE}") from error
    broken = int(check_book(book))
    if broken:
        raise JournalDamaged(f"{checkpoint.path} is damaged: {CHECKS[broken]}; {_CURE}")
    if state_hash(book) != checkpoint.state_hash or book.state[0].sequence != checkpoint.sequence:
        raise JournalDamaged(f"{checkpoint.path} is damaged: the state in it has not the hash that it says; {_CURE}")
    return book


def newest_checkpoint(journal: Journal, at_most: int, suits: Suits = any_image) -> Found:
    """The newest good one of this history from which the journal goes on, at log number `at_most` or before. What is skipped is logged, too."""
    skipped: list[str] = []
    multiplier = int.from_bytes(os.urandom(7), "little")
    for checkpoint in _readable(journal, at_most, skipped):
        if not suits(checkpoint.image):
            continue
        try:
            return Found(checkpoint, book_of(checkpoint, journal.config, multiplier), tuple(skipped))
        except JournalDamaged as error:
            _skip(skipped, str(error))
    return Found(None, None, tuple(skipped))


def good_checkpoints(journal: Journal, at_most: int, count: int) -> list[Checkpoint]:
    """The newest `count` good ones, newest first, each tried as `newest_checkpoint` does."""
    found: list[Checkpoint] = []
    while len(found) < count and (checkpoint := newest_checkpoint(journal, at_most).checkpoint) is not None:
        found.append(checkpoint)
        at_most = checkpoint.sequence - 1
    return found


def prune_checkpoints(journal: Journal, keep: int = KEPT) -> list[Path]:
    """Remove what is older than the newest `keep` good ones; returns what went. Caller: holds the folder's lock. Raises JournalError."""
    good = good_checkpoints(journal, journal.end, keep)
    old = [path for sequence, path in checkpoint_paths(journal.directory) if len(good) == keep and sequence < good[-1].sequence]
    try:
        for path in old:
            path.unlink(missing_ok=True)
        sync_folder(journal.directory)
    except OSError as error:
        raise JournalError(f"cannot remove old checkpoints in {journal.directory}: {error.strerror}; look after the disk") from error
    return old


_LENGTHS = ("sessions", "accounts", "instruments", "pages", "orders")
"""Fields of the header for the lengths of all tables behind the first, in their order."""


def _readable(journal: Journal, at_most: int, skipped: list[str]) -> Iterator[Checkpoint]:
    """Newest first."""
    for sequence, path in reversed(checkpoint_paths(journal.directory)):
        if not journal.first <= sequence <= min(at_most, journal.end):
            continue
        try:
            checkpoint = read_checkpoint(path, journal.config)
        except FileNotFoundError:  # pruned meanwhile
            continue
        except (JournalDamaged, JournalError) as error:
            _skip(skipped, str(error))
            continue
        if checkpoint.sequence != sequence:
            _skip(skipped, f"{path} holds the state at number {checkpoint.sequence}: the file has the name of another one; {_CURE}")
        elif checkpoint.term > journal.terms[-1].term or any(checkpoint.term < term.term and sequence > term.sequence for term in journal.terms):
            _skip(skipped, f"{path} is of term {checkpoint.term} and what it knows was rolled back; remove it")
        else:
            yield checkpoint


def _skip(skipped: list[str], why: str) -> None:
    skipped.append(why)
    _log.warning("skipped: %s", why)


def _check_kind(path: Path, header: np.void, config: ExchangeConfig) -> None:
    """Raises JournalError where the file is good, but not for us."""
    if header["version"] != FILE_VERSION:
        raise JournalError(f"{path} is of version {header['version']} and this release reads {FILE_VERSION}: use the release that wrote it")
    if header["rules_version"] != RULES_VERSION:
        raise JournalError(
            f"{path} was written under version {header['rules_version']} of the rules, and this release has {RULES_VERSION}: "
            f"use the release that wrote it"
        )
    if header["config"] != _digest(config):
        raise JournalError(f"{path} is of an exchange with other instruments or sizes than {config.name!r}: it belongs to another folder")


def _digest(config: ExchangeConfig) -> int:
    """A 64-bit hash of everything in a configuration that a rule depends on."""
    packed = packed_config(config)
    bounds = [
        (instrument.symbol, str(instrument.tick), str(instrument.lot), instrument.min_ticks, instrument.max_ticks)
        for instrument in config.instruments
    ]
    text = json.dumps([bounds, [packed["sizes"][size] for size in _SIZES]])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")


def _without_crc(raw: bytes) -> bytes:
    header = np.frombuffer(raw, CHECKPOINT_HEADER).copy()
    header["crc"] = 0
    return header.tobytes()


def _crc(data: bytes) -> int:
    return int(crc_of_words(np.frombuffer(data, np.uint64)))
