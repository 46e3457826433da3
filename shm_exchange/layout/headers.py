"""The words beside the rings, grouped by who writes them: one writer a cache line, and one page a writer.

Fields of 8 bytes are the ones other processes poll. `lines()` pads a record to whole cache lines and names the hole.
"""

from __future__ import annotations

import numpy as np

from shm_exchange.domain.config import JOURNAL_PATH_BYTES
from shm_exchange.domain.limits import CACHE_LINE, NAME_BYTES, PAGE


def lines(*fields: tuple[str, str]) -> np.dtype[np.void]:
    """A record of whole cache lines, the rest reserved."""
    size = np.dtype(list(fields)).itemsize
    rest = -size % CACHE_LINE
    return np.dtype([*fields, *([("_reserved", "u1", (rest,))] if rest else [])])


_NAME = f"S{NAME_BYTES}"

# Written by the creator, before anybody else can attach; immutable afterwards.
ROOT = lines(
    ("version", "i8"),
    ("digest", "i8"),
    ("generation", "i8"),  # names the data file
    ("data_bytes", "i8"),  # of the data file
    ("created_ns", "i8"),  # ns since 1970
    ("creator_pid", "i8"),
    ("magic", "i8"),  # stored last: whoever sees it sees all of it
)
CONFIG = lines(
    ("instrument_count", "i8"),
    ("max_orders", "i8"),
    ("max_sessions", "i8"),
    ("lane_capacity", "i8"),
    ("report_capacity", "i8"),
    ("event_capacity", "i8"),
    ("log_capacity", "i8"),
    ("depth", "i8"),
    ("max_pages", "i8"),
    ("session_orders", "i8"),
    ("session_pages", "i8"),
    ("sweep_budget", "i8"),
)
INSTRUMENT = lines(("symbol", _NAME), ("tick", "S24"), ("lot", "S24"), ("min_ticks", "i8"), ("max_ticks", "i8"))

JOURNAL = lines(
    ("mode", "i8"),  # JournalMode
    ("segment_records", "i8"),
    ("checkpoint_commands", "i8"),
    ("retained_commands", "i8"),
    ("term", "i8"),  # which life of the exchange this memory is
    ("first_sequence", "i8"),  # log number at which the term began: what lies before it is only in files
    ("directory", f"S{JOURNAL_PATH_BYTES}"),
)

# Written by the supervisor.
CONTROL = lines(
    ("stop", "i8"),  # not 0: finish and end
    ("spin_polls", "i8"),  # empty polls before the matcher yields; 0 when there are more processes than cores
    ("verify", "i8"),  # counts requests to check the book
    ("supervisor_pid", "i8"),
)

# Written by the matcher.
MATCHER = lines(
    ("log_tail", "i8"),  # next log number; records below it are the exchange's history
    ("event_tail", "i8"),  # next event number: all below are out
    ("pid", "i8"),
    ("state", "i8"),  # 0 starting, 1 running, 2 stopped
    ("time_ns", "i8"),  # sequenced time of the last batch that is out
    ("heartbeat_ns", "i8"),  # CLOCK_MONOTONIC of the last slice; never a verdict on who lives, but no later batch is stamped earlier
    ("account_count", "i8"),
    ("check_code", "i8"),  # answer to the last `verify`: index into engine.check.CHECKS
    ("state_hash", "i8"),
    ("verified_sequence", "i8"),  # the log number at which that was
    ("verified", "i8"),  # which request that was; stored last
    ("lives", "i8"),  # matchers that this memory has had
    ("first_event", "i8"),  # event number at which the term began
    ("overwritten", "i8"),  # journal off: 1 once the log ring may no longer hold the whole history
    ("hash_sequence", "i8"),  # where the log stood when the keeper's last wish for a hash was granted
    ("hash", "i8"),  # of the state there
    ("hash_request", "i8"),  # which wish that was; stored last
)
COUNTERS = lines(
    ("commands", "i8"),
    ("rejects", "i8"),
    ("trades", "i8"),
    ("reports", "i8"),
    ("open_orders", "i8"),
    ("open_orders_high", "i8"),
    ("pages", "i8"),
    ("pages_high", "i8"),
    ("lane_depth_high", "i8"),  # most commands seen waiting in one lane
    ("batch_high", "i8"),
    ("sweeps", "i8"),
    ("sweep_ns", "i8"),  # time spent in sweeps that found something
    ("idle_ns", "i8"),  # time spent finding nothing, yielding or parked
    ("parks", "i8"),
    ("wakes", "i8"),
)
ACCOUNT = lines(("low", "i8"), ("high", "i8"))  # a name as two words: see domain.names
LANE_HEAD = lines(("head", "i8"), ("depth", "i8"))  # head: next position the matcher will take
REPORT_TAIL = lines(
    ("tail", "i8"),  # next report number
    ("skipped", "i8"),
    ("open_orders", "i8"),
    ("account", "i8"),
    ("logged_on", "i8"),
    ("name_low", "i8"),  # of the session, as the log knows it: see domain.names
    ("name_high", "i8"),
)

