"""What each command does. ENTER and REPLACE prepare an `Arrival`, which then goes through the one matching loop; the others are done here."""

from __future__ import annotations

import numpy as np

from shm_exchange._jit import inlined, kernel
from shm_exchange.domain.enums import Admission, CancelReason, CommandKind, EventKind, Flag, OrderType, Place, RejectReason, TimeInForce
from shm_exchange.engine.book import NIL
from shm_exchange.engine.ladder import ladder_of, ladder_of_level, link_order, rank_of_price, shrink_order, unlink_order
from shm_exchange.engine.match import Arrival, lower_resting, price_of_order, subject_of
from shm_exchange.engine.orders import free_slot, take_slot
from shm_exchange.engine.outputs import Echo, Subject, answer, reject, tell
from shm_exchange.engine.validate import (
    can_fill,
    cancel_is_formed,
    enter_reason,
    limit_rank_of,
    mass_cancel_reason,
    page_reason,
    post_only_price,
    price_reason,
    reduce_is_formed,
    replace_is_formed,
    rest_reason,
    target_reason,
    target_slot,
)
from shm_exchange.layout.records import ALL_INSTRUMENTS

_POST_ONLY, _REINSERT, _ACCOUNT = int(Flag.POST_ONLY), int(Flag.REINSERT), int(Flag.ACCOUNT)


@inlined
def _nothing():
    """No arrival: the command was refused, or is done."""
    subject = Subject(np.int64(0), np.uint64(0), np.int64(0), np.int64(0), np.int64(0))
    return Arrival(subject, np.int64(NIL), np.int64(0), np.int64(0), np.int64(0), np.int64(0), False, np.int64(0), np.int64(0))


@inlined
def prepare_enter(book, outputs, session, record):
    """Check an ENTER and accept it; returns what arrives at the book."""
    reason = enter_reason(book, session, record)
    if reason != 0:
        reject(book, outputs, session, reason, record)
        return _nothing()
    ladder = ladder_of(np.int64(record.instrument), np.int64(record.side))
    price_ticks, limit_rank = record.price_ticks, limit_rank_of(record, ladder)
    rests = record.time_in_force == TimeInForce.GTC
    rank = rank_of_price(ladder, price_ticks)
    if rests:
        if record.modifiers & _POST_ONLY != 0:
            price_ticks, reason = post_only_price(book, ladder, price_ticks, record.modifiers)
            rank, limit_rank = rank_of_price(ladder, price_ticks), rank_of_price(ladder ^ 1, price_ticks)
        if reason == 0:
            reason = rest_reason(book, session, ladder, rank)
    elif record.time_in_force == TimeInForce.FOK and not can_fill(
        book, ladder, limit_rank, record.quantity, np.int64(book.sessions[session].account), np.int64(record.self_trade)
    ):
        reason = np.int64(RejectReason.FILL_OR_KILL_CANNOT_FILL)
    if reason != 0:
        reject(book, outputs, session, reason, record)
        return _nothing()
    subject = Subject(book.state[0].command_id, record.client_order_id, session, np.int64(book.sessions[session].account), ladder)
    tell(book, outputs, subject, EventKind.ACCEPTED, 0, price_ticks, record.quantity, record.quantity)
    outputs.events[(book.state[0].next_event - 1) & (len(outputs.events) - 1)].order_type = record.order_type
    return Arrival(
        subject, np.int64(NIL), limit_rank, rank, np.int64(record.self_trade), np.int64(record.order_type), rests, price_ticks, record.quantity
    )


@inlined
def prepare_replace(book, outputs, session, record):
    """Check a REPLACE and do it where the place is kept; else take the order out of its level and return it as an arrival."""
    slot, reason = _replace_target(book, session, record)
    if reason != 0:
        reject(book, outputs, session, reason, record)
        return _nothing()
    order = book.orders[slot]
    ladder = ladder_of_level(book, np.int64(order.level_index))
    subject, old_price = subject_of(book, slot, ladder), price_of_order(book, slot)
    price_ticks, quantity = record.price_ticks, record.quantity
    if record.modifiers & _REINSERT == 0:
        quantity -= order.filled_quantity
        if quantity <= 0:
            lower_resting(book, outputs, slot, order.leaves_quantity, CancelReason.REPLACE_BELOW_FILLED)
            return _nothing()
        if price_ticks == old_price and quantity <= order.leaves_quantity:
            shrink_order(book, slot, order.leaves_quantity - quantity)
            tell(book, outputs, subject, EventKind.REPLACED, Place.KEPT, price_ticks, quantity, quantity)
            return _nothing()
    if record.modifiers & _POST_ONLY != 0:
        price_ticks, reason = post_only_price(book, ladder, price_ticks, record.modifiers)
    rank = rank_of_price(ladder, price_ticks)
    if reason == 0:
        reason = page_reason(book, session, ladder, rank)
    if reason != 0:
        reject(book, outputs, session, reason, record)
        return _nothing()
    unlink_order(book, slot)
    tell(book, outputs, subject, EventKind.REPLACED, Place.LOST, price_ticks, quantity, quantity)
    return Arrival(
        subject,
        slot,
        rank_of_price(ladder ^ 1, price_ticks),
        rank,
        np.int64(record.self_trade),
        np.int64(OrderType.LIMIT),
        True,
        price_ticks,
        quantity,
    )


