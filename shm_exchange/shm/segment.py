"""The shared memory of one exchange: made by its creator, attached by everybody else.

    create   claim the name → check the room → allocate the data file → write the configuration → publish the root, magic last
    attach   open the root → wait for the magic → compare version and digest → open the data file → compare sizes → map it

Every Segment maps the whole data file PROT_READ: a stray store through it kills its own process and nobody else. What a role may write is mapped
once more, only the pages of that role and the hints, and only while this Segment holds the role's lock (I1, I10). Attaching never removes
anything, nor does the end of a process: files go by `destroy` (their creator), by `reap` (when everybody is dead) or with a successor's `create`.

Not `multiprocessing.shared_memory`: it maps read-write only, allocates nothing until touched, and its resource tracker removes memory that
others still use.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeAlias

import numpy as np

from shm_exchange.domain.config import FIRST_TERM, ExchangeConfig, JournalConfig, Term
from shm_exchange.domain.errors import ExchangeError, ExchangeNotFound, LayoutMismatch, NotEnoughMemory
from shm_exchange.domain.names import nearest
from shm_exchange.layout.digest import LAYOUT_VERSION, layout_digest
from shm_exchange.layout.headers import MAGIC
from shm_exchange.layout.regions import Layout, Region, Writer, layout_of
from shm_exchange.shm.group import clear_rivals, shards_found
from shm_exchange.shm.header import read_config, read_journal, write_config
from shm_exchange.shm.locks import ATTACH_BYTE, KEEPER_BYTE, MATCHER_BYTE, SUPERVISOR_BYTE
from shm_exchange.shm.mapping import Mapping
from shm_exchange.shm.registry import exchanges
from shm_exchange.shm.root import SHM_DIR, Root, claim, data_path, open_own
from shm_exchange.shm.space import check_room, new_file, room_for

Records: TypeAlias = "np.recarray[Any, Any]"
_POLL_SECONDS = 0.001
_BYTE = {Writer.SUPERVISOR: SUPERVISOR_BYTE, Writer.MATCHER: MATCHER_BYTE, Writer.KEEPER: KEEPER_BYTE}


class Segment:
    """An open exchange: its arrays, and the locks of its root. Made by `create` and `attach`; unusable in a forked child (HandleClosed)."""

    def __init__(self, root: Root, fd: int, config: ExchangeConfig, generation: int, *, populate: bool = True) -> None:
        self.config = config
        self.name = config.name
        self.layout: Layout = layout_of(config)
        self.directory = root.directory
        self.generation = generation
        self.journal, self.term = read_journal(fd, config)
        self._root = root
        self._all = Mapping(fd, 0, self.layout.size, populate=populate)
        self._own: list[Mapping] = []
        self._fd = fd  # ours from here on

    def array(self, name: str, session: int = 0) -> Records:
        """An array of the layout, read-only. Of a gateway's arrays: the session's, or without one all of them, session s in row s - 1."""
        self._root.locks.fileno()
        region = self.layout.regions[name]
        return _all_sessions(self._all, region, self.layout) if region.sessions and not session else _view(self._all, region, session)

    def writable(self, writer: Writer, session: int = 0) -> dict[str, Records]:
        """All arrays that a role may write, and the hints. Caller: holds the role's byte through this Segment."""
        self._root.locks.fileno()
        if writer is Writer.GATEWAY and not 1 <= session <= self.config.max_sessions:
            raise ExchangeError(f"exchange {self.name!r} has sessions 1 to {self.config.max_sessions}, not {session}")
        byte = session if writer is Writer.GATEWAY else _BYTE[writer]
        if not self._root.locks.holds(byte):
            raise ExchangeError(f"only the holder of byte {byte} may write as {writer.value}; take it with try_lock first")
        arrays: dict[str, Records] = {}
        for span in (self.layout.span(writer, session), self.layout.span(Writer.MANY)):
            mapping = Mapping(self._fd, span.offset, span.size, writable=True)
            self._own.append(mapping)
            regions = (region for region in self.layout.regions.values() if region.writer is span.writer)
            arrays.update((region.name, _view(mapping, region, session)) for region in regions)
        return arrays

    def try_lock(self, byte: int) -> bool:
        """Take a session's byte, or MATCHER_BYTE; False when a living process has it. Raises ExchangeNotFound when the exchange is gone."""
        return self._root.locks.try_lock(byte) and self._still_there(byte)

    def await_lock(self, byte: int) -> None:
        """Take a byte as soon as whoever has it ends, however long that takes. Raises ExchangeNotFound when the exchange is gone by then."""
        self._root.locks.lock(byte)
        self._still_there(byte)

    def release(self, byte: int) -> None:
        """Give a byte back."""
        self._root.locks.release(byte)

    def holds(self, byte: int) -> bool:
        """Whether this very Segment holds the byte."""
        return self._root.locks.holds(byte)

    def is_held(self, byte: int) -> bool:
        """Whether any living process, this one included, holds the byte: the only way to say that somebody is alive."""
        return self._root.locks.is_held(byte)

    @contextmanager
    def attach_mutex(self) -> Iterator[None]:
        """Hold the attach mutex: one process at a time looks up a session and takes it. Raises ExchangeNotFound when the exchange is gone."""
        self._root.locks.lock(ATTACH_BYTE)
        try:
            self._still_there(ATTACH_BYTE)
            yield
        finally:
            self._root.locks.release(ATTACH_BYTE)

    @property
    def supervisor_alive(self) -> bool:
        """Whether the supervisor lives."""
        return self.is_held(SUPERVISOR_BYTE)

    @property
    def matcher_alive(self) -> bool:
        """Whether a matcher lives."""
        return self.is_held(MATCHER_BYTE)

    @property
    def matcher_lost(self) -> bool:
        """Whether no matcher lives and none will come: there is nobody to start one, or nothing to rebuild its book from."""
        can_be_rebuilt = self.journal.directory or not self.array("matcher")[0].overwritten
        return not self.matcher_alive and not (can_be_rebuilt and self.supervisor_alive)

    @property
    def keeper_alive(self) -> bool:
        """Whether a keeper lives."""
        return self.is_held(KEEPER_BYTE)

    @property
    def is_current(self) -> bool:
        """False once the exchange was destroyed, reaped or replaced: then this memory is cut off from everybody else's."""
        return self._root.is_current()

    def destroy(self) -> None:
        """Remove the files and close; those who are attached keep their mapping. Caller: the creator."""
        self._root.locks.fileno()
        if not self._root.locks.holds(SUPERVISOR_BYTE):
            raise ExchangeError(f"only the creator of exchange {self.name!r} can destroy it; from elsewhere use `shm-exchange stop {self.name}`")
        if self._root.is_current():
            self._root.remove_files()
        self.close()

    def close(self) -> None:
        """Give back all locks and let the pages go, now or with the last array that uses them. Again is harmless."""
        for mapping in (self._all, *self._own):
            mapping.close()
        self._own.clear()
        self._root.close()
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_fd", -1) >= 0:
            os.close(self._fd)

    def _still_there(self, byte: int) -> bool:
        """True; raises when the locked file is no longer the exchange's root."""
        if self._root.is_current():
            return True
        self._root.locks.release(byte)
        raise ExchangeNotFound(f"exchange {self.name!r} was stopped or replaced since we attached; attach again")


