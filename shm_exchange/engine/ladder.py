"""Price levels of one side of one instrument, for any price from -2^52 to 2^52, in bounded memory.

A ladder is a 64-ary trie over ranks. Its leaves are pages of 64 levels, its inner nodes are summaries; a node is a bitmap of its non-empty
children, and every node is found by hash from (ladder, height, prefix), so that a price is reached in one probe and never by descending.
Only when the last level of a page goes does anybody climb: to the parent, whose bitmap names the next page.

        height 2        [ . . 1 . 1 ]                 prefix = rank >> 18
        height 1     [ 1 . . ]   [ . 1 1 ]            prefix = rank >> 12
        page         levels      levels levels        prefix = rank >> 6

A far price is a level like any other. Empty nodes go back to their pool at once. Rejected: one flat window over all prices (fast, but it must
know the range), and a balanced tree (a cache miss a step).
"""

from __future__ import annotations

import numpy as np

from shm_exchange._intrinsics import hash31, trailing_zeros
from shm_exchange._jit import inlined, kernel
from shm_exchange.engine.book import NIL, NODE_HEIGHTS, RANK_BIAS, RANK_MAX
from shm_exchange.engine.index import find_node, index_delete, index_insert

_LADDER_MASK = 0xFFF
_HEIGHT_MASK = 0xF
_ONE = np.uint64(1)


@inlined
def ladder_of(instrument, side):
    """Index of a ladder: bids of instrument i at 2 i, asks at 2 i + 1."""
    return instrument * 2 + side - 1


@inlined
def sign_of(ladder):
    """-1 for bids, +1 for asks: the direction in which prices get worse."""
    return (ladder & 1) * 2 - 1


@inlined
def rank_of_price(ladder, price_ticks):
    """Distance from the best possible price of this ladder."""
    return sign_of(ladder) * price_ticks + RANK_BIAS


@inlined
def price_of_rank(ladder, rank):
    """The inverse of `rank_of_price`."""
    return sign_of(ladder) * (rank - RANK_BIAS)


@inlined
def node_key(ladder, height, prefix):
    """The name of a trie node."""
    return (prefix << 16) | (height << 12) | ladder


@inlined
def page_key(ladder, rank):
    """The name of the page that holds a rank."""
    return node_key(ladder, 0, rank >> 6)


@inlined
def ladder_of_level(book, level_index):
    """Which ladder a level belongs to."""
    return book.nodes[level_index >> 6].key & _LADDER_MASK


@inlined
def rank_of_level(book, level_index):
    """The rank of a level, from its page's prefix."""
    return ((book.nodes[level_index >> 6].key >> 16) << 6) | (level_index & 63)


@inlined
def _bits_from(bitmap, position):
    """`bitmap` without the bits below `position` (0 … 64)."""
    if position > 63:
        return np.uint64(0)
    return bitmap & ~((_ONE << np.uint64(position)) - _ONE)


@kernel
def _first_page_behind(book, page):
    """The non-empty page with the next higher prefix, or NIL. `page` itself may be empty already, but is still linked to its parent."""
    ladder = book.nodes[page].key & _LADDER_MASK
    height = 0
    node = page
    bits = np.uint64(0)
    while bits == 0:
        child = (book.nodes[node].key >> 16) & 63
        node = np.int64(book.nodes[node].parent)
        if node == NIL:
            return NIL
        height += 1
        bits = _bits_from(book.nodes[node].bitmap, child + 1)
    prefix = ((book.nodes[node].key >> 16) << 6) | trailing_zeros(bits)
    node = find_node(book, node_key(ladder, height - 1, prefix))
    while height > 1:
        height -= 1
        prefix = (prefix << 6) | trailing_zeros(book.nodes[node].bitmap)
        node = find_node(book, node_key(ladder, height - 1, prefix))
    return node


@inlined
def next_level(book, level_index):
    """The next worse level that is not empty, or NIL."""
    page = level_index >> 6
    bits = _bits_from(book.nodes[page].bitmap, (level_index & 63) + 1)
    if bits == 0:
        page = _first_page_behind(book, page)
        if page == NIL:
            return NIL
        bits = book.nodes[page].bitmap
    return (page << 6) | trailing_zeros(bits)