@inlined
def _replace_target(book, session, record):
    """The slot that a REPLACE means, and the first reason against it."""
    if book.state[0].admission != Admission.ALL:
        return np.int64(NIL), np.int64(RejectReason.REDUCING_ONLY)
    if not replace_is_formed(record):
        return np.int64(NIL), np.int64(RejectReason.MALFORMED)
    slot = target_slot(book, session, record)
    if slot != NIL:
        instrument = ladder_of_level(book, np.int64(book.orders[slot].level_index)) >> 1
        reason = price_reason(book, instrument, record.price_ticks, record.quantity)
        if reason != 0:
            return slot, reason
    return slot, target_reason(book, session, slot)


@inlined
def finish(book, outputs, arrival, leaves, filled):
    """What remains of an arrival after matching: it rests, is canceled, or is done."""
    slot = arrival.slot
    if slot == NIL:
        if leaves > 0 and arrival.rests:
            slot = take_slot(book, arrival.subject, leaves, filled)
            link_order(book, arrival.subject.ladder, arrival.rank, slot)
        elif leaves > 0:
            reason = CancelReason.MARKET_REST if arrival.order_type == OrderType.MARKET else CancelReason.IOC_REST
            tell(book, outputs, arrival.subject, EventKind.CANCELED, reason, arrival.price_ticks, leaves, 0)
        return
    order = book.orders[slot]
    order.filled_quantity += filled
    order.leaves_quantity = leaves
    if leaves > 0:
        link_order(book, arrival.subject.ladder, arrival.rank, slot)
    else:
        free_slot(book, slot)


@inlined
def cancel(book, outputs, session, record):
    """CANCEL, and REDUCE, which is a CANCEL of a part."""
    formed = cancel_is_formed(record) if record.kind == CommandKind.CANCEL else reduce_is_formed(record)
    reason = np.int64(RejectReason.MALFORMED)
    slot = np.int64(NIL)
    if formed:
        slot = target_slot(book, session, record)
        reason = target_reason(book, session, slot)
    if reason != 0:
        reject(book, outputs, session, reason, record)
        return
    quantity = book.orders[slot].leaves_quantity if record.kind == CommandKind.CANCEL else record.quantity
    lower_resting(book, outputs, slot, quantity, CancelReason.USER)


@kernel
def mass_cancel(book, outputs, session, record):
    """Cancel what matches, sessions ascending, each in order of entry; then say how many."""
    reason = mass_cancel_reason(book, record)
    if reason != 0:
        reject(book, outputs, session, reason, record)
        return
    first, last = session, session
    if record.modifiers & _ACCOUNT != 0:
        first, last = 1, len(book.sessions) - 1
    account = book.sessions[session].account
    canceled = 0
    for owner in range(first, last + 1):
        if book.sessions[owner].account == account:
            canceled += cancel_session(book, outputs, owner, np.int64(record.instrument), np.int64(record.side), CancelReason.MASS)
    echo = Echo(np.int64(0), record.client_order_id, np.int64(0), np.int64(canceled), np.int64(record.side), np.int64(record.instrument))
    answer(book, outputs, session, EventKind.MASS_CANCELED, 0, echo)


@inlined
def cancel_session(book, outputs, owner, instrument, side, reason):
    """Cancel the matching orders of one session, in order of entry; returns how many."""
    canceled = 0
    slot = np.int64(book.sessions[owner].first_order)
    while slot != NIL:
        following = np.int64(book.orders[slot].session_following)
        ladder = ladder_of_level(book, np.int64(book.orders[slot].level_index))
        if (instrument == ALL_INSTRUMENTS or ladder >> 1 == instrument) and (side == 0 or (ladder & 1) + 1 == side):
            lower_resting(book, outputs, slot, book.orders[slot].leaves_quantity, reason)
            canceled += 1
        slot = following
    return canceled
