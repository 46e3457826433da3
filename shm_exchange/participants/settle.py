"""Reports folded into a portfolio. Everything a report says is checked against what was submitted and reported before; nothing is believed."""

from __future__ import annotations

import numpy as np

from shm_exchange._jit import inlined, kernel
from shm_exchange.domain.enums import EventKind, Side
from shm_exchange.participants.histogram import observe
from shm_exchange.participants.portfolio import NIL, close_slot, free_slot, open_slot


@inlined
def _count(tally, report):
    """The number must be the next one."""
    if tally.expected != 0 and report.number != tally.expected:
        tally.gaps += 1
    tally.expected = report.number + 1
    tally.reports += 1


@inlined
def _refused(portfolio, report, own, now_ns):
    """REJECTED: a new order never came to be, or a change did not happen; False when we asked for neither."""
    if report.cause_id == own.order_id:
        observe(portfolio.latencies, now_ns - own.sent_ns)
        own.quantity = own.leaves = 0
    elif report.cause_id == own.pending_id:
        own.pending_id = 0
    else:
        return False
    return True


@inlined
def _accepted(portfolio, slot, report, own, now_ns):
    observe(portfolio.latencies, now_ns - own.sent_ns)
    portfolio.tally[0].answered += 1
    if own.rests != 0:
        open_slot(portfolio, slot)
    return report.cause_id == own.order_id and report.quantity == own.quantity


@inlined
def _executed(tally, report, own):
    tally.executions += 1
    own.filled += report.quantity
    if own.side == Side.BUY:
        tally.bought += report.quantity
    else:
        tally.sold += report.quantity


@inlined
def _changed(tally, report, own):
    """CANCELED, REDUCED, REPLACED: by a command of ours, or by self-trade prevention."""
    kind = report.kind
    if kind == EventKind.REPLACED:
        own.quantity = own.pending_total + own.canceled
    else:
        own.canceled += report.quantity
    if report.cause_id == own.pending_id:
        own.pending_id = 0
        tally.answered += 1


@inlined
def _fold(portfolio, slot, report, now_ns):
    """Apply a report to the order it is about; whether everything in it is as it must be."""
    tally, own = portfolio.tally[0], portfolio.own[slot]
    if own.order_id == 0 or report.order_id != own.order_id:
        return False
    kind, fits = report.kind, True
    if kind == EventKind.REJECTED:
        fits = _refused(portfolio, report, own, now_ns)
    elif kind == EventKind.ACCEPTED:
        fits = _accepted(portfolio, slot, report, own, now_ns)
    elif kind == EventKind.EXECUTED:
        _executed(tally, report, own)
    else:
        _changed(tally, report, own)
    if kind != EventKind.REJECTED:
        own.leaves = report.leaves_quantity
    if own.quantity != own.filled + own.canceled + own.leaves or own.leaves < 0:
        fits = False
    if own.leaves == 0:
        close_slot(portfolio, slot)
        if own.pending_id == 0:
            free_slot(portfolio, slot)
    return fits


@kernel
def settle(portfolio, reports, now_ns):
    """Fold REPORT records into the portfolio; returns how many of them do not fit what we know (also counted in the tally)."""
    tally = portfolio.tally[0]
    before = tally.misfits
    for index in range(len(reports)):
        report = reports[index]
        _count(tally, report)
        if report.kind == EventKind.REJECTED:
            tally.rejects += 1
            tally.answered += 1
        slot = np.int64(report.client_order_id)
        if slot == NIL:
            if report.kind != EventKind.REJECTED:
                tally.misfits += 1
        elif slot >= len(portfolio.own) or not _fold(portfolio, slot, report, now_ns):
            tally.misfits += 1
    return tally.misfits - before


@kernel
def check_open(portfolio):
    """Count the slots in use whose quantities do not add up."""
    wrong = 0
    for slot in range(1, len(portfolio.own)):
        own = portfolio.own[slot]
        if own.order_id != 0 and own.quantity != own.filled + own.canceled + own.leaves:
            wrong += 1
    return wrong
