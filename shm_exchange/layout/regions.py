"""Where every array of an exchange lies in its one data file. Computed from the ExchangeConfig alone, so both sides of the memory agree.

    offset 0 ┌───────────────────────────────┐
             │ config, instruments, journal  │ creator     written once, before anybody can attach
             ├───────────────────────────────┤
             │ control                       │ supervisor
             ├───────────────────────────────┤
             │ matcher, counters, accounts,  │ matcher     lane_heads, report_tails, …: its small words first, then
             │ … events, log, reports        │             the rings
             ├───────────────────────────────┤
             │ keeper, keeper_counters       │ keeper
             ├───────────────────────────────┤
             │ activity, parked              │ many        hints: written by all, only ever a reason to look
             ├───────────────────────────────┤
             │ owner, report_head │ pad      │ gateway     session 1: one page of words, then its lane
             │ lane                          │
             ├───────────────────────────────┤
             │ …                             │ gateway     session 2 … max_sessions, the same block again every `stride` bytes
        size └───────────────────────────────┘

Every box starts on a page of its own, because a page is what mmap can protect: a process maps writable only the boxes it owns (I1, I10). Inside
a box every array starts on a pair of cache lines, since hardware fetches lines in pairs.

Sessions are numbered 1 … max_sessions. Small arrays of the matcher and the hints are indexed by the session itself; index 0 belongs to no
session (in `parked` it is the matcher's). Whole rings are too big to waste: reports of session s start at (s - 1) * report_capacity, and the
gateway's blocks are numbered from session 1 too.

Rejected: one file per array or per session. One file is created, checked, fallocated and removed as a whole, so nobody ever sees half of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from itertools import groupby, pairwise
from typing import Any, NamedTuple

import numpy as np

from shm_exchange.domain.config import ExchangeConfig
from shm_exchange.domain.limits import ACCOUNTS_MAX, CACHE_LINE, PAGE, SNAPSHOT_SLOTS
from shm_exchange.layout import headers, records

ACCOUNTS_PER_SESSION = 4
LINE_PAIR = 2 * CACHE_LINE


class Writer(StrEnum):
    """Who may write an array. Hints (MANY) are writable by every role."""

    CREATOR = "creator"
    SUPERVISOR = "supervisor"
    MATCHER = "matcher"
    KEEPER = "keeper"
    MANY = "many"
    GATEWAY = "gateway"


@dataclass(frozen=True)
class Region:
    """One array: `count` records from byte `offset`. A gateway's array comes again for every session, `stride` bytes further each time."""

    name: str
    dtype: np.dtype[Any]
    count: int
    offset: int
    size: int
    writer: Writer
    sessions: int = 0  # 0: the array exists once; else: once for every session from 1
    stride: int = 0

    def start(self, session: int = 0) -> int:
        """The first byte of the array, or of the session's copy of it."""
        return self.offset + (session - 1) * self.stride if self.sessions else self.offset

    @property
    def total(self) -> int:
        """Bytes of all copies."""
        return self.size * (self.sessions or 1)


class Span(NamedTuple):
    """Whole pages that one writer owns."""

    writer: Writer
    offset: int
    size: int


@dataclass(frozen=True)
class Row:
    """A line of `describe`."""

    structure: str
    count: int
    bytes: int
    writer: str


