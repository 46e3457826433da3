"""The figures of an exchange in shards: those of its shards, added up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from shm_exchange.domain.config import ExchangeConfig
from shm_exchange.supervisor.status import JournalStatus, LaneStatus, Status

_SUMS = (
    *("memory_bytes", "commands", "reports", "reports_skipped", "trades", "rejects", "open_orders", "open_orders_high", "pages"),
    *("events", "sweeps", "sweep_ns", "idle_ns", "parks", "wakes"),
)
_HIGHEST = ("lane_depth_high", "batch_high", "term", "matcher_lives")
_LANE_SUMS = ("commands", "depth", "reports", "reports_waiting", "reports_skipped", "open_orders")
_JOURNAL_SUMS = ("archived", "behind", "durable", "checkpoints", "bytes", "syncs")
_BAD = ("dead", "failed", "stopped", "starting", "unknown")


class ShardedStatus(Status):
    """What `status` tells of an exchange in shards.

    Counters are sums, `term` and highest marks the greatest of any shard; `matcher`, `matcher_pid` and `supervisor_pid` are those of the first shard
    that does not run, where there is one; a lane is that of a session, on all shards together.
    """

    shards: list[Status]


def summed(name: str, config: ExchangeConfig, shards: Sequence[Status]) -> ShardedStatus:
    """The figures of all shards together, and of each."""
    rows = cast("Sequence[dict[str, Any]]", shards)
    worst = next((row for state in _BAD for row in rows if row["matcher"] == state), rows[0])
    unwatched = next((row for row in rows if not row["supervisor_alive"]), rows[0])
    idle, busy = (sum(row[key] for row in rows) for key in ("idle_ns", "sweep_ns"))
    ages = [row["heartbeat_age_seconds"] for row in rows]
    total = dict(worst) | {key: sum(row[key] for row in rows) for key in _SUMS} | {key: max(row[key] for row in rows) for key in _HIGHEST}
    total |= {
        "name": name,
        "instruments": [instrument.symbol for instrument in config.instruments],
        "supervisor_alive": unwatched["supervisor_alive"],
        "supervisor_pid": unwatched["supervisor_pid"],
        "sweep_ns_mean": busy // max(1, total["sweeps"]),
        "idle_share": round(idle / (idle + busy), 4) if idle + busy else 1.0,
        "spins": all(row["spins"] for row in rows),
        "heartbeat_age_seconds": None if None in ages else max(ages),
        "journal": _journal([row["journal"] for row in rows]),
        "lanes": _lanes([row["lanes"] for row in rows]),
        "shards": list(shards),
    }
    return cast("ShardedStatus", total)


def _journal(journals: Sequence[dict[str, Any] | None]) -> JournalStatus | None:
    """Of all keepers: the one that is worst off, with sums in place of its counters; the folder that holds the folders of all."""
    there = [journal for journal in journals if journal is not None]
    if not there:
        return None
    worst = next((journal for state in _BAD for journal in there if journal["keeper"] == state), there[0])
    total = dict(worst) | {key: sum(journal[key] for journal in there) for key in _JOURNAL_SUMS}
    folders = {place for journal in there for place, _, name in (journal["directory"].rpartition("/"),) if name.startswith("shard-")}
    total |= {key: max(journal[key] for journal in there) for key in ("keeper_lives", "sync_ns_high", "diverged")}
    total |= {key: next((journal[key] for journal in there if journal[key] not in ("", "all")), total[key]) for key in ("error", "admission")}
    total["sync_ns_mean"] = sum(journal["sync_ns_mean"] * journal["syncs"] for journal in there) // max(1, total["syncs"])
    total["checkpoint"] = sum(journal["checkpoint"] for journal in there)
    total["directory"] = folders.pop() if len(folders) == 1 else total["directory"]
    return cast("JournalStatus", total)


def _lanes(shards: Sequence[Sequence[dict[str, Any]]]) -> list[LaneStatus]:
    """Of every session, its lanes on all shards added up."""
    sessions: dict[str, dict[str, Any]] = {}
    for lane in (lane for lanes in shards for lane in lanes):
        known = sessions.setdefault(lane["session"], dict(lane) | dict.fromkeys(_LANE_SUMS, 0))
        known |= {key: known[key] + lane[key] for key in _LANE_SUMS}
        known["alive"] |= lane["alive"]
        known["attached"] = max(known["attached"], lane["attached"])
    return cast("list[LaneStatus]", list(sessions.values()))
