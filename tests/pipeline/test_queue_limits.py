"""What each queue takes and refuses, and what is special to one of them."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

from shm_exchange.domain.errors import Closed, ConfigError, MissingExtra
from shm_exchange.pipeline import FifoQueue, LocalQueue, RingQueue
from tests.pipeline.queue_cases import RECORD, Item, number


@pytest.mark.parametrize("make", [lambda **o: RingQueue("q", RECORD, **o), lambda **o: FifoQueue("q", **o), lambda **o: LocalQueue("q", **o)])
@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"maxsize": 0}, "maxsize 0 .* 1 to"),
        ({"maxsize": 2.5}, "maxsize 2.5"),
        ({"maxsize": 1, "policy": "blok"}, "no policy 'blok'.*block"),
        ({"maxsize": 1, "policy": "conflate"}, "key="),
        ({"maxsize": 1, "key": "key"}, "only conflate has a key"),
        ({"maxsize": 1, "write_timeout": -1.0}, "write_timeout of -1.0"),
    ],
)
def test_bad_terms_are_named(make: Any, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        make(**options)


def test_a_ring_takes_and_gives_arrays() -> None:
    with RingQueue("q", RECORD, 8, producers=2) as queue:
        producer, consumer = queue.producer(), queue.consumer()
        rows = np.array([(n, n, b"abc") for n in range(6)], RECORD)
        assert producer.put_many(rows[::2]) == 3
        assert producer.put_many([rows[1:2], rows[3], (5, 5, b"abc")]) == 3
        got = consumer.get_array(100)
        assert got.dtype == RECORD
        assert got["number"].tolist() == [0, 2, 4, 1, 3, 5]
        assert queue.maxsize == 16
        assert queue.figures().in_hand == 6


def test_a_slot_that_was_never_filled_misleads_no_successor() -> None:
    """A put that failed has given its key a slot already."""
    with RingQueue("q", RECORD, 3, policy="conflate", key="key") as queue:
        first = queue.producer()
        queue.consumer().close()
        with pytest.raises(Closed):
            first.put(Item(0, 0))
        consumer = queue.consumer()
        first.put(Item(1, 1))
        first.close()
        second = queue.producer()
        second.put(Item(2, 2))
        second.put(Item(1, 3))
        assert [number(item) for item in consumer.get_many(9)] == [3, 2]


def test_a_ring_has_limits() -> None:
    with pytest.raises(ConfigError, match="4096 bytes"):
        RingQueue("q", "S4097", 1)
    with pytest.raises(ConfigError, match="of object"):
        RingQueue("q", "O", 1)
    with pytest.raises(ConfigError, match="no field"):
        RingQueue("q", RECORD, 1, policy="conflate", key="symbol")
    with pytest.raises(ConfigError, match="producers=0"):
        RingQueue("q", RECORD, 1, producers=0)
    with RingQueue("q", "S4096", 1) as queue, queue.producer() as producer, queue.consumer() as consumer:
        producer.put(b"x" * 4096)
        assert consumer.get() == b"x" * 4096
        with pytest.raises(ConfigError, match="1 producers already"):
            queue.producer()
        with pytest.raises(ConfigError, match="has a consumer already"):
            queue.consumer()
    with RingQueue("q", RECORD, 4) as queue, queue.producer() as producer:
        for bad in (np.zeros(1, "f8"), "text", (1, 2, 3, 4)):
            with pytest.raises(ConfigError, match="no record of queue 'q'"):
                producer.put(bad)


def test_a_fifo_has_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="max_bytes=8"):
        FifoQueue("q", 1, max_bytes=8)
    with FifoQueue[bytes]("q", 1000, max_bytes=1000, policy="timeout", write_timeout=0.0) as queue:
        producer, consumer = queue.producer(), queue.consumer()
        with pytest.raises(ConfigError, match="make max_bytes greater"):
            producer.put(bytes(1000))
        assert [producer.put(bytes(400)).accepted for _ in range(3)] == [True, True, False]  # bytes are bounded, too
        assert len(consumer.get_many(9)) == 2
        ends = [queue.producer() for _ in range(62)]
        with pytest.raises(ConfigError, match="64 producers and consumers"):
            queue.producer()
        del ends
    with FifoQueue[Item]("q", 9, max_bytes=300, policy="conflate", key="key") as by_key, by_key.producer() as newest:
        newest.put(Item(1, 1))
        with pytest.raises(ConfigError, match="make max_bytes greater"):
            newest.put_many(Item(key, key) for key in range(2, 9))
        assert by_key.figures().size == by_key.figures().produced > 0
    monkeypatch.setitem(sys.modules, "faster_fifo", None)
    with pytest.raises(MissingExtra, match="pip install faster-fifo"):
        FifoQueue("q", 1)


def test_a_local_queue_has_no_address() -> None:
    with LocalQueue[int]("q", 1) as queue, pytest.raises(ConfigError, match="local to its process"):
        queue.address()