# Written by the keeper.
KEEPER = lines(
    ("archived", "i8"),  # next log number to be written to files; ring slots below it are free
    ("durable", "i8"),  # next log number that may not survive a power loss
    ("admission", "i8"),  # Admission that the disk allows
    ("hash_request", "i8"),  # counts wishes for the matcher's state hash
    ("pid", "i8"),
    ("state", "i8"),  # 0 starting, 1 running, 2 stopped, 3 failed
    ("error", "i8"),  # errno of what failed last; 0 = nothing
    ("checkpoint", "i8"),  # log number of the newest checkpoint; 0 = none
    ("diverged", "i8"),  # log number at which the matcher's state was not what its log leads to; 0 = never
)
KEEPER_COUNTERS = lines(
    ("heartbeat_ns", "i8"),  # CLOCK_MONOTONIC; for eyes only
    ("bytes", "i8"),  # written to files
    ("syncs", "i8"),
    ("sync_ns", "i8"),  # time spent in them
    ("sync_ns_high", "i8"),
    ("checkpoints", "i8"),
    ("lives", "i8"),  # keepers that this memory has had
)

# Written by the gateway that holds the lane.
LANE_OWNER = lines(
    ("session", _NAME),
    ("account", _NAME),
    ("pid", "i8"),
    ("started_ns", "i8"),
    ("attached", "i8"),  # how often the lane was attached
)
REPORT_HEAD = lines(
    ("head", "i8"),  # next report number the gateway will take; slots below are free
    ("abandoned", "i8"),  # 1 while nobody will read: then unread reports do not hold back the lane
)

# Hints: written by many, and only ever a reason to look.
ACTIVITY = lines(("bits", "u8"))  # one bit a lane: the matcher looks at lanes whose bit is set
PARKED = lines(("parked", "i8"))  # 1 while its process sleeps on this word

SNAPSHOT_LATEST = lines(
    ("version", "i8"),
    ("book_hash", "i8"),  # hash of every resting order, at the last `verify`
)
SNAPSHOT = lines(
    ("stamp", "i8"),  # 2 v - 1 while version v is written, 2 v when it stands
    ("event_number", "i8"),  # newest event contained
    ("last_price_ticks", "i8"),
    ("last_quantity", "i8"),  # 0 = no trade yet
    ("last_match_id", "i8"),
    ("bid_count", "i8"),  # levels that follow
    ("ask_count", "i8"),
    ("time_ns", "i8"),
)
PRICE_LEVEL = np.dtype([("price_ticks", "i8"), ("quantity", "i8")])

LANES_PER_WORD = 64
MAGIC = 0x5348_4D5F_4558_4348  # "SHM_EXCH"
MATCHER_STARTING, MATCHER_RUNNING, MATCHER_STOPPED = 0, 1, 2
KEEPER_STARTING, KEEPER_RUNNING, KEEPER_STOPPED, KEEPER_FAILED = 0, 1, 2, 3

assert SNAPSHOT.itemsize == CACHE_LINE
assert ROOT.itemsize == CACHE_LINE
assert LANE_OWNER.itemsize + REPORT_HEAD.itemsize <= PAGE
