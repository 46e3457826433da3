"""A report as people read it: the record's words, with names for the numbers and decimals for ticks and lots."""

from __future__ import annotations

from decimal import Decimal

from shm_exchange.domain.enums import EventKind, Reason, Role, Side, reason_of
from shm_exchange.domain.instrument import Instrument
from shm_exchange.domain.limits import SHARD_BITS_FROM


class Report:
    """One REPORT record. Decimals are made when asked for; `*_ticks` and `*_lots` are the integers of the record."""

    __slots__ = (
        "account",
        "cause_id",
        "client_order_id",
        "instrument",
        "kind",
        "leaves_lots",
        "number",
        "order_id",
        "price_ticks",
        "quantity_lots",
        "reason_number",
        "role_number",
        "side_number",
    )

    def __init__(self, row: tuple[int, ...], instruments: list[Instrument]) -> None:
        (
            self.number,
            self.order_id,
            self.client_order_id,
            self.cause_id,
            self.price_ticks,
            self.quantity_lots,
            self.leaves_lots,
            kind,
            self.reason_number,
            self.side_number,
            self.role_number,
            instrument,
            self.account,
        ) = row
        self.kind = EventKind(kind)
        self.instrument = instruments[instrument] if instrument < len(instruments) else None

    @property
    def symbol(self) -> str:
        """The instrument's symbol; empty when a refused command named an unknown one."""
        return self.instrument.symbol if self.instrument else ""

    @property
    def side(self) -> Side | None:
        """Side of the order; None where the report is about none."""
        return Side(self.side_number) if self.side_number in (1, 2) else None

    @property
    def role(self) -> Role | None:
        """Of an EXECUTED report: whether our order rested or came in."""
        return Role(self.role_number) if self.role_number else None

    @property
    def reason(self) -> Reason:
        """Why it was rejected, canceled, reduced or moved."""
        return reason_of(self.kind, self.reason_number)

    @property
    def price(self) -> Decimal | None:
        """EXECUTED: the trade price; else the order's price."""
        return self.instrument.price(self.price_ticks) if self.instrument else None

    @property
    def quantity(self) -> Decimal | None:
        """EXECUTED: of this fill; ACCEPTED, REPLACED: now open; CANCELED, REDUCED: taken away."""
        return self.instrument.quantity(self.quantity_lots) if self.instrument else None

    @property
    def leaves_quantity(self) -> Decimal | None:
        """Still open afterwards."""
        return self.instrument.quantity(self.leaves_lots) if self.instrument else None

    @property
    def shard(self) -> int:
        """Of an exchange in shards: whose numbers `number` and `match_id` are; else 0."""
        return (self.order_id if self.kind is EventKind.EXECUTED else self.cause_id) >> SHARD_BITS_FROM

    @property
    def match_id(self) -> int | None:
        """Of an EXECUTED report: the number of the trade's event, shared by both sides."""
        return self.cause_id if self.kind is EventKind.EXECUTED else None

    @property
    def command_id(self) -> int | None:
        """Of any other report: the command that caused it, ours or somebody else's."""
        return None if self.kind is EventKind.EXECUTED else self.cause_id

    def __repr__(self) -> str:
        reason = f" {self.reason.name}" if self.reason else ""
        side = f" {self.side.name}" if self.side else ""
        return (
            f"<Report {self.number} {self.kind.name}{reason} {self.symbol}{side} order {self.order_id}: "
            f"{self.quantity} @ {self.price}, leaves {self.leaves_quantity}>"
        )
