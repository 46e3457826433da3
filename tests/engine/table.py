"""Tables a trader can read, and the one helper that plays them: `check(exchange, text)`.

    sell A1 10 @ 101                  -> accepted
    buy B1 4 @ 101                    -> executed A1 4 @ 101
    book                              -> ask 101: A1 6

A1 is the order with client id 1 of session A. Sessions A to F are logged on, each for an account of its own, unless the first line says
otherwise (`sessions A B C=A`: C trades for A's account; sessions that are not named are not logged on). What happens to other orders than the
one in the command is said with their name; ACCEPTED goes without saying when more follows and the price is the one asked for.

    buy|sell A1 10 @ 101 [ioc|fok] [post] [slide] [MODE]      MODE: cancel-incoming, cancel-resting, cancel-both, decrement
    buy|sell A1 10 market [@ 105] [fok] [MODE]                with a price: protected
    cancel A1                reduce A1 3                      replace A1 10 @ 102 [reinsert] [post] [slide] [MODE]
    mass cancel A [buy|sell] [account]                        logon A as B [cancel-on-disconnect], logoff A, disconnect A
    admit all|reducing|none                                   the matcher's own command; `by A`: of a session that tries
    … by B                                                    the session that sends it, if not the owner
    … by client id                                            name the order by its client id
    … on 1                                                    instrument 1 (0 where nothing is said; `on all` for mass cancel)
    … with terms=1                                            any field of the command, spoilt
    book [on 1]                                               every queue, best price first: `ask 101: A1 6, B1 2; bid 99: C1 5` or `empty`
    given session_orders=2                                    sizes of the exchange, before anything else
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from shm_exchange.domain.config import ExchangeConfig
from shm_exchange.domain.enums import (
    Admission,
    CancelReason,
    CommandKind,
    EventKind,
    Flag,
    OrderType,
    Place,
    RejectReason,
    SelfTradePrevention,
    Side,
    TimeInForce,
)
from shm_exchange.domain.instrument import Instrument
from shm_exchange.domain.limits import PRICE_TICKS_MAX
from shm_exchange.domain.names import name_words
from tests.engine.implementations import Exchange
from tests.engine.ledger import Ledger
from tests.oracle.messages import ALL_INSTRUMENTS, Command, Event, Outputs, Report

INSTRUMENTS = (
    Instrument("BAND", tick_size="1", max_price="1000"),
    Instrument("ZERO", tick_size="1", min_price="-1000", max_price="1000"),
    Instrument("FAR", tick_size="1", min_price=str(-PRICE_TICKS_MAX)),
)
LETTERS = "ABCDEF"
MODES = {mode.name.lower().replace("_", "-"): mode for mode in SelfTradePrevention}
MODIFIERS = {
    "post": Flag.POST_ONLY,
    "slide": Flag.SLIDE,
    "reinsert": Flag.REINSERT,
    "account": Flag.ACCOUNT,
    "cancel-on-disconnect": Flag.CANCEL_ON_DISCONNECT,
}
SIDES = {side.name.lower(): side for side in Side}
TIMES = {time.name.lower(): time for time in TimeInForce}
UNKNOWN = 999_999


def read_tables(name: str) -> dict[str, str]:
    """The tables of a file, by title; a line that begins with # is the title of what follows."""
    text = (Path(__file__).parent / "tables" / name).read_text(encoding="utf-8")
    parts = [part.partition("\n")[::2] for part in text.removeprefix("# ").split("\n# ")]
    tables = dict(parts)
    assert len(tables) == len(parts), "two tables have one title"
    return tables


