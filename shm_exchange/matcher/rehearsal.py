"""Everything a matcher does, once, on memory of its own: so that all kernels are loaded before it takes the lock of the dead."""

from __future__ import annotations

import numpy as np

from shm_exchange.domain.config import ExchangeConfig
from shm_exchange.domain.instrument import Instrument
from shm_exchange.engine.apply import apply, log_of
from shm_exchange.engine.book import new_book
from shm_exchange.engine.check import book_hash, check_book, state_hash
from shm_exchange.engine.outputs import new_outputs, silent_outputs
from shm_exchange.layout.regions import Writer, arrays, counts_of
from shm_exchange.matcher.bundles import Bundles, bundle_memory, plain_bundles
from shm_exchange.matcher.loop import run_slice
from shm_exchange.matcher.memory import Policy
from shm_exchange.matcher.recovery import begin_life, recover
from shm_exchange.snapshot.slots import Snapshots

_YIELD_POLLS = 1 << 20
"""The slice is over before it would park."""
_SIZES = {"max_orders": 64, "max_sessions": 1, "lane_capacity": 64, "report_capacity": 64, "event_capacity": 128, "log_capacity": 128}


def rehearse() -> Bundles:
    """Recover an empty exchange, run one slice of no time, and check and hash the book. Nothing of it is shared; returned for tests."""
    config = ExchangeConfig("rehearsal", (Instrument("NONE"),), **_SIZES, sweep_budget=16)
    own = {name: _array(writer, dtype, count) for writer, name, dtype, count in arrays(counts_of(config))}
    log, book = log_of(own["log"]), new_book(config, 1)
    apply(book, silent_outputs(config), log, 0)
    lanes, heads = _addresses(own["lane"]), _addresses(own["report_head"])
    memory = bundle_memory(config, own, lanes)
    policy = Policy(config.lane_capacity, config.sweep_budget, _YIELD_POLLS, 0, has_journal=True, answers_wait=True)
    snapshots = Snapshots(own["snapshot_latest"], own["snapshots"], own["snapshot_levels"])
    bundles = Bundles(memory, policy, book, new_outputs(config, own["reports"], own["events"], heads), log, snapshots)
    begin_life(memory, book)
    recover(*bundles)
    plain = plain_bundles(bundles)
    run_slice(plain.memory, plain.policy, plain.book, plain.outputs, plain.log, plain.snapshots)
    check_book(book)
    state_hash(book)
    book_hash(book, 0)
    return bundles


def _array(writer: Writer, dtype: np.dtype[np.void], count: int) -> np.recarray:
    """An array as a matcher sees it: what others write it can only read, and numba compiles for that."""
    array = np.zeros(count, dtype).view(np.recarray)
    array.flags.writeable = writer in (Writer.MATCHER, Writer.MANY, Writer.GATEWAY)
    return array


def _addresses(array: np.ndarray) -> np.ndarray:
    """Where the one session's array lies; nothing at index 0."""
    return np.array([0, array.ctypes.data], np.int64)
