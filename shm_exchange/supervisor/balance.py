"""The books of a population at its end: what the dead were still told is folded in, and everything must add up to zero."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from shm_exchange.client.gateway import Gateway
from shm_exchange.client.plain import Records, plain
from shm_exchange.domain.errors import ExchangeError
from shm_exchange.participants.clear import cancel_all
from shm_exchange.participants.ledger import fold_reports, ledger_of, page_of
from shm_exchange.participants.memory import Table
from shm_exchange.participants.recorder import DONE
from shm_exchange.participants.scheduler import Seat
from shm_exchange.shm.segment import Segment
from shm_exchange.supervisor.status import LaneStatus, Status, status_of


def settle_rest(segment: Segment, seats: Sequence[Seat], records: Table, ledgers: Table) -> list[str]:
    """Take over the sessions of those who did not end well, or left orders in the book: fold what they were still told, cancel what is open.

    Returns what could not be done.
    """
    problems = []
    for row, seat in enumerate(seats):
        if records["row"]["state"][row] == DONE and not seat.setting.keep:
            continue
        ledger = ledger_of(ledgers, row)

        def fold(reports: Records, ledger: Any = ledger, row: int = row) -> None:
            records["row"]["fills"][row] += fold_reports(ledger, plain(reports))

        try:
            with Gateway.attach(segment.name, session=seat.session, account=seat.account) as gateway:
                while len(reports := gateway.poll_array()):
                    fold(reports)
                if not seat.setting.keep:
                    cancel_all(gateway, fold)
        except ExchangeError as error:
            problems.append(f"what {seat.session} was still told could not be taken: {error}")
    return problems


def balance_of(segment: Segment, seats: Sequence[Seat], before: Status, ledgers: Table, lost: int) -> dict[str, Any]:
    """Positions and cash over all participants, which must be zero where nobody else traded.

    before: the exchange when they began; lost: reports that they have lost.
    """
    pages = np.array([page_of(ledger_of(ledgers, row)) for row in range(len(seats))])
    positions, cash = pages["position"].sum(axis=0).tolist(), pages["cash"].sum(axis=0).tolist()
    after, own = status_of(segment), {seat.session for seat in seats}
    lanes = {lane["session"]: lane for lane in before["lanes"]}
    strangers = [lane["session"] for lane in after["lanes"] if lane["session"] not in own and _took_part(lane, lanes.get(lane["session"]))]
    note = f"others traded too: {', '.join(strangers)}" if strangers else f"{lost} reports were lost" if lost else ""
    return {
        "alone": not note,
        "note": note,
        "positions": positions,
        "cash": cash,
        "traded_lots": int((pages["bought"] + pages["sold"]).sum()) // 2,
        "trades": after["trades"] - before["trades"],
        "holds": not note and not any(positions) and not any(cash),
    }


def _took_part(after: LaneStatus, before: LaneStatus | None) -> bool:
    """Whether a session may have traded meanwhile: it sent something, or had orders in the book."""
    return after["commands"] > 0 if before is None else after["commands"] != before["commands"] or before["open_orders"] > 0
