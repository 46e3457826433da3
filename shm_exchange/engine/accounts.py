"""Sessions and accounts as sequenced commands: who trades for whom is a function of the log, like everything else."""

from __future__ import annotations

import numpy as np

from shm_exchange._jit import inlined, kernel
from shm_exchange.domain.enums import Admission, CancelReason, EventKind, Flag, RejectReason
from shm_exchange.engine.commands import cancel_session
from shm_exchange.engine.outputs import Echo, answer, reject
from shm_exchange.layout.records import ALL_INSTRUMENTS

_CANCEL_ON_DISCONNECT = int(Flag.CANCEL_ON_DISCONNECT)
_ALL, _NONE = int(Admission.ALL), int(Admission.NONE)
_FIRST_VISIBLE, _LAST_VISIBLE = 0x21, 0x7E


@inlined
def _answer_session(book, outputs, session, kind, reason, orders):
    """A report about the session itself and so many of its orders: the words of a LOGON are names, so none is repeated."""
    echo = Echo(np.int64(0), np.uint64(0), np.int64(0), np.int64(orders), np.int64(0), np.int64(0))
    answer(book, outputs, session, kind, reason, echo)


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
    formed = np.int64(logon.modifiers) & ~_CANCEL_ON_DISCONNECT == 0 and logon.terms == 0
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
        _answer_session(book, outputs, session, EventKind.REJECTED, reason, 0)
        return
    if account > book.state[0].account_count:
        book.state[0].account_count = account
        book.accounts[account].low, book.accounts[account].high = logon.account_low, logon.account_high
    record.name_low, record.name_high = logon.session_low, logon.session_high
    record.account = account
    record.logged_on = 1
    record.cancel_on_disconnect = 1 if np.int64(logon.modifiers) & _CANCEL_ON_DISCONNECT != 0 else 0
    _answer_session(book, outputs, session, EventKind.LOGGED_ON, 0, 0)


@kernel
def log_off(book, outputs, session, record):
    """LOGOFF: no more commands until the next LOGON; open orders stay, whatever becomes of the process."""
    if record.modifiers != 0 or record.terms != 0:
        reject(book, outputs, session, np.int64(RejectReason.MALFORMED), record)
        return
    book.sessions[session].logged_on = 0
    book.sessions[session].cancel_on_disconnect = 0
    _answer_session(book, outputs, session, EventKind.LOGGED_OFF, 0, 0)


@kernel
def disconnect(book, outputs, session, record):
    """DISCONNECT: the process of the session died. As LOGOFF, but orders that were not to outlive it are canceled, in order of entry."""
    if record.modifiers != 0 or record.terms != 0:
        reject(book, outputs, session, np.int64(RejectReason.MALFORMED), record)
        return
    canceled = 0
    if book.sessions[session].cancel_on_disconnect != 0:
        canceled = cancel_session(book, outputs, session, np.int64(ALL_INSTRUMENTS), np.int64(0), CancelReason.DISCONNECTED)
    book.sessions[session].logged_on = 0
    _answer_session(book, outputs, session, EventKind.DISCONNECTED, 0, canceled)


@kernel
def admit(book, outputs, session, record):
    """ADMIT: what is taken in from here on. Lane 0 belongs to no session, so nobody is answered; of a gateway it is refused."""
    if session != 0:
        reject(book, outputs, session, np.int64(RejectReason.MALFORMED), record)
    else:
        book.state[0].admission = min(max(record.quantity, _ALL), _NONE)
