"""The events of all shards through one reader: `EventFeed.attach` returns it where the name is that of an exchange in shards.

Every shard counts its own events: (shard, number) names one. Without `merged` they come as they are there, each shard's in its order, the shards in
turn. With `merged` they come in the order (sequenced time, shard, number), which is the same for every reader, whenever it looks:

    an event of shard A at time t is given out when every other shard B has said everything up to t: B's next event, which is here, is later (or as
    late, and B > A); or B is quiet, and the moment it has settled (`client.settled`) lies behind t.

A shard with nothing to do settles ten times a second at least, so merging costs up to a tenth of a second where one of them is idle. One whose
matcher is stopped holds up the merged feed, for it may still have something to say (and a reader that is held up can be lapped by the others: then
EventsLost says so); one that is lost for good does not. The only assumption is that
nobody sets the system's clock forward within that tenth of a second.

Rejected: giving out after a fixed delay. It would be wrong for a matcher that was stopped for longer, and right only by luck.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

import numpy as np

from shm_exchange.client.feed import Event, EventFeed
from shm_exchange.client.plain import Records, rows
from shm_exchange.client.settled import END_OF_TIME, Settled
from shm_exchange.client.shards import Catalogue, ShardSleeper, attach_all
from shm_exchange.domain.config import Term
from shm_exchange.domain.errors import ConfigError, EventsLost
from shm_exchange.domain.limits import SHARD_BITS_FROM
from shm_exchange.domain.names import whole_name
from shm_exchange.layout.records import EVENT

_NOTHING: Records = np.zeros(0, EVENT)
_BATCH = 8192
"""Events of one shard that wait for those of others, before no more are taken from its ring."""
_STEP_NS = 1_000_000
"""By which a shard must have settled further to be worth another look."""


class ShardedFeed(EventFeed):
    """A reader of all shards."""

    def __init__(self, names: Sequence[str], *, from_start: bool, complete: bool, dead_ok: bool, merged: bool) -> None:
        """See `EventFeed.attach`."""
        self.name = whole_name(names[0])
        with ExitStack() as undo:
            segments = attach_all(names, dead_ok=dead_ok)
            for segment in segments:
                undo.callback(segment.close)
            self.shards = [EventFeed(segment, from_start=from_start, complete=complete) for segment in segments]
            """The feed of each shard, with that shard's own ids and instruments. Whoever polls one takes its events away from this feed."""
            undo.pop_all()
        self._catalogue = Catalogue([segment.config for segment in segments])
        self._instruments = tuple(self._catalogue.instruments)
        self._settled = [Settled(segment) for segment in segments]
        self._is_merged, self._turn = merged, 0
        self._waiting = [_NOTHING for _ in names]
        self._bounds = [0 for _ in names]
        self._ready = _NOTHING
        self._held: EventsLost | None = None
        glance = self._has_news if not merged else self._may_have_news
        self._sleeper = ShardSleeper(segments, self._is_there, glance)

    def poll_array(self, limit: int | None = None) -> Records:
        """The next EVENT records, at most `limit`; the order id of each tells its shard. Raises EventsLost, whose `shard` says whose."""
        if not len(self._ready):
            if self._held is not None:
                held, self._held = self._held, None
                raise held
            self._ready = self._merge() if self._is_merged else self._next()
        taken, self._ready = self._ready[:limit], _NOTHING if limit is None else self._ready[limit:]
        return taken

    def poll(self, limit: int | None = None) -> list[Event]:
        """The next events; empty when there is nothing new. Raises EventsLost."""
        return [Event(row, self._instruments) for row in rows(self.poll_array(limit))]

    @property
    def term(self) -> Term:
        """Every shard has its own: raises ConfigError, which says so."""
        raise ConfigError(f"exchange {self.name!r} runs in shards, each with terms of its own: ask feed.shards[k].term")

    @property
    def next_event(self) -> int:
        """As if all shards counted together: one more than all events that were given out or lost."""
        held = len(self._ready) + sum(map(len, self._waiting))
        return 1 + sum(feed.next_event - 1 for feed in self.shards) - held

    @property
    def tail(self) -> int:
        """As if all shards counted together: one more than all events that are out."""
        return 1 + sum(feed.tail - 1 for feed in self.shards)

    def seek(self, number: int, shard: int | None = None) -> None:
        """Go on with event `number` of a shard, which must be said. Raises ConfigError."""
        if shard is None or not 0 <= shard < len(self.shards):
            raise ConfigError(f"every shard counts its own events: say which, seek(number, shard=0 … {len(self.shards) - 1})")
        self.shards[shard].seek(number)
        self._waiting[shard] = _NOTHING
        self._ready = self._ready[self._ready["order_id"] >> SHARD_BITS_FROM != shard]

    def close(self) -> None:
        """Let the memory go."""
        self._sleeper.end()
        for feed in self.shards:
            feed.close()

    def _taken(self, shard: int) -> Records:
        """What a shard has now, at most a batch of it. Raises EventsLost."""
        try:
            return self._catalogue.widen_events(self.shards[shard].poll_array(_BATCH).copy(), shard)
        except EventsLost as lost:
            lost.shard = shard
            lost.add_note(f"these are numbers of shard {shard}")
            raise

    def _next(self) -> Records:
        """What the next shard has that has anything."""
        for _ in self.shards:
            self._turn = (self._turn + 1) % len(self.shards)
            if len(taken := self._taken(self._turn)):
                return taken
        return _NOTHING

    def _merge(self) -> Records:
        """All events that no other can precede any more, in order; those that wait for others stay behind. Raises EventsLost."""
        bounds = self._bounds = [self._refill(shard) for shard in range(len(self.shards))]
        if self._held is not None and not any(map(len, self._waiting)):
            held, self._held = self._held, None
            raise held
        due = []
        for shard, waiting in enumerate(self._waiting):
            limit = min((bound + (other > shard) for other, bound in enumerate(bounds) if other != shard), default=END_OF_TIME)
            count = int(np.searchsorted(waiting["time_ns"], limit))
            due.append(waiting[:count])
            self._waiting[shard] = waiting[count:]
        merged = np.concatenate(due)
        return merged[np.argsort(merged["time_ns"], kind="stable")]  # stable: as late, by shard and number

    def _refill(self, shard: int) -> int:
        """See that what a shard has is here, as far as there is room; returns the time below which nothing of it is to come."""
        feed, waiting = self.shards[shard], self._waiting[shard]
        settled = self._settled[shard].until()
        out = feed.tail  # asked after that: what was to come out before it settled is below
        if self._held is not None or len(waiting) >= _BATCH:
            return max(self._bounds[shard], _last_time(waiting))
        try:
            news = self._taken(shard)
        except EventsLost as lost:
            self._held = lost
            return max(self._bounds[shard], _last_time(waiting))
        self._waiting[shard] = np.concatenate((waiting, news))
        is_all = feed.next_event >= out
        return max(self._bounds[shard], settled if is_all else 0, _last_time(news))

    def _is_there(self) -> bool:
        """Whether a poll would return anything, or raise."""
        if not len(self._ready) and self._held is None and (self._is_merged or self._has_news()):
            try:
                self._ready = self._merge() if self._is_merged else self._next()
            except EventsLost as lost:
                self._held = lost
        return bool(len(self._ready)) or self._held is not None

    def _has_news(self) -> bool:
        return any(feed.next_event != feed.tail and len(waiting) < _BATCH for feed, waiting in zip(self.shards, self._waiting, strict=True))

    def _may_have_news(self) -> bool:
        """Merging: events that wait may be due as soon as another shard has settled."""
        if not any(map(len, self._waiting)):
            return self._has_news()
        return self._has_news() or any(each.until() > bound + _STEP_NS for each, bound in zip(self._settled, self._bounds, strict=True))


def _last_time(events: Records) -> int:
    return int(events["time_ns"][-1]) if len(events) else 0
