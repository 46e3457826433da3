"""The matcher's bundle: shared words by writer, and private state of its lanes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

LANE_STATE = np.dtype(
    [
        ("position", "i8"),  # next lane position to take
        ("idle_sweeps", "i8"),  # sweeps in a row that found nothing
        ("hot", "i8"),  # 1 while the lane stands in the list of lanes to look at
        ("applied", "i8"),  # all below this position are applied: those in between wait for the disk, and their reports will need room
    ]
)
PRIVATE = np.dtype(
    [
        ("hot_count", "i8"),
        ("rotation", "i8"),  # where the next sweep starts in the list
        ("clock_offset_ns", "i8"),  # CLOCK_REALTIME - CLOCK_MONOTONIC, taken once a slice
        ("sweep_time_ns", "i8"),  # sequenced time of the batch being swept; 0 = clock not read yet
        ("busy_since_ns", "i8"),  # CLOCK_MONOTONIC; 0 = idle
        ("idle_since_ns", "i8"),
        ("idle_polls", "i8"),
        ("now_ns", "i8"),  # CLOCK_MONOTONIC of the last sweep that found something, or of the last batch that became durable
        ("applied", "i8"),  # log number up to which all is applied and published
        ("archived", "i8"),  # last known of the keeper's word
        ("admission", "i8"),  # Admission that the log says
        ("admission_wanted", "i8"),  # Admission that the keeper says
    ]
)


class MatcherMemory(NamedTuple):
    """Everything beside book, outputs, log and snapshots. Per-session arrays have max_sessions + 1 entries."""

    words: np.ndarray  # MATCHER[1], ours
    counters: np.ndarray  # COUNTERS[1], ours
    accounts: np.ndarray  # ACCOUNT, the shared account table, ours
    lane_heads: np.ndarray  # LANE_HEAD, ours
    report_tails: np.ndarray  # REPORT_TAIL, ours
    control: np.ndarray  # CONTROL[1], the supervisor's
    keeper: np.ndarray  # KEEPER[1], the keeper's
    activity: np.ndarray  # ACTIVITY, hints
    parked: np.ndarray  # PARKED, hints; index 0 is ours
    keeper_parked: np.ndarray  # PARKED[1], hint
    lanes: np.ndarray  # i8, address of each session's lane slots
    lane_state: np.ndarray  # LANE_STATE, private
    hot: np.ndarray  # i8, sessions to look at, private
    private: np.ndarray  # PRIVATE[1]


class Policy(NamedTuple):
    """How the matcher waits, how much it takes at once, and what it waits for before it answers."""

    lane_capacity: int
    budget: int  # commands from one lane in one sweep: the bound (L - 1) x budget x t_match rests on it
    yield_polls: int  # yields before it parks
    slice_ns: int  # time after which control goes back to Python, where signals are handled
    has_journal: bool  # slots of the log ring are free once the keeper has archived them; else once they are applied
    answers_wait: bool  # a command is applied once it is durable; else once it is in the log