def _up(number: int, step: int) -> int:
    return -(-number // step) * step


INSTRUMENTS_OFFSET = _up(headers.CONFIG.itemsize, LINE_PAIR)
"""Where `instruments` begins, in every exchange: an attacher reads them before it can compute the layout."""


@dataclass(frozen=True)
class Layout:
    """All regions in the order of their offsets, and the size of the file."""

    regions: Mapping[str, Region]
    size: int
    max_sessions: int

    def span(self, writer: Writer, session: int = 0) -> Span:
        """The pages of a writer; of a gateway: those of its session."""
        own = [region for region in self.regions.values() if region.writer is writer]
        start = own[0].start(session)
        return Span(writer, start, _up(own[-1].start(session) + own[-1].size, PAGE) - start)

    def spans(self) -> Iterator[Span]:
        """The pages of every writer, in the order of the file."""
        yield from (self.span(writer) for writer in Writer if writer is not Writer.GATEWAY)
        yield from (self.span(Writer.GATEWAY, session) for session in range(1, self.max_sessions + 1))


def max_accounts(config: ExchangeConfig) -> int:
    """Accounts the exchange can name; they are numbered from 1."""
    return min(ACCOUNTS_MAX, ACCOUNTS_PER_SESSION * config.max_sessions)


class Counts(NamedTuple):
    """The numbers that the lengths of arrays are made of."""

    instruments: int
    sessions: int
    accounts: int  # with number 0, which is nobody
    depth: int
    lane_capacity: int
    report_capacity: int
    event_capacity: int
    log_capacity: int


def counts_of(config: ExchangeConfig) -> Counts:
    """Of one exchange."""
    sizes = (config.depth, config.lane_capacity, config.report_capacity, config.event_capacity, config.log_capacity)
    return Counts(len(config.instruments), config.max_sessions, max_accounts(config) + 1, *sizes)


def arrays(counts: Counts) -> Iterator[tuple[Writer, str, np.dtype[Any], int]]:
    """Every array in the order of the file, all arrays of a writer together.

    Only sums, products and whole quotients of the counts: the header for other languages is made by calling this with formulas instead of numbers.
    """
    sessions, instruments = counts.sessions, counts.instruments
    snapshots = instruments * SNAPSHOT_SLOTS
    yield Writer.CREATOR, "config", headers.CONFIG, 1
    yield Writer.CREATOR, "instruments", headers.INSTRUMENT, instruments
    yield Writer.CREATOR, "journal", headers.JOURNAL, 1
    yield Writer.SUPERVISOR, "control", headers.CONTROL, 1
    yield Writer.MATCHER, "matcher", headers.MATCHER, 1
    yield Writer.MATCHER, "counters", headers.COUNTERS, 1
    yield Writer.MATCHER, "accounts", headers.ACCOUNT, counts.accounts
    yield Writer.MATCHER, "lane_heads", headers.LANE_HEAD, sessions + 1
    yield Writer.MATCHER, "report_tails", headers.REPORT_TAIL, sessions + 1
    yield Writer.MATCHER, "snapshot_latest", headers.SNAPSHOT_LATEST, instruments
    yield Writer.MATCHER, "snapshots", headers.SNAPSHOT, snapshots
    yield Writer.MATCHER, "snapshot_levels", headers.PRICE_LEVEL, snapshots * 2 * counts.depth
    yield Writer.MATCHER, "events", records.EVENT, counts.event_capacity
    yield Writer.MATCHER, "log", records.LOG_RECORD, counts.log_capacity
    yield Writer.MATCHER, "reports", records.REPORT, sessions * counts.report_capacity
    yield Writer.KEEPER, "keeper", headers.KEEPER, 1
    yield Writer.KEEPER, "keeper_counters", headers.KEEPER_COUNTERS, 1
    yield Writer.MANY, "activity", headers.ACTIVITY, sessions // headers.LANES_PER_WORD + 1
    yield Writer.MANY, "parked", headers.PARKED, sessions + 1
    yield Writer.MANY, "keeper_parked", headers.PARKED, 1
    yield Writer.GATEWAY, "owner", headers.LANE_OWNER, 1
    yield Writer.GATEWAY, "report_head", headers.REPORT_HEAD, 1
    yield Writer.GATEWAY, "lane", records.COMMAND, counts.lane_capacity


def alignment_of(name: str) -> int:
    """Where an array may begin inside its writer's box: a multiple of so many bytes."""
    return PAGE if name == "lane" else LINE_PAIR


@lru_cache(maxsize=16)
def layout_of(config: ExchangeConfig) -> Layout:
    """Offsets and sizes of all regions, checked: nothing overlaps and no page has two writers."""
    regions: dict[str, Region] = {}
    end = 0
    for writer, own in groupby(arrays(counts_of(config)), key=lambda array: array[0]):
        end = _up(end, PAGE)
        sessions = config.max_sessions if writer is Writer.GATEWAY else 0
        for _, name, dtype, count in own:
            offset = _up(end, alignment_of(name))
            end = offset + count * dtype.itemsize
            regions[name] = Region(name, dtype, count, offset, end - offset, writer, sessions)
    stride = _up(end, PAGE) - regions["owner"].offset
    for name in ("owner", "report_head", "lane"):
        regions[name] = replace(regions[name], stride=stride)
    layout = Layout(regions, regions["owner"].offset + config.max_sessions * stride, config.max_sessions)
    _check(layout)
    return layout


def _check(layout: Layout) -> None:
    """One writer a page, no overlap, no hole between writers: the ground under I1 and I10."""
    spans = list(layout.spans())
    assert spans[0].offset == 0
    assert layout.regions["instruments"].offset == INSTRUMENTS_OFFSET
    assert spans[-1].offset + spans[-1].size == layout.size
    assert all(span.offset % PAGE == 0 and span.size % PAGE == 0 for span in spans)
    assert all(one.offset + one.size == other.offset for one, other in pairwise(spans))
    for writer, group in groupby(layout.regions.values(), key=lambda region: region.writer):
        own, span = list(group), layout.span(writer, session=1)
        assert all(one.offset + one.size <= other.offset for one, other in pairwise(own))
        assert own[0].offset == span.offset
        assert own[-1].offset + own[-1].size <= span.offset + span.size
        assert all(region.offset % LINE_PAIR == 0 and region.size == region.count * region.dtype.itemsize for region in own)


def describe(config: ExchangeConfig) -> list[Row]:
    """What the exchange takes in shared memory, a row a structure; the rows add up to the size of the data file."""
    layout = layout_of(config)
    rows = [Row(region.name, region.count * (region.sessions or 1), region.total, region.writer.value) for region in layout.regions.values()]
    return [*rows, Row("page alignment", 1, layout.size - sum(row.bytes for row in rows), "nobody")]
