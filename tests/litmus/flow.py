"""Commands that their lane position determines, so that whoever finds one, whole or in parts, knows what it must be; and the count of their answers.

even positions   a limit order at a price near 1000, client id = position
odd positions    the cancel of the order just before
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from shm_exchange.client import Gateway
from shm_exchange.domain.enums import CommandKind, EventKind, OrderType, SelfTradePrevention, TimeInForce
from shm_exchange.domain.limits import POSITION_BITS
from shm_exchange.layout.records import COMMAND, REPORT

Reports = np.ndarray[Any, np.dtype[np.void]]

CANCELED_LATER = 21
_POSITION = (1 << POSITION_BITS) - 1
_ANSWERS = (
    EventKind.ACCEPTED,
    EventKind.REJECTED,
    EventKind.LOGGED_ON,
    EventKind.LOGGED_OFF,
    EventKind.MASS_CANCELED,
    EventKind.DISCONNECTED,
)


def _terms_of(position: np.ndarray) -> dict[str, np.ndarray]:
    """Side, price and quantity of the order at an even position."""
    mixed = position * 2_654_435_761 >> 7
    return {"side": 1 + (mixed & 1), "price_ticks": 998 + mixed // 2 % 5, "quantity": 1 + position % 7}


def commands_from(first_id: int, count: int) -> np.ndarray:
    """The commands of `count` positions from that of `first_id` on."""
    ids = first_id + np.arange(count)
    position = ids & _POSITION
    commands = np.zeros(count, COMMAND)
    even = position % 2 == 0
    commands["kind"] = np.where(even, CommandKind.ENTER, CommandKind.CANCEL)
    commands["order_id"] = np.where(even, 0, ids - CANCELED_LATER)
    commands["client_order_id"] = np.where(even, position, 0)
    for name, value in _terms_of(position).items():
        commands[name] = np.where(even, value, 0)
    enter = {"order_type": OrderType.LIMIT, "time_in_force": TimeInForce.GTC, "self_trade": SelfTradePrevention.NONE}
    for name, word in enter.items():
        commands[name] = np.where(even, word, 0)
    return commands


def next_id(gateway: Gateway) -> int:
    """The id of the command that the gateway submits next."""
    return gateway.number << POSITION_BITS | int(gateway._producer_record[0].position)


def check_accepted(reports: Reports) -> None:
    """Every accepted order is the whole one that its position determines."""
    accepted = reports[reports["kind"] == EventKind.ACCEPTED]
    position = accepted["order_id"] & _POSITION
    assert (accepted["client_order_id"] == position).all()
    for name, value in _terms_of(position).items():
        assert (accepted[name] == value).all(), name


def answered(reports: Reports) -> list[int]:
    """Positions of the commands that these reports answer directly, in their order: one for each command, whatever else it caused."""
    kind, cause = reports["kind"], reports["cause_id"]
    direct = np.isin(kind, _ANSWERS) | (kind == EventKind.CANCELED) & (cause != reports["order_id"])
    positions: list[int] = (cause[direct] & _POSITION).tolist()
    return positions


class Journal:
    """The reports of a session, kept in a file by number. Whoever gets a number again must get the same bytes."""

    def __init__(self, path: Path, records: int = 1 << 17) -> None:
        if not path.exists():
            with path.open("wb") as file:
                file.truncate(records * REPORT.itemsize)
        self._reports = np.memmap(path, REPORT, "r+")

    def keep(self, reports: Reports) -> None:
        """Write reports down. The number goes in last: who is killed here leaves no half report behind."""
        numbers = reports["number"]
        known = self._reports[numbers]
        again = known["number"] != 0
        assert (known[again] == reports[again]).all()
        nameless = reports.copy()
        nameless["number"] = 0
        fresh = ~again
        self._reports[numbers[fresh]] = nameless[fresh]
        self._reports["number"][numbers] = numbers

    def keep_logon(self, gateway: Gateway) -> None:
        """The answer to the logon, where `attach` has taken it out of the stream."""
        _, reader, reports, _, head = gateway.rings()
        first = int(head["head"][0])
        if int(reader["next_report"][0]) == first + 1:
            self.keep(reports[[first & (len(reports) - 1)]])

    def kept(self) -> Reports:
        """All reports without a hole from number 1 on."""
        holes = np.flatnonzero(self._reports["number"][1:] != np.arange(1, len(self._reports)))
        return np.asarray(self._reports[1 : 1 + holes[0]])

    @property
    def count(self) -> int:
        """How many reports there are, holes or not."""
        return int(np.count_nonzero(self._reports["number"]))
