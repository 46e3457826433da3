"""The order pool: slots in a LIFO free list (a slot just freed is still in the cache), and each session's orders in order of entry."""

from __future__ import annotations

import numpy as np

from shm_exchange._jit import inlined
from shm_exchange.engine.book import NIL
from shm_exchange.engine.index import client_hash, index_delete, index_insert, order_hash


@inlined
def take_slot(book, incoming, leaves_quantity, filled_quantity):
    """Make the pool's record of an order that will rest, known by its ids and last in its session; the caller checked that a slot is free."""
    state = book.state[0]
    slot = state.free_order
    order = book.orders[slot]
    state.free_order = np.int64(order.following)
    state.open_orders += 1
    order.order_id = incoming.order_id
    order.client_order_id = incoming.client_order_id
    order.leaves_quantity = leaves_quantity
    order.filled_quantity = filled_quantity
    order.session = incoming.session
    order.account = incoming.account
    session = book.sessions[incoming.session]
    last = np.int64(session.last_order)
    order.session_preceding = last
    order.session_following = NIL
    session.last_order = slot
    session.open_orders += 1
    if last != NIL:
        book.orders[last].session_following = slot
    else:
        session.first_order = slot
    index_insert(book.order_index, order_hash(incoming.order_id), slot)
    if incoming.client_order_id != 0:
        index_insert(book.client_index, client_hash(book, incoming.session, incoming.client_order_id), slot)
    return slot


@inlined
def free_slot(book, slot):
    """Forget an order that is no longer linked to a level: its ids are unknown from now on."""
    state = book.state[0]
    order = book.orders[slot]
    session = book.sessions[order.session]
    following, preceding = np.int64(order.session_following), np.int64(order.session_preceding)
    if following != NIL:
        book.orders[following].session_preceding = preceding
    else:
        session.last_order = preceding
    if preceding != NIL:
        book.orders[preceding].session_following = following
    else:
        session.first_order = following
    session.open_orders -= 1
    index_delete(book.order_index, order_hash(order.order_id), slot)
    if order.client_order_id != 0:
        index_delete(book.client_index, client_hash(book, np.int64(order.session), order.client_order_id), slot)
    order.order_id = 0
    order.following = state.free_order
    state.free_order = slot
    state.open_orders -= 1