def check(make: Callable[[ExchangeConfig], Exchange], text: str) -> None:
    """Play the commands of a table and compare all outcomes with those it says."""
    lines = [" ".join(line.split()) for line in text.strip().splitlines() if line.strip()]
    sizes: dict[str, int] = {}
    sessions = [f"{letter}={letter}" for letter in LETTERS]
    while lines and (first := lines[0].split())[0] in ("given", "sessions"):
        if first[0] == "given":
            sizes = {name: int(value) for name, value in (word.split("=") for word in first[1:])}
        else:
            sessions = [word if "=" in word else f"{word}={word}" for word in first[1:]]
        lines.pop(0)
    defaults = {"max_sessions": len(LETTERS), "max_orders": 128, "max_pages": 64, "session_pages": 64, "session_orders": 128}
    config = ExchangeConfig(name="table", instruments=INSTRUMENTS, report_capacity=512, event_capacity=512, **{**defaults, **sizes})
    table = Table(make(config))
    for session in sessions:
        letter, account = session.split("=")
        assert table.outcome(f"logon {letter} as {account}") == "logged on"
    commands = [line.split(" -> ")[0] for line in lines]
    played = [f"{command} -> {table.outcome(command)}" for command in commands]
    if played != lines:
        raise AssertionError("\n".join(["the table (-) and what happened (+)", *difflib.ndiff(lines, played)]))


