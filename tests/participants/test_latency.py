"""Delays and jitters: what they are on average, that lines keep their order, and what cannot be meant."""

from __future__ import annotations

from random import Random

import pytest

from shm_exchange.domain.errors import ConfigError
from shm_exchange.participants.latency import Line, duration_ns, latency_of


@pytest.mark.parametrize(("given", "expected"), [("250us", 250_000), ("1.5 ms", 1_500_000), ("2s", 2 * 10**9), ("7ns", 7), (0, 0), ("3µs", 3000)])
def test_durations_are_read(given: object, expected: int) -> None:
    assert duration_ns(given) == expected


@pytest.mark.parametrize(
    ("jitter", "mean", "least"),
    [
        ("uniform 100us", 50_000, 0),
        ("exponential 80us", 80_000, 0),
        ("20us", 20_000, 0),
        ("lognormal 50us 0.5", 56_657, 0),
        ("constant 10us", 10_000, 10_000),
    ],
)
def test_jitters_have_their_mean(jitter: str, mean: int, least: int) -> None:
    latency, random = latency_of("1ms", jitter), Random(1)
    drawn = [latency.draw(random) - 1_000_000 for _ in range(20_000)]
    assert sum(drawn) / len(drawn) == pytest.approx(mean, rel=0.03)
    assert min(drawn) >= least
    assert (len(set(drawn)) == 1) == jitter.startswith("constant")


def test_a_line_keeps_its_order_and_its_seed() -> None:
    lines = [Line[int](latency_of("10us", "exponential 1ms"), Random(4)) for _ in range(2)]
    arrived: list[list[tuple[int, int]]] = [[], []]
    for line, taken in zip(lines, arrived, strict=True):
        for number in range(200):
            line.send(number * 1000, number)
        assert line.take(10_000 - 1) is None
        while (next_one := line.take(10**12)) is not None:
            taken.append(next_one)
    assert arrived[0] == arrived[1]
    assert [number for _, number in arrived[0]] == list(range(200))
    assert [moment for moment, _ in arrived[0]] == sorted(moment for moment, _ in arrived[0])
    assert all(moment >= number * 1000 + 10_000 for moment, number in arrived[0])


@pytest.mark.parametrize(
    ("delay", "jitter", "said"),
    [
        ("10", 0, "'10' is no duration; write a number with its unit, such as \"250us\""),
        (True, 0, "True is no duration"),
        ("10us", "unifrm 3us", "jitter 'unifrm 3us' is not known; did you mean 'uniform'?"),
        ("10us", "uniform", "jitter 'uniform' is not understood"),
        ("10us", "lognormal 3us wide", "jitter 'lognormal 3us wide' is not understood"),
        ("10us", "lognormal 3us 9", "the spread of a lognormal jitter is from 0 to 5, not 9"),
    ],
)
def test_what_cannot_be_meant(delay: object, jitter: object, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        latency_of(delay, jitter)
    assert str(caught.value).startswith(said)