def _view(mapping: Mapping, region: Region, session: int) -> Records:
    return mapping.bytes(region.start(session), region.size).view(region.dtype).view(np.recarray)


def _all_sessions(mapping: Mapping, region: Region, layout: Layout) -> Records:
    """Every session's copy of an array, a row a session; of one record each: without a second axis."""
    span = layout.span(Writer.GATEWAY, 1)
    blocks = mapping.bytes(span.offset, region.sessions * region.stride).reshape(region.sessions, region.stride)
    first = region.offset - span.offset
    rows = blocks[:, first : first + region.size].view(region.dtype)
    return (rows[:, 0] if region.count == 1 else rows).view(np.recarray)


def create(config: ExchangeConfig, directory: str | Path = SHM_DIR, journal: JournalConfig | None = None, term: Term = FIRST_TERM) -> Segment:
    """A new exchange, whose supervisor byte the Segment holds, with no journal unless one is given.

    `term`: where a journal that is continued ends. Raises ExchangeRunning, NotEnoughMemory; then nothing of it is left.
    """
    if not Path(directory).is_dir():
        raise NotEnoughMemory(f"there is no {directory}, where shared memory lives: mount it with `mount -t tmpfs tmpfs {directory}`")
    with room_for(config, directory), ExitStack() as undo:
        root = claim(config.name, directory)
        undo.callback(root.close)
        undo.callback(root.remove_files)
        clear_rivals(config.name, directory)
        check_room(config, directory)
        generation = time.time_ns()
        fd = new_file(data_path(config.name, generation, directory), layout_of(config).size)
        undo.callback(os.close, fd)
        write_config(fd, config, journal or JournalConfig(), term)
        segment = Segment(root, fd, read_config(fd, config.name), generation)
        undo.pop_all()
        undo.callback(segment.close)
        undo.callback(root.remove_files)
        root.publish(generation, segment.layout.size, generation)
        undo.pop_all()
        return segment


