"""The engine's memory: preallocated arrays in one bundle, private to the matcher and thrown away with it.

Prices become ranks, so that one text serves both sides: `rank = sign * price + RANK_BIAS`, where the sign is -1 for bids and +1 for asks. In each
ladder the best price has the lowest rank. Every pool keeps slot 0 as a sentinel and NIL is 0, because an index of -1 silently wraps.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from shm_exchange.domain.config import LEVELS_PER_PAGE, ExchangeConfig
from shm_exchange.domain.enums import Admission
from shm_exchange.domain.limits import CACHE_LINE
from shm_exchange.layout.headers import ACCOUNT
from shm_exchange.layout.regions import max_accounts

NIL = 0
RANK_BIAS = 1 << 52
RANK_MAX = (1 << 53) - 1
NODE_HEIGHTS = 8
"""Summary nodes above a page: ranks have 53 bits, a page covers 6 and every height 6 more, so the root at height 8 covers 54."""

ORDER = np.dtype(
    [
        ("order_id", "i8"),  # 0 while the slot is free
        ("client_order_id", "u8"),
        ("leaves_quantity", "i8"),
        ("filled_quantity", "i8"),
        ("following", "i4"),  # order behind this one at the same price; in a free slot: the next free slot
        ("preceding", "i4"),
        ("session_following", "i4"),  # order of the same session that was entered next
        ("session_preceding", "i4"),
        ("level_index", "i4"),  # page << 6 | tick within the page
        ("session", "u2"),
        ("account", "u2"),
        ("terms", "i4"),  # NIL; slot of the TERMS of rare order types
        ("_reserved", "i4"),
    ]
)
LEVEL = np.dtype([("quantity", "i8"), ("first", "i4"), ("last", "i4")])
NODE = np.dtype(
    [
        ("bitmap", "u8"),  # which of the 64 children are not empty
        ("key", "i8"),  # prefix << 16 | height << 12 | ladder; height 0 is a page of 64 levels
        ("parent", "i4"),  # in a free slot: the next free slot
        ("session", "i4"),  # page: the session it is charged to
        ("_reserved", "i8"),
    ]
)
LADDER = np.dtype(
    [
        ("best_rank", "i8"),  # RANK_MAX + 1 when empty
        ("window_rank", "i8"),  # worst rank that the published snapshot shows; a change behind it publishes nothing
        ("best_level", "i4"),  # NIL when empty
        ("level_count", "i4"),
        ("_reserved", "i8"),
    ]
)
TRADED = np.dtype(
    [
        ("min_ticks", "i8"),
        ("max_ticks", "i8"),
        ("last_price_ticks", "i8"),
        ("last_quantity", "i8"),
        ("last_match_id", "i8"),
        ("snapshot_due", "i8"),  # 1 while it stands in the list of instruments to publish
        ("_reserved", "u1", (16,)),
    ]
)
SESSION = np.dtype(
    [
        ("next_report", "i8"),
        ("name_low", "i8"),
        ("name_high", "i8"),
        ("open_orders", "i4"),
        ("pages", "i4"),
        ("first_order", "i4"),
        ("last_order", "i4"),
        ("position", "i8"),  # next position of its lane: all below were applied
        ("account", "u2"),
        ("logged_on", "u2"),
        ("cancel_on_disconnect", "u2"),
        ("_reserved", "u1", (10,)),
    ]
)
STATE = np.dtype(
    [
        ("sequence", "i8"),  # log number of the command being handled; between commands: of the next one
        ("command_id", "i8"),
        ("time_ns", "i8"),
        ("next_event", "i8"),
        ("trades", "i8"),
        ("rejects", "i8"),
        ("free_order", "i8"),
        ("free_page", "i8"),
        ("free_summary", "i8"),
        ("open_orders", "i8"),
        ("pages", "i8"),
        ("account_count", "i8"),
        ("snapshots_due", "i8"),  # length of the list of instruments to publish
        ("session_orders", "i8"),
        ("session_pages", "i8"),
        ("admission", "i8"),  # Admission
        ("multiplier", "i8"),  # odd and secret: hash of client ids and node keys; no result depends on it
    ]
)

for _dtype in (ORDER, TRADED, SESSION):
    assert _dtype.itemsize == CACHE_LINE, _dtype
assert LEVEL.itemsize == 16 and NODE.itemsize == LADDER.itemsize == 32


class Book(NamedTuple):
    """Everything the rules need. Index arrays hold `hash << 32 | slot`; 0 is empty."""

    orders: np.ndarray  # ORDER[max_orders + 1]
    order_index: np.ndarray  # i8[power of two], by order id
    client_index: np.ndarray  # i8[power of two], by session and client order id
    levels: np.ndarray  # LEVEL[(max_pages + 1) * 64]
    nodes: np.ndarray  # NODE[1 + max_pages + summaries]: pages first, then summary nodes
    node_index: np.ndarray  # i8[power of two], by node key
    ladders: np.ndarray  # LADDER[2 * instruments]: bids at 2 i, asks at 2 i + 1
    traded: np.ndarray  # TRADED[instruments]
    due: np.ndarray  # i8[instruments], instruments whose snapshot must be published
    sessions: np.ndarray  # SESSION[max_sessions + 1]
    accounts: np.ndarray  # ACCOUNT[max_accounts + 1]
    state: np.ndarray  # STATE[1]


def new_book(config: ExchangeConfig, multiplier: int) -> Book:
    """An empty book of the sizes of `config`; `multiplier` is any number, made odd here."""
    pages, summaries = config.max_pages, _summaries(config)
    book = Book(
        orders=_records(config.max_orders + 1, ORDER),
        order_index=np.zeros(_index_size(config.max_orders), np.int64),
        client_index=np.zeros(_index_size(config.max_orders), np.int64),
        levels=_records((pages + 1) * LEVELS_PER_PAGE, LEVEL),
        nodes=_records(1 + pages + summaries, NODE),
        node_index=np.zeros(_index_size(pages + summaries), np.int64),
        ladders=_records(2 * len(config.instruments), LADDER),
        traded=_records(len(config.instruments), TRADED),
        due=np.zeros(len(config.instruments), np.int64),
        sessions=_records(config.max_sessions + 1, SESSION),
        accounts=_records(max_accounts(config) + 1, ACCOUNT),
        state=_records(1, STATE),
    )
    _chain(book.orders["following"], 1, config.max_orders)
    _chain(book.nodes["parent"], 1, pages)
    _chain(book.nodes["parent"], pages + 1, pages + summaries)
    book.ladders["best_rank"] = RANK_MAX + 1
    book.ladders["window_rank"] = RANK_MAX + 1
    book.traded["min_ticks"] = [instrument.min_ticks for instrument in config.instruments]
    book.traded["max_ticks"] = [instrument.max_ticks for instrument in config.instruments]
    book.sessions["next_report"] = 1
    book.sessions["position"] = 1
    state = book.state[0]
    state.next_event = 1
    state.admission = Admission.ALL
    state.free_order, state.free_page, state.free_summary = 1, 1, pages + 1
    state.session_orders, state.session_pages = config.session_orders, config.session_pages
    state.multiplier = (multiplier | 1) & 0x7FFF_FFFF_FFFF_FFFF
    return book


def book_bytes(config: ExchangeConfig) -> dict[str, int]:
    """Private bytes of the matcher by structure; untouched pages of them are never resident."""
    pages, summaries = config.max_pages, _summaries(config)
    return {
        "order pool": (config.max_orders + 1) * ORDER.itemsize,
        "id indexes": 2 * 8 * _index_size(config.max_orders),
        "price levels": (pages + 1) * LEVELS_PER_PAGE * LEVEL.itemsize,
        "ladder nodes": (1 + pages + summaries) * NODE.itemsize + 8 * _index_size(pages + summaries),
    }


def _summaries(config: ExchangeConfig) -> int:
    """Summary nodes at most: at every height no more than pages, and none when fewer prefixes exist."""
    ladders = 2 * len(config.instruments)
    return sum(min(config.max_pages, ladders << min(40, 6 * (NODE_HEIGHTS - height))) for height in range(1, NODE_HEIGHTS + 1))


def _records(count: int, dtype: np.dtype[np.void]) -> np.ndarray:
    return np.zeros(count, dtype).view(np.recarray)


def _index_size(entries: int) -> int:
    """At most half full."""
    return max(64, 1 << (2 * entries - 1).bit_length())


def _chain(links: np.ndarray, first: int, last: int) -> None:
    """Free list first → first + 1 → … → last → NIL."""
    links[first:last] = np.arange(first + 1, last + 1)
    links[last] = NIL
