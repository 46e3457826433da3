"""All that a matcher's kernels work on, in one tuple: shared words by writer, private state, the book, the rings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from shm_exchange.domain.config import ExchangeConfig
from shm_exchange.engine.apply import Log
from shm_exchange.engine.book import Book
from shm_exchange.engine.outputs import Outputs
from shm_exchange.matcher.memory import LANE_STATE, PRIVATE, MatcherMemory, Policy
from shm_exchange.shm.segment import Records
from shm_exchange.snapshot.slots import Snapshots


class Bundles(NamedTuple):
    """All that `run_slice` works on."""

    memory: MatcherMemory
    policy: Policy
    book: Book
    outputs: Outputs
    log: Log
    snapshots: Snapshots


def bundle_memory(config: ExchangeConfig, arrays: Mapping[str, Records], lanes: np.ndarray) -> MatcherMemory:
    """Shared arrays by their names, the addresses of the lanes, and private state of the matcher that begins."""
    count = config.max_sessions + 1
    lane_state = np.zeros(count, LANE_STATE).view(np.recarray)
    lane_state["position"] = lane_state["applied"] = 1
    return MatcherMemory(
        words=arrays["matcher"],
        counters=arrays["counters"],
        accounts=arrays["accounts"],
        lane_heads=arrays["lane_heads"],
        report_tails=arrays["report_tails"],
        control=arrays["control"],
        keeper=arrays["keeper"],
        activity=arrays["activity"],
        parked=arrays["parked"],
        keeper_parked=arrays["keeper_parked"],
        lanes=lanes,
        lane_state=lane_state,
        hot=np.zeros(count, np.int64),
        private=np.zeros(1, PRIVATE).view(np.recarray),
    )


def plain_bundles(bundles: Bundles) -> Bundles:
    """The same memory as plain ndarrays: every call of a kernel recognises those 100 times faster, and `run_slice` takes forty of them."""
    memory, policy, book, outputs, log, snapshots = bundles
    return Bundles(
        MatcherMemory(*(array.view(np.ndarray) for array in memory)),
        policy,
        Book(*(array.view(np.ndarray) for array in book)),
        Outputs(*(array.view(np.ndarray) for array in outputs)),
        Log(*(array.view(np.ndarray) for array in log)),
        Snapshots(*(array.view(np.ndarray) for array in snapshots)),
    )
