"""Between the referee's words and ours: its messages as commands, and our reports as its canonical text.

    MESSAGE ──to_commands──▶ COMMAND ──▶ engine ──▶ REPORT ──canonical_digest──▶ SHA-256
              position = first_position + index               index = position of cause_id − first_position

A message's place in the flow is its command's position in the lane, so that every report leads back to its message, and every order to the
NEW that made it. Nothing but the messages and one session's reports is needed to judge a run.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import numpy as np

from shm_exchange._jit import kernel
from shm_exchange.domain.enums import CommandKind, EventKind, Flag, OrderType, Role, SelfTradePrevention, Side, TimeInForce
from shm_exchange.domain.errors import ConfigError
from shm_exchange.domain.limits import POSITION_BITS
from shm_exchange.layout.records import COMMAND, LOG_RECORD
from shm_exchange.protocol.referee import MessageKind

PUBLISHED = {
    "static": "9803843ee404fc29c9a0aa5614f8f0d5a58b5c44fcac9ef89067886fcaaa30d1",
    "normal": "e9b2e3926854410b01a035aeb25dd05f1e597c233be8263de9eb49b6713d367e",
    "flash-crash": "cff8d3f94b709fc64a8b2058a6ca4fb6920364904796e46906895e362d2bb16b",
}
"""Digests that the referee prints, for PUBLISHED_SEED and PUBLISHED_COUNT."""

OURS = {
    "swing-25": "61a84be9469661bd039e00dbc9a7c011e70b6ace37aadfe60045ea083b05f4df",
    "swing-40": "3cb0175e7982ff09ea220d1feaee3844cf9116a5ce455757879dea1d880b9b9f",
}
"""Digests of the scenarios it does not print, from the naive exchange of the tests, which meets the three above."""

PUBLISHED_SEED = 23
PUBLISHED_COUNT = 1_000_000

_POSITION_MASK = (1 << POSITION_BITS) - 1
_NO_SUCH_POSITION = _POSITION_MASK
"""Target of a cancel or modify whose id was never issued: the last position a lane could ever have."""


def to_commands(messages: np.ndarray, session: int, first_position: int) -> np.ndarray:
    """One COMMAND for each message, as the session's lane would carry it."""
    commands = np.zeros(len(messages), COMMAND)
    commands["number"] = np.arange(first_position, first_position + len(messages))
    commands["price_ticks"] = messages["price_ticks"]
    commands["quantity"] = messages["quantity"]
    target = (session << POSITION_BITS) | _target_positions(messages, first_position)

    new = messages["kind"] == MessageKind.NEW
    commands["kind"][new] = CommandKind.ENTER
    commands["side"][new] = messages["side"][new] + Side.BUY
    commands["order_type"][new] = OrderType.LIMIT
    commands["time_in_force"][new] = np.where(messages["ioc"][new] != 0, TimeInForce.IOC, TimeInForce.GTC)
    commands["self_trade"][new] = SelfTradePrevention.NONE

    cancel = messages["kind"] == MessageKind.CANCEL
    commands["kind"][cancel] = CommandKind.CANCEL
    commands["order_id"][cancel] = target[cancel]
    commands["price_ticks"][cancel] = 0
    commands["quantity"][cancel] = 0

    modify = messages["kind"] == MessageKind.MODIFY
    commands["kind"][modify] = CommandKind.REPLACE
    commands["order_id"][modify] = target[modify]
    commands["modifiers"][modify] = Flag.REINSERT
    commands["self_trade"][modify] = SelfTradePrevention.NONE
    return commands


def to_log_records(commands: np.ndarray, session: int) -> np.ndarray:
    """The same commands as the log would have them: a copy with `command_id` in the place of `number`."""
    records = commands.view(LOG_RECORD).copy()
    records["command_id"] |= session << POSITION_BITS
    return records


