"""Reports and events that nobody has kept, derived from the log: outputs are functions of it alone, so a replay says them again, byte for byte.

The replay begins at the newest checkpoint at which the first one wanted was not yet said. Any process that may read the journal can do it, and
nobody else notices.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from shm_exchange.domain.errors import JournalError
from shm_exchange.engine.outputs import silent_outputs
from shm_exchange.journal.reading import Journal
from shm_exchange.journal.replaying import CHUNK, Replay
from shm_exchange.layout.records import EVENT, REPORT

Records = np.ndarray[tuple[int], np.dtype[np.void]]


def reports_of(directory: Path | str, end: int, session: int, first: int, last: int) -> Records:
    """REPORT records `first` to `last` of a session. `end`: log number up to which the files may be read (the keeper's archived word).

    Raises JournalError where the log up to `end` says not so many, or begins too late; JournalDamaged.
    """
    journal = Journal(directory, end=end)
    _check_span("reports", first, last, end)
    if not 1 <= session <= journal.config.max_sessions:
        raise JournalError(f"exchange {journal.config.name!r} has sessions 1 to {journal.config.max_sessions}, and not {session}")
    replay = Replay(journal, suits=lambda image: bool(image.sessions["next_report"][session - 1] <= first))
    outputs = silent_outputs(journal.config)
    outputs = outputs._replace(reports=_ring(last - first + 1, REPORT))
    own, record = outputs.sessions[session], replay.book.sessions[session]
    # The engine writes no report at or behind the limit, so that a ring of the wanted length is enough, whatever a command causes.
    own.limit, own.capacity, own.first_slot = last + 1, len(outputs.reports), 0
    replay.outputs = outputs
    while record.next_report <= last and replay.sequence < end:
        replay.advance(end, CHUNK)
    return _taken("reports", outputs.reports, first, last, int(record.next_report), end)


def events_of(directory: Path | str, end: int, first: int, last: int) -> Records:
    """EVENT records `first` to `last`. `end` and errors as for `reports_of`."""
    journal = Journal(directory, end=end)
    _check_span("events", first, last, end)
    replay = Replay(journal, suits=lambda image: bool(image.state["next_event"][0] <= first))
    state = replay.book.state[0]
    while state.next_event + _most_events(CHUNK, int(state.open_orders)) <= first and replay.sequence < end:
        replay.advance(end, CHUNK)
    # Behind the last event wanted those of one slice of the log can follow, and there is room for them.
    events = _ring(last - first + 1 + _most_events(CHUNK, journal.config.max_orders), EVENT)
    replay.outputs = silent_outputs(journal.config)._replace(events=events)
    while state.next_event <= last and replay.sequence < end:
        replay.advance(end, CHUNK)
    return _taken("events", events, first, last, int(state.next_event), end)


def _most_events(commands: int, open_orders: int) -> int:
    """What so many commands can cause at most: two for each order that they take out of the book, and four more for each of them."""
    return 2 * (open_orders + commands) + 4 * commands


def _ring(wanted: int, dtype: np.dtype[np.void]) -> np.recarray:
    return np.zeros(1 << (wanted - 1).bit_length(), dtype).view(np.recarray)


def _check_span(what: str, first: int, last: int, end: int) -> None:
    if not 1 <= first <= last:
        raise JournalError(f"{what} are numbered from 1, and {first} to {last} are none")
    if last > 2 * _most_events(end, 0):  # an event has two reports at most; asked before memory is taken for them
        raise JournalError(f"the log up to number {end} does not say so many {what} as {first} to {last}")


def _taken(what: str, ring: np.ndarray, first: int, last: int, behind: int, end: int) -> Records:
    """The records as their publisher would have numbered them. `behind`: the number that is said next."""
    if last >= behind:
        raise JournalError(f"the log up to number {end} says {what} 1 to {behind - 1}, and not {first} to {last}")
    numbers = np.arange(first, last + 1)
    taken: Records = ring.view(np.ndarray)[numbers & (len(ring) - 1)]
    taken["number"] = numbers
    return taken