class Table:
    """Turns lines into commands, and outputs into words."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.ledger = Ledger()
        self.positions = dict.fromkeys(LETTERS, 0)
        self.ids: dict[str, int] = {}
        self.labels: dict[int, str] = {}

    def outcome(self, line: str) -> str:
        """What one line leads to, in words."""
        if line.startswith("book"):
            return self._book(int(line.rpartition(" ")[2]) if " on " in line else 0)
        command, label = self._command(line)
        outputs = self.exchange.apply([command])
        self.ledger.check(command, outputs)
        if outputs.events and outputs.events[0].kind == EventKind.ACCEPTED:
            self.labels[command.command_id] = label
            self.ids[label] = command.command_id
        return self._words(command, label, outputs)

    # -- lines to commands

    def _command(self, line: str) -> tuple[Command, str]:
        line, _, spoilt = line.partition(" with ")
        instrument = re.search(r" on (\w+)", line)
        sender = re.search(r" by ([A-Z])$", line)
        by_client_id = " by client id" in line
        words = re.sub(r" on \w+| by (client id|[A-Z])", "", line).split()
        label = "" if words[0] in ("mass", "logon", "logoff", "disconnect", "admit") else words[1]
        letter = sender[1] if sender else words[2] if words[0] == "mass" else words[1][0]
        fields = getattr(self, f"_{'enter' if words[0] in SIDES else words[0]}")(words, by_client_id)
        if instrument:
            fields["instrument"] = ALL_INSTRUMENTS if instrument[1] == "all" else int(instrument[1])
        fields |= {name: int(value) for name, value in (word.split("=") for word in spoilt.split())}
        if words[0] == "admit" and not sender:
            return Command(self.ledger.commands, **fields), label
        self.positions[letter] += 1
        command = Command((LETTERS.index(letter) + 1) << 40 | self.positions[letter], **fields)
        return command, label

    def _options(self, words: list[str]) -> dict[str, Any]:
        """Modifiers, mode, time in force and side among the words."""
        fields: dict[str, Any] = {"self_trade": SelfTradePrevention.NONE, "modifiers": 0}
        for word in words:
            if word in MODIFIERS:
                fields["modifiers"] |= int(MODIFIERS[word])
            elif word in MODES:
                fields["self_trade"] = MODES[word]
            elif word in TIMES:
                fields["time_in_force"] = TIMES[word]
        return fields

    def _enter(self, words: list[str], _: bool) -> dict[str, Any]:
        market, priced = "market" in words, "@" in words
        defaults = {"time_in_force": TimeInForce.IOC if market else TimeInForce.GTC}
        fields = defaults | self._options(words[3:])
        if market and priced:
            fields["modifiers"] |= int(Flag.PROTECTED)
        return fields | {
            "kind": CommandKind.ENTER,
            "side": SIDES[words[0]],
            "client_order_id": int(words[1][1:]),
            "quantity": int(words[2]),
            "price_ticks": int(words[words.index("@") + 1]) if priced else 0,
            "order_type": OrderType.MARKET if market else OrderType.LIMIT,
        }

    def _target(self, words: list[str], by_client_id: bool) -> dict[str, Any]:
        if by_client_id:
            return {"client_order_id": int(words[1][1:])}
        return {"order_id": self.ids.get(words[1], UNKNOWN)}

    def _cancel(self, words: list[str], by_client_id: bool) -> dict[str, Any]:
        return self._target(words, by_client_id) | {"kind": CommandKind.CANCEL}

    def _reduce(self, words: list[str], by_client_id: bool) -> dict[str, Any]:
        return self._target(words, by_client_id) | {"kind": CommandKind.REDUCE, "quantity": int(words[2])}

    def _replace(self, words: list[str], by_client_id: bool) -> dict[str, Any]:
        fields = {"kind": CommandKind.REPLACE, "quantity": int(words[2]), "price_ticks": int(words[4])}
        return self._target(words, by_client_id) | fields | self._options(words[5:])

    def _mass(self, words: list[str], _: bool) -> dict[str, Any]:
        side = next((SIDES[word] for word in words if word in SIDES), 0)
        modifiers = self._options(words[3:])["modifiers"]
        return {"kind": CommandKind.MASS_CANCEL, "side": side, "instrument": ALL_INSTRUMENTS, "modifiers": modifiers}

    def _logon(self, words: list[str], _: bool) -> dict[str, Any]:
        names = (*name_words(f"session-{words[1]}"), *name_words(words[3]))
        return dict(zip(("order_id", "client_order_id", "price_ticks", "quantity"), names, strict=True)) | {
            "kind": CommandKind.LOGON,
            "modifiers": self._options(words[4:])["modifiers"],
        }

    def _logoff(self, words: list[str], _: bool) -> dict[str, Any]:
        return {"kind": CommandKind.LOGOFF}

    def _disconnect(self, words: list[str], _: bool) -> dict[str, Any]:
        return {"kind": CommandKind.DISCONNECT}

    def _admit(self, words: list[str], _: bool) -> dict[str, Any]:
        return {"kind": CommandKind.ADMIT, "quantity": Admission[words[1].upper()]}

    # -- outputs to words

    def _words(self, command: Command, label: str, outputs: Outputs) -> str:
        said = [self._event(event, label, command) for event in outputs.events]
        if len(said) > 1 and said[0] == "accepted":
            said.pop(0)
        answers = [report for report in outputs.reports.get(command.command_id >> 40, ()) if report.kind not in _PUBLIC]
        return ", ".join(said + [self._answer(answer) for answer in answers]) or "nothing"

    def _event(self, event: Event, label: str, command: Command) -> str:
        name = self.labels[event.order_id]
        who = "" if name == label else f"{name} "
        if event.kind == EventKind.ACCEPTED:
            slid = event.price_ticks != command.price_ticks
            return f"{who}accepted @ {event.price_ticks}" if slid else f"{who}accepted"
        if event.kind == EventKind.EXECUTED:
            return f"{who}executed {self.labels[event.resting_order_id]} {event.quantity} @ {event.price_ticks}"
        if event.kind == EventKind.REPLACED:
            return f"{who}replaced {event.quantity} @ {event.price_ticks}: place {Place(event.reason).name.lower()}"
        return f"{who}{EventKind(event.kind).name.lower()} {event.quantity}: {_spoken(CancelReason(event.reason).name)}"

    def _answer(self, report: Report) -> str:
        if report.kind == EventKind.REJECTED:
            return f"rejected: {_spoken(RejectReason(report.reason).name)}"
        words = _spoken(EventKind(report.kind).name)
        return f"{words} {report.quantity}" if report.kind in (EventKind.MASS_CANCELED, EventKind.DISCONNECTED) else words

    def _book(self, instrument: int) -> str:
        said = []
        for name, side in (("ask", Side.SELL), ("bid", Side.BUY)):
            for price, total in self.exchange.levels(instrument, side):
                queue = self.exchange.queue(instrument, side, price)
                assert sum(leaves for _, leaves in queue) == total
                said.append(f"{name} {price}: " + ", ".join(f"{self.labels[order_id]} {leaves}" for order_id, leaves in queue))
        return "; ".join(said) or "empty"


_PUBLIC = (EventKind.ACCEPTED, EventKind.EXECUTED, EventKind.CANCELED, EventKind.REDUCED, EventKind.REPLACED)


def _spoken(name: str) -> str:
    return name.lower().replace("_", " ")