@kernel
def open_page(book, ladder, rank, session):
    """Make the page of `rank`, charge it to `session`, link it up to the first ancestor that exists; the caller checked that one is free."""
    state = book.state[0]
    key = page_key(ladder, rank)
    page = state.free_page
    node = book.nodes[page]
    state.free_page = np.int64(node.parent)
    state.pages += 1
    book.sessions[session].pages += 1
    node.key, node.session, node.bitmap = key, session, np.uint64(0)
    index_insert(book.node_index, hash31(key, state.multiplier), page)
    child, prefix = page, rank >> 6
    for height in range(1, NODE_HEIGHTS + 1):
        bit = _ONE << np.uint64(prefix & 63)
        prefix >>= 6
        key = node_key(ladder, height, prefix)
        parent = find_node(book, key)
        book.nodes[child].parent = parent
        if parent != NIL:
            book.nodes[parent].bitmap |= bit
            return page
        parent = state.free_summary
        node = book.nodes[parent]
        state.free_summary = np.int64(node.parent)
        node.key, node.bitmap = key, bit
        index_insert(book.node_index, hash31(key, state.multiplier), parent)
        book.nodes[child].parent = parent
        child = parent
    book.nodes[child].parent = NIL
    return page


@kernel
def close_page(book, page):
    """Give an empty page back, and every summary that became empty with it."""
    state = book.state[0]
    node = book.nodes[page]
    parent, child = np.int64(node.parent), (node.key >> 16) & 63
    index_delete(book.node_index, hash31(node.key, state.multiplier), page)
    book.sessions[node.session].pages -= 1
    state.pages -= 1
    node.parent = state.free_page
    state.free_page = page
    while parent != NIL:
        slot = parent
        node = book.nodes[slot]
        node.bitmap &= ~(_ONE << np.uint64(child))
        if node.bitmap != 0:
            return
        parent, child = np.int64(node.parent), (node.key >> 16) & 63
        index_delete(book.node_index, hash31(node.key, state.multiplier), slot)
        node.parent = state.free_summary
        state.free_summary = slot


@inlined
def mark_changed(book, ladder, rank):
    """Note that the snapshot of the instrument is due, if the change lies within its published window."""
    if rank <= book.ladders[ladder].window_rank:
        instrument = ladder >> 1
        if book.traded[instrument].snapshot_due == 0:
            book.traded[instrument].snapshot_due = 1
            state = book.state[0]
            book.due[state.snapshots_due] = instrument
            state.snapshots_due += 1


@inlined
def link_order(book, ladder, rank, slot):
    """Put an order at the end of the queue at its price."""
    order = book.orders[slot]
    page = find_node(book, page_key(ladder, rank))
    if page == NIL:
        page = open_page(book, ladder, rank, np.int64(order.session))
    level_index = (page << 6) | (rank & 63)
    level = book.levels[level_index]
    order.level_index = level_index
    order.following = NIL
    last = np.int64(level.last)
    order.preceding = last
    level.last = slot
    level.quantity += order.leaves_quantity
    if last != NIL:
        book.orders[last].following = slot
    else:
        level.first = slot
        book.nodes[page].bitmap |= _ONE << np.uint64(rank & 63)
        side = book.ladders[ladder]
        side.level_count += 1
        if rank < side.best_rank:
            side.best_rank = rank
            side.best_level = level_index
    mark_changed(book, ladder, rank)


@inlined
def unlink_order(book, slot):
    """Take an order out of its level with all it still had open; empty levels and pages go with it."""
    order = book.orders[slot]
    level_index = np.int64(order.level_index)
    level = book.levels[level_index]
    ladder, rank = ladder_of_level(book, level_index), rank_of_level(book, level_index)
    following, preceding = np.int64(order.following), np.int64(order.preceding)
    level.quantity -= order.leaves_quantity
    if following != NIL:
        book.orders[following].preceding = preceding
    else:
        level.last = preceding
    if preceding != NIL:
        book.orders[preceding].following = following
    else:
        level.first = following
        if following == NIL:
            _clear_level(book, ladder, level_index)
    mark_changed(book, ladder, rank)


@inlined
def _clear_level(book, ladder, level_index):
    """A level has lost its last order: update the best price, the bitmap and the page."""
    side = book.ladders[ladder]
    page = level_index >> 6
    side.level_count -= 1
    if side.best_level == level_index:
        best = next_level(book, level_index)
        side.best_level = best
        side.best_rank = rank_of_level(book, best) if best != NIL else RANK_MAX + 1
    node = book.nodes[page]
    node.bitmap &= ~(_ONE << np.uint64(level_index & 63))
    if node.bitmap == 0:
        close_page(book, page)


@inlined
def shrink_order(book, slot, quantity):
    """Lower the open quantity of a resting order by less than all of it; it keeps its place."""
    order = book.orders[slot]
    level_index = np.int64(order.level_index)
    order.leaves_quantity -= quantity
    book.levels[level_index].quantity -= quantity
    mark_changed(book, ladder_of_level(book, level_index), rank_of_level(book, level_index))