def attach(
    name: str,
    directory: str | Path = SHM_DIR,
    *,
    write: bool = False,
    dead_ok: bool = False,
    populate: bool = True,
    timeout: float = 5.0,
) -> Segment:
    """The exchange of that name.

    `write`: locks can be taken, and pages mapped writable. `dead_ok`: also when neither supervisor nor matcher lives, to look at what they left.
    `populate`: map every page now instead of at its first touch. `timeout`: how many seconds a creator may take from claim to publication.
    Raises ExchangeNotFound, LayoutMismatch.
    """
    deadline = time.monotonic() + timeout
    while True:
        segment = _try_attach(name, directory, write, populate)
        if segment is not None:
            if dead_ok or segment.supervisor_alive or segment.matcher_alive:
                return segment
            segment.close()
            raise _dead(name)
        if time.monotonic() > deadline:
            cure = f"its creator may have died: remove what it left with `shm-exchange clean {name}`"
            raise ExchangeNotFound(f"exchange {name!r} was not ready within {timeout:g} seconds; {cure}")
        time.sleep(_POLL_SECONDS)


def _try_attach(name: str, directory: str | Path, write: bool, populate: bool) -> Segment | None:
    """None while a creator, or a destroyer, is in between."""
    flags = os.O_RDWR if write else os.O_RDONLY
    with ExitStack() as undo:
        try:
            root = Root(name, directory, flags)
        except FileNotFoundError:
            raise _not_found(name, directory) from None
        undo.callback(root.close)
        record = root.read()
        if record is None:
            return None
        _check_version(name, record)
        try:
            fd = open_own(data_path(name, int(record["generation"]), directory), flags)
        except FileNotFoundError:
            return None
        undo.callback(os.close, fd)
        config = _checked_config(fd, name, int(record["data_bytes"]))
        segment = Segment(root, fd, config, int(record["generation"]), populate=populate)
        undo.pop_all()
        return segment


def _checked_config(fd: int, name: str, size: int) -> ExchangeConfig:
    """The configuration in a data file that is as large as it must be."""
    config = read_config(fd, name)
    computed, actual = layout_of(config).size, os.fstat(fd).st_size
    if not computed == size <= actual:
        raise LayoutMismatch(
            f"the memory of exchange {name!r} is damaged: its configuration needs {computed} bytes, its root says {size}, its file has {actual}; "
            f"stop it with `shm-exchange stop {name}` and start it again"
        )
    return config


def _check_version(name: str, record: np.void) -> None:
    theirs = (int(record["magic"]), int(record["version"]), int(record["digest"]))
    if theirs != (MAGIC, LAYOUT_VERSION, layout_digest()):
        raise LayoutMismatch(
            f"exchange {name!r} was made with layout version {theirs[1]}, digest {theirs[2]:#x}; this process has version {LAYOUT_VERSION}, "
            f"digest {layout_digest():#x}: use the same release of shm-exchange in both, or stop it and start it again"
        )


def _not_found(name: str, directory: str | Path) -> ExchangeNotFound:
    if shards := shards_found(name, directory):
        return ExchangeNotFound(f"exchange {name!r} runs in shards, and this deals with one matcher only: name one of {', '.join(shards)}")
    running = [info.name for info in exchanges(directory) if info.is_alive]
    known = f"running are {', '.join(running)}" if running else "none is running"
    return ExchangeNotFound(f"there is no exchange {name!r}{nearest(name, running)}; {known}; start it with `shm-exchange run {name}`")


def _dead(name: str) -> ExchangeNotFound:
    cure = f"go on with it by `shm-exchange run {name} --adopt`, or remove it with `shm-exchange clean {name}`"
    return ExchangeNotFound(f"exchange {name!r} is dead: supervisor and matcher ended without removing it; {cure}")
