"""Events of several shards merged by sequenced time: whatever is out when somebody looks, the order is the one that all will have in the end."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from shm_exchange.client.plain import Records
from shm_exchange.client.sharded_feed import ShardedFeed
from shm_exchange.client.shards import Catalogue
from shm_exchange.domain.config import ExchangeConfig
from shm_exchange.domain.errors import EventsLost
from shm_exchange.domain.instrument import Instrument
from shm_exchange.domain.limits import SHARD_BITS_FROM
from shm_exchange.layout.records import EVENT

SHARDS = 3


class Shard:
    """Stands for one matcher's event ring: a history of which a growing part is out."""

    def __init__(self, rng: Random, shard: int) -> None:
        self.rng, self.out, self.taken = rng, 0, 0
        times = sorted(rng.randrange(1, 60) for _ in range(rng.randrange(40)))
        self.history = np.zeros(len(times), EVENT)
        self.history["number"], self.history["time_ns"], self.history["order_id"] = np.arange(1, len(times) + 1), times, 5
        self.shard = shard
        self.loses_at = -1

    def go_on(self) -> None:
        self.out = min(len(self.history), self.out + self.rng.choice((0, 0, 1, 5)))

    def until(self) -> int:
        """What is still to come is no earlier; sometimes that is not known so well."""
        rest = self.history["time_ns"][self.out :]
        return max(0, int(rest[0]) if len(rest) else 1000) - self.rng.choice((0, 0, 1, 30))

    @property
    def tail(self) -> int:
        return self.out + 1

    @property
    def next_event(self) -> int:
        return self.taken + 1

    def poll_array(self, limit: int) -> Records:
        if self.taken == self.loses_at < self.out:
            self.loses_at, self.taken = -1, self.taken + 1
            raise EventsLost(self.taken, self.taken)
        count = min(limit, self.out - self.taken, self.rng.choice((0, 1, 2, 100)))
        if 0 <= self.loses_at < self.taken + count:
            count = self.loses_at - self.taken
        self.taken += count
        return self.history[self.taken - count : self.taken]


def _feed(shards: list[Shard], batch: int, monkeypatch: pytest.MonkeyPatch) -> ShardedFeed:
    monkeypatch.setattr("shm_exchange.client.sharded_feed._BATCH", batch)
    feed = ShardedFeed.__new__(ShardedFeed)
    nothing = np.zeros(0, EVENT)
    feed.__dict__.update(
        shards=shards,
        _settled=shards,
        _catalogue=Catalogue([ExchangeConfig(f"x{shard}", (Instrument(f"I{shard}"),)) for shard in range(SHARDS)]),
        _is_merged=True,
        _turn=0,
        _waiting=[nothing] * SHARDS,
        _bounds=[0] * SHARDS,
        _ready=nothing,
        _held=None,
    )
    return feed


def _key(event: np.void) -> tuple[int, int, int]:
    return int(event["time_ns"]), int(event["order_id"]) >> SHARD_BITS_FROM, int(event["number"])


@pytest.mark.parametrize("seed", range(12))
def test_the_order_is_that_of_the_end_whenever_one_looks(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = Random(seed)
    shards = [Shard(rng, shard) for shard in range(SHARDS)]
    feed = _feed(shards, rng.choice((1, 3, 1000)), monkeypatch)
    if seed % 3 == 0 and len(shards[1].history) > 5:
        shards[1].loses_at = 4
    expected = sorted((int(row["time_ns"]), shard.shard, int(row["number"])) for shard in shards for row in shard.history)
    merged, lost = [], []
    for _ in range(500):
        rng.choice(shards).go_on()
        try:
            merged += [_key(event) for event in feed.poll_array(rng.choice((1, 4, None)))]
        except EventsLost as error:
            lost.append((error.shard, error.first))
    gone = {(shard, number) for shard, number in lost}
    assert merged == [key for key in expected if key[1:] not in gone]
    assert len(lost) == (seed % 3 == 0 and len(shards[1].history) > 5)
