"""`check_book`: every invariant of the book in one kernel, and the hash of its logical content."""

from __future__ import annotations

import numpy as np

from shm_exchange._intrinsics import mix64
from shm_exchange._jit import inlined, kernel
from shm_exchange.domain.limits import QUANTITY_MAX
from shm_exchange.engine.book import NIL, RANK_MAX
from shm_exchange.engine.index import find_client_order, find_node, find_order
from shm_exchange.engine.ladder import ladder_of_level, next_level, page_key, rank_of_level

CHECKS = (
    "everything holds",
    "a ladder's best level or rank is stale",
    "levels are out of order, or a level lies in no page of its ladder",
    "a level is empty, or its first or last order is wrong",
    "an order's links do not mirror each other",
    "an order has no quantity, or lies in another level than it says",
    "an order id or client order id is not in its index",
    "a level's total is not the sum of its orders",
    "a ladder's level count is wrong",
    "the book is crossed",
    "open orders do not add up over ladders, sessions and pool",
    "pages do not add up over ladders, sessions and pool",
    "a session's list of orders is broken",
    "an index holds more entries than there are orders or nodes",
)
"""What each return value of `check_book` means."""


@inlined
def _check_order(book, slot, level_index, preceding):
    order = book.orders[slot]
    if order.preceding != preceding:
        return 4
    if not (1 <= order.leaves_quantity <= QUANTITY_MAX) or order.filled_quantity < 0 or order.level_index != level_index:
        return 5
    if find_order(book, order.order_id) != slot:
        return 6
    if order.client_order_id != 0 and find_client_order(book, np.int64(order.session), order.client_order_id) != slot:
        return 6
    return 0


@kernel
def _check_level(book, level_index):
    """Walk one queue; returns (number of orders, or minus the code of what is wrong)."""
    level = book.levels[level_index]
    if level.first == NIL or level.last == NIL:
        return -3
    total, orders, preceding, slot = 0, 0, NIL, np.int64(level.first)
    while slot != NIL:
        code = _check_order(book, slot, level_index, preceding)
        if code != 0:
            return -code
        total += book.orders[slot].leaves_quantity
        orders += 1
        preceding = slot
        slot = np.int64(book.orders[slot].following)
    if preceding != level.last:
        return -3
    return orders if total == level.quantity else -7


@kernel
def _check_ladder(book, ladder):
    """Walk one side, best to worst; returns (orders or minus a code, pages)."""
    side = book.ladders[ladder]
    level_index, rank, orders, levels, pages, page = np.int64(side.best_level), -1, 0, 0, 0, NIL
    best = rank_of_level(book, level_index) if level_index != NIL else RANK_MAX + 1
    if best != side.best_rank:
        return -1, 0
    while level_index != NIL:
        if rank_of_level(book, level_index) <= rank or ladder_of_level(book, level_index) != ladder:
            return -2, 0
        rank = rank_of_level(book, level_index)
        if find_node(book, page_key(ladder, rank)) != level_index >> 6:
            return -2, 0
        if level_index >> 6 != page:
            page = level_index >> 6
            pages += 1
        found = _check_level(book, level_index)
        if found < 0:
            return found, 0
        orders += found
        levels += 1
        level_index = next_level(book, level_index)
    if levels != side.level_count:
        return -8, 0
    return orders, pages


@inlined
def _bits(book, page):
    bitmap, count = book.nodes[page].bitmap, 0
    while bitmap != 0:
        bitmap &= bitmap - np.uint64(1)
        count += 1
    return count


@kernel
def _check_sessions(book):
    """Walk every session's list; returns orders, or minus a code."""
    orders = 0
    for session in range(1, len(book.sessions)):
        record = book.sessions[session]
        count, preceding, slot = 0, NIL, np.int64(record.first_order)
        while slot != NIL:
            order = book.orders[slot]
            if order.session_preceding != preceding or order.session != session or order.account != record.account:
                return -12
            count += 1
            preceding = slot
            slot = np.int64(order.session_following)
        if preceding != record.last_order:
            return -12
        if count != record.open_orders:
            return -10
        orders += count
    return orders


