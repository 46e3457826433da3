"""Looks at exchanges that do not exist, for tests of what is made of them."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from shm_exchange.cli.top.processes import ProcessFigures
from shm_exchange.cli.top.reading import Reading
from shm_exchange.cli.top.tape import Trade
from shm_exchange.client import Depth
from shm_exchange.client.view import Level
from shm_exchange.domain.config import ExchangeConfig
from shm_exchange.domain.instrument import Instrument

SECOND = 1_000_000_000
CONFIG = ExchangeConfig("demo", (Instrument("ACME"), Instrument("GLOBEX")), lane_capacity=64, report_capacity=128, max_orders=1000)
SUPERVISOR, MATCHER, KEEPER = 10, 11, 12
_COUNTERS = ("commands", "trades", "rejects", "events", "sweeps", "sweep_ns", "idle_ns", "parks", "open_orders", "pages")


def lane(number: int = 1, pid: int = 20, **figures: Any) -> dict[str, Any]:
    """As `status_of` tells it."""
    words = {"number": number, "session": f"gateway-{number}", "account": "house", "pid": pid, "alive": True}
    counts = dict.fromkeys(("commands", "depth", "reports", "reports_waiting", "reports_skipped", "open_orders"), 0)
    return words | counts | figures


def journal(**figures: Any) -> dict[str, Any]:
    """Of a keeper that keeps up, as `status_of` tells it."""
    words = {"mode": "async", "directory": "/var/log/demo", "keeper": "running", "keeper_pid": KEEPER, "admission": "all", "error": "", "diverged": 0}
    return words | {"keeper_lives": 1, "archived": 500, "behind": 0, "durable": 500} | figures


def reading(
    *lanes: dict[str, Any], at: float = 100.0, processes: dict[int, ProcessFigures] | None = None, tape: Sequence[Trade] = (), **figures: Any
) -> Reading:
    """A look at second `at`; `tape`: trades of ACME; further figures are of the status, or of the reading itself."""
    status: dict[str, Any] = {
        **dict.fromkeys(_COUNTERS, 0),
        "matcher": "running",
        "matcher_pid": MATCHER,
        "matcher_lives": 1,
        "term": 1,
        "supervisor_pid": SUPERVISOR,
        "supervisor_alive": True,
        "heartbeat_age_seconds": 0.01,
        "memory_bytes": 20_000_000,
        "journal": None,
        "lanes": list(lanes),
    }
    own = {name: figures.pop(name) for name in ("books", "busy", "cores", "is_current") if name in figures}
    made = Reading(
        config=CONFIG,
        now_ns=int(at * SECOND),
        clock_ns=1_700_000_000 * SECOND,
        started_ns=1_699_999_000 * SECOND,
        status=status | figures,
        processes=processes or {},
        books={"ACME": book()},
        busy=frozenset(),
        trades={"ACME": list(tape), None: list(tape)},
        events_unseen=0,
        cores=64,
        own_pid=1,
        own_cpu=None,
        is_current=True,
    )
    return made._replace(**own)


def book(levels: int = 3) -> Depth:
    """Bids from 99.50 down, asks from 99.60 up."""
    bids = [Level(Decimal("99.50") - Decimal(step) / 100, Decimal(100 * (step + 1))) for step in range(levels)]
    asks = [Level(Decimal("99.60") + Decimal(step) / 100, Decimal(50 * (step + 1))) for step in range(levels)]
    return Depth(bids, asks, Level(Decimal("99.55"), Decimal(7)), 9, 4, 1_699_999_999 * SECOND)
