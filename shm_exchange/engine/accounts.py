"""Sessions and accounts as sequenced commands: who trades for whom is a function of the log, like everything else."""

from __future__ import annotations

import numpy as np

from shm_exchange._jit import inlined, kernel
from shm_exchange.domain.enums import EventKind, RejectReason
from shm_exchange.engine.outputs import Echo, answer, reject

_FIRST_VISIBLE, _LAST_VISIBLE = 0x21, 0x7E


@inlined
def _answer_session(book, outputs, session, kind, reason):
    """A report about the session itself: the words of a LOGON are names, so none is repeated."""
    nothing = Echo(np.int64(0), np.uint64(0), np.int64(0), np.int64(0), np.int64(0), np.int64(0))
    answer(book, outputs, session, kind, reason, nothing)


@inlined
def _is_name(low, high):
    """1 to 16 visible ASCII bytes, then zeros."""
    ended = False
    for position in range(16):
        word = low if position < 8 else high
        character = (word >> (8 * (position & 7))) & 0xFF
        if character == 0:
            if position == 0:
                return False
            ended = True
        elif ended or not (_FIRST_VISIBLE <= character <= _LAST_VISIBLE):
            return False
    return True


@inlined
def _find_account(book, low, high):
    """Number of the named account; the next free number if it is new."""
    count = book.state[0].account_count
    for account in range(1, count + 1):
        if book.accounts[account].low == low and book.accounts[account].high == high:
            return account
    return count + 1


@kernel
def log_on(book, outputs, session, logon):
    """LOGON: bind the session to its account. A session with open orders cannot change its account."""
    record = book.sessions[session]
    reason = np.int64(0)
    account = np.int64(0)
    formed = logon.modifiers == 0 and logon.terms == 0
    if not formed or not _is_name(logon.session_low, logon.session_high) or not _is_name(logon.account_low, logon.account_high):
        reason = np.int64(RejectReason.MALFORMED)
    else:
        account = np.int64(_find_account(book, logon.account_low, logon.account_high))
        if record.open_orders > 0 and account != record.account:
            reason = np.int64(RejectReason.ACCOUNT_IN_USE)
        elif account >= len(book.accounts):
            reason = np.int64(RejectReason.ACCOUNTS_FULL)
    if reason != 0:
        book.state[0].rejects += 1
        _answer_session(book, outputs, session, EventKind.REJECTED, reason)
        return
    if account > book.state[0].account_count:
        book.state[0].account_count = account
        book.accounts[account].low, book.accounts[account].high = logon.account_low, logon.account_high
    record.name_low, record.name_high = logon.session_low, logon.session_high
    record.account = account
    record.logged_on = 1
    _answer_session(book, outputs, session, EventKind.LOGGED_ON, 0)


@kernel
def log_off(book, outputs, session, record):
    """LOGOFF: no more commands until the next LOGON; open orders stay."""
    if record.modifiers != 0 or record.terms != 0:
        reject(book, outputs, session, np.int64(RejectReason.MALFORMED), record)
        return
    book.sessions[session].logged_on = 0
    _answer_session(book, outputs, session, EventKind.LOGGED_OFF, 0)
