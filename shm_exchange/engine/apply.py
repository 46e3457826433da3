"""Apply a stretch of the log: the one place where a command's kind decides what happens.

While command i is handled, the memory that commands further down the log will touch is asked for: first the index entries (two stages
ahead), then what they point to. The guesses are only hints; nothing depends on them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from shm_exchange._intrinsics import hash31, prefetch
from shm_exchange._jit import inlined, kernel
from shm_exchange.domain.enums import CommandKind, RejectReason
from shm_exchange.domain.limits import POSITION_BITS
from shm_exchange.engine.accounts import admit, disconnect, log_off, log_on
from shm_exchange.engine.commands import cancel, finish, mass_cancel, prepare_enter, prepare_replace
from shm_exchange.engine.index import order_hash
from shm_exchange.engine.ladder import ladder_of, page_key, rank_of_price
from shm_exchange.engine.match import match
from shm_exchange.engine.outputs import reject
from shm_exchange.layout.records import COMMAND_WORDS, LOG_RECORD, LOGON

ENTRY_AHEAD = 20
"""Commands between asking for an index entry and handling the command."""
TARGET_AHEAD = 10
"""Commands between asking for the order or level behind the entry and handling the command."""

_POSITION_MASK = (1 << POSITION_BITS) - 1


class Log(NamedTuple):
    """The log ring, seen three times: the sweep writes plain words, the engine reads fields, LOGON reads words as names."""

    records: np.ndarray  # LOG_RECORD[capacity]
    words: np.ndarray  # COMMAND_WORDS[capacity], the same memory
    logons: np.ndarray  # LOGON[capacity], the same memory


def log_of(records: np.ndarray) -> Log:
    """All views of one array of LOG_RECORD."""
    plain = records.view(np.ndarray)
    return Log(*(plain.view(dtype).view(np.recarray) for dtype in (LOG_RECORD, COMMAND_WORDS, LOGON)))


@inlined
def _page_hash(book, record):
    ladder = ladder_of(np.int64(record.instrument), np.int64(record.side)) & 0xFFF
    rank = rank_of_price(ladder, record.price_ticks)
    return hash31(page_key(ladder, rank), book.state[0].multiplier), rank


@inlined
def _prefetch_entry(book, record):
    """Stage one: the index entries of a command."""
    if record.kind == CommandKind.ENTER:
        page_hash, _ = _page_hash(book, record)
        prefetch(book.node_index, page_hash & (len(book.node_index) - 1))
        prefetch(book.order_index, order_hash(record.command_id) & (len(book.order_index) - 1))
    else:
        prefetch(book.order_index, order_hash(record.order_id) & (len(book.order_index) - 1))


@inlined
def _prefetch_target(book, record):
    """Stage two: what the entry at home points to."""
    if record.kind == CommandKind.ENTER:
        page_hash, rank = _page_hash(book, record)
        page = book.node_index[page_hash & (len(book.node_index) - 1)] & 0xFFFF_FFFF
        prefetch(book.nodes, page)
        prefetch(book.levels, (page << 6) | (rank & 63))
    else:
        slot = book.order_index[order_hash(record.order_id) & (len(book.order_index) - 1)] & 0xFFFF_FFFF
        prefetch(book.orders, slot)


@inlined
def _apply_one(book, outputs, log, place):
    record = log.records[place]
    session = record.command_id >> POSITION_BITS
    state = book.state[0]
    state.command_id = record.command_id
    if record.time_ns > state.time_ns:
        state.time_ns = record.time_ns
    book.sessions[session].position = (record.command_id & _POSITION_MASK) + 1
    kind = record.kind
    if kind == CommandKind.LOGON:
        log_on(book, outputs, session, log.logons[place])
    elif kind == CommandKind.DISCONNECT:
        disconnect(book, outputs, session, record)
    elif kind == CommandKind.ADMIT:
        admit(book, outputs, session, record)
    elif book.sessions[session].logged_on == 0:
        reject(book, outputs, session, np.int64(RejectReason.NOT_LOGGED_ON), record)
    elif kind == CommandKind.ENTER or kind == CommandKind.REPLACE:
        if kind == CommandKind.ENTER:
            arrival = prepare_enter(book, outputs, session, record)
        else:
            arrival = prepare_replace(book, outputs, session, record)
        if arrival.leaves_quantity > 0:
            leaves, filled = match(book, outputs, arrival)
            finish(book, outputs, arrival, leaves, filled)
    elif kind == CommandKind.CANCEL or kind == CommandKind.REDUCE:
        cancel(book, outputs, session, record)
    elif kind == CommandKind.MASS_CANCEL:
        mass_cancel(book, outputs, session, record)
    elif kind == CommandKind.LOGOFF:
        log_off(book, outputs, session, record)
    else:
        reject(book, outputs, session, np.int64(RejectReason.MALFORMED), record)


@kernel
def apply(book, outputs, log, last):
    """Apply the log from where the book stands up to (not including) log number `last`; outputs stay unpublished."""
    mask = len(log.records) - 1
    state = book.state[0]
    first = state.sequence
    for number in range(first, min(first + TARGET_AHEAD, last)):
        _prefetch_entry(book, log.records[number & mask])
    for number in range(first, last):
        if number + ENTRY_AHEAD < last:
            _prefetch_entry(book, log.records[(number + ENTRY_AHEAD) & mask])
        if number + TARGET_AHEAD < last:
            _prefetch_target(book, log.records[(number + TARGET_AHEAD) & mask])
        state.sequence = number
        _apply_one(book, outputs, log, number & mask)
    state.sequence = last
