"""The flow against its definition, written down once more: scalar draws in order, with the clock and the sort."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bench import flow
from bench.canonical import OURS, PUBLISHED, PUBLISHED_COUNT, PUBLISHED_SEED, canonical_digest
from bench.flow import SCENARIOS, generate
from shm_exchange.domain.errors import ConfigError
from shm_exchange.protocol.referee import MESSAGE
from tests.bench import naive

SEED = 23
PUBLISHED_MESSAGES = 1_996_097


class Draws:
    def __init__(self, seed):
        self.uniform = np.random.RandomState(seed).random_sample

    def integer(self, low, high):
        return low + int(self.uniform() * (high - low + 1))

    def normal(self):
        u1 = max(self.uniform(), 1e-300)
        return math.sqrt(-2 * math.log(u1)) * math.cos(2 * math.pi * self.uniform())

    def exponential(self, rate):
        return -math.log(max(self.uniform(), 1e-300)) / rate


def half_away(value):
    return math.floor(value) + (value - math.floor(value) >= 0.5)


def order_of(draws, profile, mid, buy):
    mid_ticks = half_away(half_away(mid / 0.005) * 0.005 / 0.005)
    target = draws.uniform() * profile[-1]
    level = next((k for k, weight in enumerate(profile) if weight >= target), 799)
    price = max(1, mid_ticks - (level + 1) if buy else mid_ticks + level + 1)
    return level, buy, price, draws.integer(1, 100)


def day(scenario, seed, count):
    volatility, swing = SCENARIOS[scenario]
    dt = math.pow(swing / volatility, 2) / count if volatility else 0.0
    step = volatility * math.sqrt(dt)
    profile, mid, draws = (
        np.cumsum([1 / math.pow(k + 1, 2.23) + 5 * math.exp(-0.5 * (k - 8) * (k - 8)) for k in range(800)]).tolist(),
        167.52,
        Draws(seed),
    )
    orders = []
    for i in range(count):
        mid *= math.exp(-0.5 * step * step + step * draws.normal())
        orders.append(order_of(draws, profile, mid, i < count // 2))
    arrivals = list(range(count))
    for i in range(count - 1, 0, -1):
        j = draws.integer(0, i)
        arrivals[i], arrivals[j] = arrivals[j], arrivals[i]
    emitted: list[tuple] = []
    now = 0
    for index in arrivals:
        now = live(draws, emitted, now, index + 1, *orders[index]) + 1
    emitted.sort(key=lambda message: message[0])
    return np.array(
        [(kind, not buy, ioc, 0, quantity, i, key, price, 0) for i, (_, kind, buy, ioc, quantity, key, price) in enumerate(emitted)], MESSAGE
    )


def live(draws, emitted, now, key, level, buy, price, quantity):
    uniform = draws.uniform
    ioc = uniform() < 0.15
    emitted.append((now, 0, buy, ioc, quantity, key, price))
    if ioc:
        return now
    if modified := uniform() < 0.20:
        now += 30 + int(uniform() * 70)
        if uniform() < 0.80:
            price += 1 if buy else -1
        emitted.append((now, 2, buy, 0, quantity + 1, key, price))
    if canceled := uniform() < 0.95:
        now += int(draws.exponential(math.log(2) / (0.431 * 1000) / math.sqrt(1 + level)))
        emitted.append((now, 1, buy, 0, 0, key, 0))
        if uniform() < 0.02:
            now += 1 + int(uniform() * 20)
            emitted.append((now, 1, buy, 0, 0, key, 0))
    if modified and canceled and uniform() < 0.02:
        now += 1 + int(uniform() * 20)
        emitted.append((now, 2, buy, 0, quantity + 1, key, price))
    return now


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("count", [1, 2, 501])
def test_the_flow_is_its_definition(scenario, count):
    np.testing.assert_array_equal(generate(scenario, SEED, count), day(scenario, SEED, count))


def test_stale_repeats_occur_in_the_compared_flows():
    messages = day("normal", SEED, 501)
    repeats = [len(keys) - len(np.unique(keys)) for kind in (1, 2) for keys in [messages["order_id"][messages["kind"] == kind]]]
    assert min(repeats) > 0


def test_blocks_leave_no_trace(monkeypatch):
    whole = generate("swing-40", 7, 100)
    monkeypatch.setattr(flow, "_BLOCK", 9)
    np.testing.assert_array_equal(generate("swing-40", 7, 100), whole)


def test_progress_grows_to_one(monkeypatch):
    monkeypatch.setattr(flow, "_BLOCK", 20)
    shares: list[float] = []
    generate("static", 1, 100, shares.append)
    assert shares == sorted(shares)
    assert len(shares) == 15
    assert shares[-1] == 1.0


@pytest.mark.parametrize(
    ("scenario", "seed", "count"), [("calm", 1, 10), ("static", -1, 10), ("static", 1 << 32, 10), ("static", 1, 0), ("static", 1, 1 << 40)]
)
def test_impossible_flows_are_refused(scenario, seed, count):
    with pytest.raises(ConfigError):
        generate(scenario, seed, count)


@pytest.mark.long
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_published_flow_has_the_published_digest(scenario):
    messages = generate(scenario, PUBLISHED_SEED, PUBLISHED_COUNT)
    assert len(messages) == PUBLISHED_MESSAGES
    exchange = naive.run(messages)
    digest, trades = canonical_digest(messages, exchange.reports(), session=1, first_position=2)
    assert digest == (PUBLISHED | OURS)[scenario]
    assert trades == exchange.matches
