"""Open addressing from a key to a slot: linear probing, at most half full, backward-shift deletion (no tombstones, so no decay).

An entry is `hash << 32 | slot`; 0 is empty. The home of an entry is the low bits of its 31-bit hash, so moving an entry never needs its key.
Order ids hash to their own low bits: ids are handed out in order, so orders of one moment share cache lines. What a client can choose (client
ids, prices) is hashed with a secret multiplier; no output depends on where an entry lies.
"""

from __future__ import annotations

import numpy as np

from shm_exchange._intrinsics import hash31
from shm_exchange._jit import inlined
from shm_exchange.domain.limits import POSITION_BITS
from shm_exchange.engine.book import NIL

_HASH_MASK = 0x7FFF_FFFF
_SLOT_MASK = 0xFFFF_FFFF
_LANE_STEP = 0x9E37_79B1


@inlined
def order_hash(order_id):
    """Hash of an order id: its lane position, shifted by lane."""
    return (order_id + (order_id >> POSITION_BITS) * _LANE_STEP) & _HASH_MASK


@inlined
def client_hash(book, session, client_order_id):
    """Hash of (session, client order id)."""
    return hash31(client_order_id ^ (np.uint64(session) << np.uint64(48)), book.state[0].multiplier)


@inlined
def index_insert(index, key_hash, slot):
    """Add an entry; the caller knows that the key is absent."""
    mask = len(index) - 1
    place = key_hash & mask
    while index[place] != 0:
        place = (place + 1) & mask
    index[place] = (key_hash << 32) | slot


@inlined
def index_delete(index, key_hash, slot):
    """Remove the entry of `slot`, which must be there, and close the gap."""
    mask = len(index) - 1
    hole = key_hash & mask
    while index[hole] & _SLOT_MASK != slot:
        hole = (hole + 1) & mask
    place = (hole + 1) & mask
    while index[place] != 0:
        home = (index[place] >> 32) & mask
        if (place - home) & mask >= (place - hole) & mask:
            index[hole] = index[place]
            hole = place
        place = (place + 1) & mask
    index[hole] = 0


@inlined
def find_order(book, order_id):
    """Slot of the open order with this id, or NIL."""
    index, mask = book.order_index, len(book.order_index) - 1
    key_hash = order_hash(order_id)
    place = key_hash & mask
    while index[place] != 0:
        slot = index[place] & _SLOT_MASK
        if index[place] >> 32 == key_hash and book.orders[slot].order_id == order_id:
            return slot
        place = (place + 1) & mask
    return NIL


@inlined
def find_client_order(book, session, client_order_id):
    """Slot of the session's open order with this client id, or NIL."""
    index, mask = book.client_index, len(book.client_index) - 1
    key_hash = client_hash(book, session, client_order_id)
    place = key_hash & mask
    while index[place] != 0:
        slot = index[place] & _SLOT_MASK
        order = book.orders[slot]
        if index[place] >> 32 == key_hash and order.client_order_id == client_order_id and order.session == session:
            return slot
        place = (place + 1) & mask
    return NIL


@inlined
def find_node(book, key):
    """Slot of the ladder node with this key, or NIL."""
    index, mask = book.node_index, len(book.node_index) - 1
    key_hash = hash31(key, book.state[0].multiplier)
    place = key_hash & mask
    while index[place] != 0:
        slot = index[place] & _SLOT_MASK
        if index[place] >> 32 == key_hash and book.nodes[slot].key == key:
            return slot
        place = (place + 1) & mask
    return NIL