def _target_positions(messages: np.ndarray, first_position: int) -> np.ndarray:
    """Position of the latest preceding NEW with the message's id, or `_NO_SUCH_POSITION`."""
    by_id = np.argsort(messages["order_id"], kind="stable")
    ids = messages["order_id"][by_id]
    latest_new = _forward_fill(messages["kind"][by_id] == MessageKind.NEW)
    found = (latest_new >= 0) & (ids[latest_new] == ids)
    positions = np.empty(len(messages), np.int64)
    positions[by_id] = np.where(found, first_position + by_id[latest_new], _NO_SUCH_POSITION)
    return positions


def _forward_fill(marked: np.ndarray) -> np.ndarray:
    """For each index the last marked index up to it, or -1."""
    latest: np.ndarray = np.maximum.accumulate(np.where(marked, np.arange(len(marked)), -1))
    return latest


# ---- reports → canonical text ----

_ACCEPTED, _TRADE, _CANCELED, _MODIFIED, _CANCEL_REJECTED, _MODIFY_REJECTED = range(6)
_WIDTHS = np.array([6, 6, 5, 6, 3, 3])
"""Numbers in a line of each type."""
_LINE_WIDTH = 6
_LINE_BYTES = _LINE_WIDTH * 21
"""At most: six signed 64-bit numbers, each with a comma or newline."""
_LINES_A_CHUNK = 1 << 16

_TYPE_OF_KIND = np.full(256, -1)
_TYPE_OF_KIND[[EventKind.ACCEPTED, EventKind.EXECUTED, EventKind.CANCELED, EventKind.REPLACED]] = _ACCEPTED, _TRADE, _CANCELED, _MODIFIED
_TYPE_OF_REJECTED = np.array([-1, _CANCEL_REJECTED, _MODIFY_REJECTED])


class _Lines(NamedTuple):
    """The canonical lines in canonical order, each by the report that tells it."""

    types: np.ndarray  # i8: line type
    indices: np.ndarray  # i8: index of the message being handled
    reports: np.ndarray  # i8: index of the report; of a trade the RESTING one, the INCOMING one follows it


def canonical_digest(messages: np.ndarray, reports: np.ndarray, session: int, first_position: int) -> tuple[str, int]:
    """SHA-256 of the canonical text of one session's reports (in number order, behind its logon), and the number of trades."""
    lines = _lines(messages, reports, session, first_position)
    sequences = messages["sequence"].astype(np.int64)
    order = np.argsort(sequences[lines.indices] * 8 + lines.types, kind="stable")
    lines = _Lines(*(column[order] for column in lines))
    order_ids = _ReferenceIds(messages["order_id"].astype(np.int64), session, first_position)

    digest = hashlib.sha256()
    buffer = np.empty(_LINES_A_CHUNK * _LINE_BYTES, np.uint8)
    for first in range(0, len(lines.types), _LINES_A_CHUNK):
        chunk = _Lines(*(column[first : first + _LINES_A_CHUNK] for column in lines))
        numbers = _numbers(chunk, sequences, reports, order_ids)
        used = write_lines(buffer, numbers, _WIDTHS)
        newline_before_first_line = 1 if first == 0 else 0
        digest.update(buffer[newline_before_first_line:used].data)
    return digest.hexdigest(), int(np.count_nonzero(lines.types == _TRADE))


class _ReferenceIds(NamedTuple):
    """From our order ids back to the referee's."""

    ids: np.ndarray  # i8 by message index
    session: int
    first_position: int

    def of(self, order_ids: np.ndarray) -> np.ndarray:
        indices = (order_ids & _POSITION_MASK) - self.first_position
        foreign = (order_ids >> POSITION_BITS != self.session) | (indices < 0) | (indices >= len(self.ids))
        if foreign.any():
            raise _broken(f"order {int(order_ids[foreign][0])} is none of session {self.session}'s flow")
        reference_ids: np.ndarray = self.ids[indices]
        return reference_ids