@inlined
def _entries(index):
    count = 0
    for place in range(len(index)):
        if index[place] != 0:
            count += 1
    return count


@kernel
def check_book(book):
    """Verify the whole book between two commands; returns 0, or the index into CHECKS of what is broken."""
    orders, pages, levels_in_pages = 0, 0, 0
    for ladder in range(len(book.ladders)):
        found, found_pages = _check_ladder(book, ladder)
        if found < 0:
            return -found
        orders += found
        pages += found_pages
        levels_in_pages += book.ladders[ladder].level_count
    for instrument in range(len(book.traded)):
        # Ranks of the two sides run in opposite directions around the same bias: crossed where the best bid reaches the best ask.
        bid, ask = book.ladders[2 * instrument], book.ladders[2 * instrument + 1]
        if bid.best_level != NIL and ask.best_level != NIL and bid.best_rank + ask.best_rank <= 2 * (1 << 52):
            return 9
    in_sessions = _check_sessions(book)
    if in_sessions < 0:
        return -in_sessions
    if orders != in_sessions or orders != book.state[0].open_orders or _entries(book.order_index) != orders:
        return 10
    charged = 0
    for session in range(1, len(book.sessions)):
        charged += book.sessions[session].pages
    if pages != charged or pages != book.state[0].pages:
        return 11
    return 0


@inlined
def fold(digest, word):
    """Mix one more word into a digest."""
    return mix64(np.uint64(digest) ^ np.uint64(word) + np.uint64(0x9E3779B97F4A7C15))


@kernel
def book_hash(book, instrument):
    """A 63-bit hash of the orders of one instrument: what a replica built from events must reproduce."""
    digest = np.int64(1)
    for ladder in range(2 * instrument, 2 * instrument + 2):
        level_index = np.int64(book.ladders[ladder].best_level)
        while level_index != NIL:
            digest = fold(digest, rank_of_level(book, level_index))
            slot = np.int64(book.levels[level_index].first)
            while slot != NIL:
                order = book.orders[slot]
                digest = fold(fold(fold(digest, order.order_id), order.leaves_quantity), order.account)
                slot = np.int64(order.following)
            level_index = next_level(book, level_index)
    return digest


@kernel
def state_hash(book):
    """A 63-bit hash of the logical content in canonical order: the same after the same log, wherever slots and entries may lie."""
    state = book.state[0]
    digest = fold(fold(np.int64(1), state.sequence), state.next_event)
    digest = fold(fold(digest, state.time_ns), state.admission)
    for ladder in range(len(book.ladders)):
        level_index = np.int64(book.ladders[ladder].best_level)
        while level_index != NIL:
            digest = fold(fold(digest, ladder), rank_of_level(book, level_index))
            slot = np.int64(book.levels[level_index].first)
            while slot != NIL:
                order = book.orders[slot]
                digest = fold(fold(fold(digest, order.order_id), order.client_order_id), order.leaves_quantity)
                digest = fold(fold(fold(digest, order.filled_quantity), order.session), order.account)
                slot = np.int64(order.following)
            level_index = next_level(book, level_index)
    for instrument in range(len(book.traded)):
        traded = book.traded[instrument]
        digest = fold(fold(fold(digest, traded.last_price_ticks), traded.last_quantity), traded.last_match_id)
    for session in range(1, len(book.sessions)):
        record = book.sessions[session]
        digest = fold(fold(fold(digest, record.next_report), record.account), record.logged_on)
        digest = fold(fold(digest, record.position), record.cancel_on_disconnect)
        slot = np.int64(record.first_order)
        while slot != NIL:
            digest = fold(digest, book.orders[slot].order_id)
            slot = np.int64(book.orders[slot].session_following)
    for account in range(1, state.account_count + 1):
        digest = fold(fold(digest, book.accounts[account].low), book.accounts[account].high)
    return digest
