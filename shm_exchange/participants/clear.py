"""An end to open orders: what an earlier holder of a session left, and what a trader leaves when it goes."""

from __future__ import annotations

import time
from collections.abc import Callable

from shm_exchange.client import Gateway
from shm_exchange.client.plain import Records
from shm_exchange.domain.enums import EventKind
from shm_exchange.domain.errors import ExchangeError, ReportsLost

_NAP_SECONDS = 0.001
_LOOK_SECONDS = 0.5


def cancel_all(gateway: Gateway, settled: Callable[[Records], object] | None = None) -> int:
    """Cancel every open order of the session, and take all reports up to the answer, handing them to `settled`. Returns how many were canceled.

    Reports that were lost before are passed over. Raises ExchangeError when the matcher dies, LaneFull.
    """
    command_id, look = gateway.mass_cancel(), time.monotonic() + _LOOK_SECONDS
    while True:
        try:
            reports = gateway.poll_array()
        except ReportsLost:
            continue
        if settled is not None and len(reports):
            settled(reports)
        for report in reports[reports["cause_id"] == command_id]:
            if report["kind"] == EventKind.MASS_CANCELED:
                return int(report["quantity"])
        if not len(reports) and not gateway.wait(_NAP_SECONDS) and time.monotonic() > look:
            look = time.monotonic() + _LOOK_SECONDS
            check_matcher(gateway)


def check_matcher(gateway: Gateway) -> None:
    """Raises ExchangeError when there is no matcher any more, and none will come."""
    if gateway.matcher_lost:
        raise ExchangeError(f"the matcher of exchange {gateway.name!r} ended while session {gateway.session!r} was trading")
