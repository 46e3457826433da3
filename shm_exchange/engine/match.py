"""The matching loop: price, then time, at the resting order's price. One text for both sides, because ranks make the best price the lowest."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from shm_exchange._jit import inlined, kernel
from shm_exchange.domain.enums import CancelReason, EventKind, SelfTradePrevention
from shm_exchange.engine.ladder import ladder_of_level, price_of_rank, rank_of_level, shrink_order, unlink_order
from shm_exchange.engine.orders import free_slot
from shm_exchange.engine.outputs import Subject, tell, tell_match


class Arrival(NamedTuple):
    """An order on its way to the book: a new one, or one that was replaced and lost its place."""

    subject: Subject
    slot: int  # NIL for a new order; a replaced one keeps its slot
    limit_rank: int  # worst rank of the opposite side at which it trades
    rank: int  # where it rests in its own ladder
    mode: int  # SelfTradePrevention
    order_type: int
    rests: bool  # what is left rests; else it is canceled
    price_ticks: int  # as reported
    leaves_quantity: int  # 0: nothing arrives (refused, or done)


@inlined
def subject_of(book, slot, ladder):
    """Whose order lies in `slot`."""
    order = book.orders[slot]
    return Subject(order.order_id, order.client_order_id, np.int64(order.session), np.int64(order.account), ladder)


@inlined
def price_of_order(book, slot):
    """The price at which a linked order rests, in ticks."""
    level_index = np.int64(book.orders[slot].level_index)
    return price_of_rank(ladder_of_level(book, level_index), rank_of_level(book, level_index))


@inlined
def match(book, outputs, arrival):
    """Trade an arrival against the opposite side; returns (leaves, filled by this)."""
    opposite = arrival.subject.ladder ^ 1
    side = book.ladders[opposite]
    leaves, filled = arrival.leaves_quantity, 0
    while leaves > 0 and side.best_rank <= arrival.limit_rank:
        slot = np.int64(book.levels[side.best_level].first)
        order = book.orders[slot]
        if arrival.mode != SelfTradePrevention.NONE and order.account == arrival.subject.account:
            leaves = prevent_self_trade(book, outputs, arrival, slot, leaves)
            continue
        quantity = min(leaves, order.leaves_quantity)
        resting_leaves = order.leaves_quantity - quantity
        leaves -= quantity
        filled += quantity
        price_ticks = price_of_rank(opposite, side.best_rank)
        match_id = tell_match(book, outputs, arrival.subject, subject_of(book, slot, opposite), price_ticks, quantity, leaves, resting_leaves)
        traded = book.traded[opposite >> 1]
        traded.last_price_ticks, traded.last_quantity, traded.last_match_id = price_ticks, quantity, match_id
        if resting_leaves == 0:
            unlink_order(book, slot)
            free_slot(book, slot)
        else:
            order.filled_quantity += quantity
            shrink_order(book, slot, quantity)
    return leaves, filled


@kernel
def prevent_self_trade(book, outputs, arrival, slot, leaves):
    """An arrival meets an order of its own account: do what its mode says instead of trading; returns what is left of it."""
    if arrival.mode == SelfTradePrevention.CANCEL_INCOMING:
        lower_incoming(book, outputs, arrival, leaves, leaves)
        return 0
    if arrival.mode == SelfTradePrevention.DECREMENT:
        quantity = min(leaves, book.orders[slot].leaves_quantity)
        lower_resting(book, outputs, slot, quantity, CancelReason.SELF_TRADE)
        lower_incoming(book, outputs, arrival, quantity, leaves)
        return leaves - quantity
    lower_resting(book, outputs, slot, book.orders[slot].leaves_quantity, CancelReason.SELF_TRADE)
    if arrival.mode == SelfTradePrevention.CANCEL_RESTING:
        return leaves
    lower_incoming(book, outputs, arrival, leaves, leaves)
    return 0


@inlined
def lower_incoming(book, outputs, arrival, quantity, leaves):
    """Take quantity away from an arrival because it met its own account."""
    kind = EventKind.CANCELED if quantity == leaves else EventKind.REDUCED
    tell(book, outputs, arrival.subject, kind, CancelReason.SELF_TRADE, arrival.price_ticks, quantity, leaves - quantity)


@inlined
def lower_resting(book, outputs, slot, quantity, reason):
    """Take quantity away from a resting order: all of it cancels the order, less keeps its place."""
    ladder = ladder_of_level(book, np.int64(book.orders[slot].level_index))
    subject, price_ticks = subject_of(book, slot, ladder), price_of_order(book, slot)
    leaves = book.orders[slot].leaves_quantity
    if quantity >= leaves:
        tell(book, outputs, subject, EventKind.CANCELED, reason, price_ticks, leaves, 0)
        unlink_order(book, slot)
        free_slot(book, slot)
    else:
        tell(book, outputs, subject, EventKind.REDUCED, reason, price_ticks, quantity, leaves - quantity)
        shrink_order(book, slot, quantity)
