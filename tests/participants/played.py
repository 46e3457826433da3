"""A gateway whose answers stand in a script: for each order in turn a list of ("fill", quantity, price), ("cancel",) or ("reject",)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from shm_exchange.client.report import Report
from shm_exchange.domain.enums import CancelReason, EventKind, RejectReason, Side, TimeInForce
from shm_exchange.domain.instrument import Instrument

_FIRST_ID = 100


class Played:
    """Instead of a Gateway. `sent` has what was submitted: (symbol, side, price, quantity)."""

    def __init__(self, *script: list[tuple[str, ...]], instrument: Instrument | None = None) -> None:
        self.name, self.session, self.matcher_lost = "played", "player", False
        self.sent: list[Any] = []
        self._instrument = instrument or Instrument("BTC", "0.5", "0.001")
        self._script = list(script)
        self._reports: list[Report] = []

    def limit(self, symbol: str, side: Side, price: Any = None, quantity: Any = 0, *, time_in_force: TimeInForce = TimeInForce.GTC) -> int:
        assert time_in_force is TimeInForce.IOC
        order_id = _FIRST_ID + len(self.sent)
        self.sent.append((symbol, side, Decimal(price), Decimal(quantity)))
        left = self._instrument.lots(quantity)
        for what, *details in self._script.pop(0):
            if what == "fill":
                lots = self._instrument.lots(details[0])
                left -= lots
                self.hear(order_id, EventKind.EXECUTED, lots, self._instrument.ticks(details[1]), left, side=side)
            elif what == "cancel":
                self.hear(order_id, EventKind.CANCELED, left, 0, 0, CancelReason.IOC_REST, side)
            else:
                self.hear(order_id, EventKind.REJECTED, left, 0, 0, RejectReason.MALFORMED, side)
        return order_id

    def hear(self, order_id: int, kind: EventKind, lots: int, ticks: int, leaves: int, reason: int = 0, side: Side = Side.BUY) -> None:
        """Put a report into the inbox."""
        row = (len(self._reports) + 1, order_id, 0, 0, ticks, lots, leaves, kind, reason, side, 0, 0, 0)
        self._reports.append(Report(row, [self._instrument]))

    def poll(self) -> list[Report]:
        taken, self._reports = self._reports[:1], self._reports[1:]
        return taken

    def wait(self, timeout: float | None = None) -> bool:
        return bool(self._reports)