def _lines(messages: np.ndarray, reports: np.ndarray, session: int, first_position: int) -> _Lines:
    """One line for each report, except that the INCOMING report of a trade is told by its RESTING one."""
    _check_stream(reports)
    executed = reports["kind"] == EventKind.EXECUTED
    handled = reports["cause_id"][_forward_fill(~executed)]
    indices = (handled & _POSITION_MASK) - first_position
    if ((handled >> POSITION_BITS != session) | (indices < 0) | (indices >= len(messages))).any():
        raise _broken("a report's cause lies outside the flow")
    rejected = reports["kind"] == EventKind.REJECTED
    types = np.where(rejected, _TYPE_OF_REJECTED[messages["kind"][indices]], _TYPE_OF_KIND[reports["kind"]])
    if (types < 0).any():
        report = reports[int(np.flatnonzero(types < 0)[0])]
        raise _broken(f"report {report['number']} has kind {report['kind']} and reason {report['reason']}, for which the referee has no line")
    told = np.flatnonzero(~(executed & (reports["role"] == Role.INCOMING)))
    return _Lines(types[told], indices[told], told)


def _check_stream(reports: np.ndarray) -> None:
    """Reports are gapless, begin with a command's own report, and tell every trade twice: RESTING, then INCOMING."""
    if (np.diff(reports["number"]) != 1).any():
        raise _broken("report numbers have a gap")
    executed = np.flatnonzero(reports["kind"] == EventKind.EXECUTED)
    resting, incoming = executed[0::2], executed[1::2]
    if len(executed) and executed[0] == 0:
        raise _broken("it begins with a trade")
    if len(resting) != len(incoming) or (incoming != resting + 1).any():
        raise _broken("a trade has only one of its two reports")
    roles, matches = reports["role"], reports["cause_id"]
    if (roles[resting] != Role.RESTING).any() or (roles[incoming] != Role.INCOMING).any() or (matches[resting] != matches[incoming]).any():
        raise _broken("the two reports of a trade do not belong together")


def _numbers(lines: _Lines, sequences: np.ndarray, reports: np.ndarray, order_ids: _ReferenceIds) -> np.ndarray:
    """The numbers of each line; behind the line's width they mean nothing."""
    told = reports[lines.reports]
    numbers = np.empty((len(told), _LINE_WIDTH), np.int64)
    numbers[:, 0] = lines.types
    numbers[:, 1] = sequences[lines.indices]
    numbers[:, 2] = told["side"].astype(np.int64) - Side.BUY
    numbers[:, 4] = told["price_ticks"]
    numbers[:, 5] = told["quantity"]

    rejected = lines.types >= _CANCEL_REJECTED
    numbers[~rejected, 3] = order_ids.of(told["order_id"][~rejected])
    numbers[rejected, 2] = order_ids.ids[lines.indices[rejected]]

    trade = lines.types == _TRADE
    numbers[trade, 2] = told["price_ticks"][trade]
    numbers[trade, 4] = numbers[trade, 3]
    numbers[trade, 3] = told["quantity"][trade]
    numbers[trade, 5] = order_ids.of(reports["order_id"][lines.reports[trade] + 1])
    return numbers


@kernel
def write_lines(buffer, numbers, widths):
    """Write each row as a newline and its numbers joined by commas; return the bytes used."""
    used = 0
    for row in range(len(numbers)):
        for column in range(widths[numbers[row, 0]]):
            buffer[used] = 44 if column else 10  # comma, newline
            used = write_number(buffer, used + 1, numbers[row, column])
    return used


@kernel
def write_number(buffer, at, number):
    """Write a number in decimal at index `at`; return the index behind it."""
    if number < 0:
        buffer[at] = 45  # minus
        at += 1
        number = -number
    end = at + 1
    bound = 10
    while end - at < 19 and number >= bound:
        end += 1
        bound *= 10
    for digit in range(end - 1, at - 1, -1):
        buffer[digit] = 48 + number % 10
        number //= 10
    return end


def _broken(why: str) -> ConfigError:
    return ConfigError(f"these reports are no answer to this flow: {why}; run it again with all its reports in number order")
