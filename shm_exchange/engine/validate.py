"""Which reject reason applies first. Every check of a command stands here, in the order of `RejectReason`; 0 means none applies.

Commands come from shared memory and may hold any bytes: each field is checked before it is used as anything but a number.
"""

from __future__ import annotations

import numpy as np

from shm_exchange._jit import inlined, kernel
from shm_exchange.domain.enums import Admission, Flag, OrderType, RejectReason, SelfTradePrevention, Side, TimeInForce
from shm_exchange.domain.limits import NOTIONAL_MAX, PRICE_TICKS_MAX, QUANTITY_MAX
from shm_exchange.engine.book import NIL, RANK_MAX
from shm_exchange.engine.index import find_client_order, find_node, find_order
from shm_exchange.engine.ladder import next_level, page_key, price_of_rank, rank_of_level, rank_of_price, sign_of
from shm_exchange.layout.records import ALL_INSTRUMENTS

_POST_ONLY, _SLIDE, _PROTECTED = int(Flag.POST_ONLY), int(Flag.SLIDE), int(Flag.PROTECTED)
_LIMIT_FLAGS = _POST_ONLY | _SLIDE
_REPLACE_FLAGS = _LIMIT_FLAGS | int(Flag.REINSERT)
_ACCOUNT = int(Flag.ACCOUNT)


@inlined
def is_priced(record):
    """Whether `price_ticks` of an ENTER means something: LIMIT, or MARKET with a worst price."""
    return record.order_type == OrderType.LIMIT or record.modifiers & _PROTECTED != 0


@inlined
def _quantity_fits(record):
    return 1 <= record.quantity <= QUANTITY_MAX


@inlined
def _price_fits(record):
    return -PRICE_TICKS_MAX <= record.price_ticks <= PRICE_TICKS_MAX


@inlined
def _mode_fits(record):
    return SelfTradePrevention.NONE <= record.self_trade <= SelfTradePrevention.DECREMENT


@inlined
def _post_only_flags_fit(modifiers):
    return modifiers & _SLIDE == 0 or modifiers & _POST_ONLY != 0


@inlined
def _enter_is_formed(record):
    """Every field of an ENTER within its own range and fitting the others."""
    if record.order_id != 0 or record.terms != 0 or not (Side.BUY <= record.side <= Side.SELL):
        return False
    if not (TimeInForce.GTC <= record.time_in_force <= TimeInForce.FOK) or not _mode_fits(record) or not _quantity_fits(record):
        return False
    modifiers = np.int64(record.modifiers)
    if record.order_type == OrderType.LIMIT:
        if modifiers == 0:
            return _price_fits(record)
        if modifiers & ~_LIMIT_FLAGS != 0 or not _post_only_flags_fit(modifiers) or record.time_in_force != TimeInForce.GTC:
            return False
        return _price_fits(record)
    if record.order_type != OrderType.MARKET or modifiers & ~_PROTECTED != 0 or record.time_in_force == TimeInForce.GTC:
        return False
    return _price_fits(record) if modifiers != 0 else record.price_ticks == 0


@inlined
def price_reason(book, instrument, price_ticks, quantity):
    """PRICE_OUTSIDE_BAND, NOTIONAL_TOO_LARGE or 0."""
    traded = book.traded[instrument]
    if price_ticks < traded.min_ticks or price_ticks > traded.max_ticks:
        return np.int64(RejectReason.PRICE_OUTSIDE_BAND)
    if quantity > NOTIONAL_MAX // max(1, abs(price_ticks)):
        return np.int64(RejectReason.NOTIONAL_TOO_LARGE)
    return 0


@inlined
def enter_reason(book, session, record):
    """The first reason against an ENTER that does not depend on the other side of the book."""
    if record.instrument >= len(book.traded):
        return np.int64(RejectReason.UNKNOWN_INSTRUMENT)
    if book.state[0].admission != Admission.ALL:
        return np.int64(RejectReason.REDUCING_ONLY)
    if not _enter_is_formed(record):
        return np.int64(RejectReason.MALFORMED)
    if is_priced(record):
        reason = price_reason(book, record.instrument, record.price_ticks, record.quantity)
        if reason != 0:
            return reason
    if record.client_order_id != 0 and find_client_order(book, session, record.client_order_id) != NIL:
        return np.int64(RejectReason.DUPLICATE_CLIENT_ORDER_ID)
    return 0


@inlined
def target_slot(book, session, record):
    """The open order that a CANCEL, REDUCE or REPLACE names, or NIL."""
    if record.order_id != 0:
        return find_order(book, record.order_id)
    return find_client_order(book, session, record.client_order_id)


@inlined
def target_reason(book, session, slot):
    """UNKNOWN_ORDER, NOT_YOUR_ORDER or 0."""
    if slot == NIL:
        return np.int64(RejectReason.UNKNOWN_ORDER)
    if book.orders[slot].session != session:
        return np.int64(RejectReason.NOT_YOUR_ORDER)
    return 0


@inlined
def cancel_is_formed(record):
    """A CANCEL names a target and nothing unknown."""
    return record.modifiers == 0 and record.terms == 0 and (record.order_id != 0 or record.client_order_id != 0)


@inlined
def reduce_is_formed(record):
    """A REDUCE is a CANCEL with a quantity."""
    return cancel_is_formed(record) and _quantity_fits(record)


@inlined
def replace_is_formed(record):
    """A REPLACE names a target, a price, a quantity and a mode."""
    modifiers = np.int64(record.modifiers)
    if modifiers & ~_REPLACE_FLAGS != 0 or not _post_only_flags_fit(modifiers) or record.terms != 0:
        return False
    if record.order_id == 0 and record.client_order_id == 0:
        return False
    return _mode_fits(record) and _quantity_fits(record) and _price_fits(record)


@inlined
def mass_cancel_reason(book, record):
    """UNKNOWN_INSTRUMENT, MALFORMED or 0."""
    if record.instrument != ALL_INSTRUMENTS and record.instrument >= len(book.traded):
        return np.int64(RejectReason.UNKNOWN_INSTRUMENT)
    if np.int64(record.modifiers) & ~_ACCOUNT != 0 or record.terms != 0 or record.side > Side.SELL:
        return np.int64(RejectReason.MALFORMED)
    return 0


@inlined
def post_only_price(book, ladder, price_ticks, modifiers):
    """The price a POST_ONLY order may rest at, and 0; or the reason why there is none."""
    opposite = book.ladders[ladder ^ 1]
    if opposite.best_rank > rank_of_price(ladder ^ 1, price_ticks):
        return price_ticks, 0
    slid = price_of_rank(ladder ^ 1, opposite.best_rank) + sign_of(ladder)
    traded = book.traded[ladder >> 1]
    if modifiers & _SLIDE == 0 or slid < traded.min_ticks or slid > traded.max_ticks:
        return price_ticks, np.int64(RejectReason.POST_ONLY_WOULD_TRADE)
    return slid, 0


@inlined
def page_reason(book, session, ladder, rank):
    """SESSION_PAGES_FULL or LADDER_FULL, if resting at `rank` needs a page that cannot be had; else 0."""
    state = book.state[0]
    if book.sessions[session].pages < state.session_pages and state.free_page != NIL:
        return 0
    if find_node(book, page_key(ladder, rank)) != NIL:
        return 0
    if book.sessions[session].pages >= state.session_pages:
        return np.int64(RejectReason.SESSION_PAGES_FULL)
    return np.int64(RejectReason.LADDER_FULL)


@inlined
def rest_reason(book, session, ladder, rank):
    """Why an order cannot be given a place to rest, or 0. Asked before it trades, so that the answer does not depend on what it meets."""
    state = book.state[0]
    if book.sessions[session].open_orders >= state.session_orders:
        return np.int64(RejectReason.SESSION_ORDERS_FULL)
    if state.free_order == NIL:
        return np.int64(RejectReason.BOOK_FULL)
    return page_reason(book, session, ladder, rank)


@kernel
def can_fill(book, ladder, limit_rank, quantity, account, mode):
    """Whether the opposite side, up to `limit_rank`, holds `quantity` that self-trade prevention lets this account reach (FILL_OR_KILL)."""
    opposite = ladder ^ 1
    level_index = np.int64(book.ladders[opposite].best_level)
    while level_index != NIL and rank_of_level(book, level_index) <= limit_rank:
        if mode == SelfTradePrevention.NONE:
            quantity -= book.levels[level_index].quantity
        else:
            slot = np.int64(book.levels[level_index].first)
            while slot != NIL and quantity > 0:
                if book.orders[slot].account != account:
                    quantity -= book.orders[slot].leaves_quantity
                elif mode != SelfTradePrevention.CANCEL_RESTING:
                    return False
                slot = np.int64(book.orders[slot].following)
        if quantity <= 0:
            return True
        level_index = next_level(book, level_index)
    return False


@inlined
def limit_rank_of(record, ladder):
    """The worst rank on the opposite side at which an incoming order still trades."""
    return rank_of_price(ladder ^ 1, record.price_ticks) if is_priced(record) else np.int64(RANK_MAX)
