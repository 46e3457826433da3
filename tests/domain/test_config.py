"""An exchange's sizes: derived where not given, refused where they cannot work."""

from __future__ import annotations

import pickle
from dataclasses import FrozenInstanceError, replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shm_exchange.domain.config import ExchangeConfig
from shm_exchange.domain.errors import ConfigError
from shm_exchange.domain.instrument import Instrument
from shm_exchange.domain.limits import DEPTH_MAX, INSTRUMENTS_MAX, OPEN_ORDERS_MAX, SESSIONS_MAX

ACME = (Instrument("ACME"),)
CAPACITIES = ("lane_capacity", "report_capacity", "event_capacity", "log_capacity")


def _config(**sizes: object) -> ExchangeConfig:
    return ExchangeConfig("demo", ACME, **sizes)  # type: ignore[arg-type]


RANGES = [
    ("max_orders", 1, OPEN_ORDERS_MAX),
    ("max_sessions", 1, SESSIONS_MAX),
    ("depth", 1, DEPTH_MAX),
    ("max_pages", 1, OPEN_ORDERS_MAX),
    ("session_orders", 1, 65_536),
    ("sweep_budget", 1, 4096),
    *((name, 64, 1 << 26) for name in CAPACITIES),
]


@pytest.mark.parametrize(("name", "low", "high"), RANGES, ids=[name for name, *_ in RANGES])
def test_the_ends_of_each_range(name: str, low: int, high: int) -> None:
    assert getattr(_config(**{name: high}), name) == high
    assert getattr(_config(**({"sweep_budget": 32} | {name: low})), name) == low


@pytest.mark.parametrize("value", [-1, 1.5, "8", True, None, 1 << 30, 0])
@pytest.mark.parametrize("name", [name for name, *_ in RANGES])
def test_beyond_each_range(name: str, value: object) -> None:
    """0 for a quota means: derive it."""
    if value == 0 and name in ("max_pages", "session_orders"):
        assert _config(**{name: value}) == _config()
        return
    with pytest.raises(ConfigError, match=name):
        _config(**{name: value})


@given(st.sampled_from(CAPACITIES), st.integers(64, 1 << 26))
@example("lane_capacity", 64)
@example("log_capacity", 1 << 26)
def test_capacities_are_powers_of_two(name: str, capacity: int) -> None:
    if capacity.bit_count() == 1:
        assert getattr(_config(**{name: capacity}, sweep_budget=1), name) == capacity
        return
    with pytest.raises(ConfigError, match=f"{name} must be a power of two, not {capacity}"):
        _config(**{name: capacity}, sweep_budget=1)


@given(st.integers(1, OPEN_ORDERS_MAX), st.integers(1, SESSIONS_MAX))
def test_quotas_are_shares_of_the_pool(max_orders: int, max_sessions: int) -> None:
    config = _config(max_orders=max_orders, max_sessions=max_sessions)
    assert config.session_orders == max(1, max_orders // max_sessions)
    assert config.session_pages == max(1, config.max_pages // max_sessions)
    assert config.max_pages == max(256, max_orders // 8)
    assert replace(config, name="other").session_orders == config.session_orders


@pytest.mark.parametrize(
    ("sizes", "text"),
    [
        ({"sweep_budget": 65, "lane_capacity": 64}, "from 1 to 64"),
        ({"sweep_budget": 33, "log_capacity": 64}, "from 1 to 32"),
        ({"sweep_budget": 33, "event_capacity": 64}, "from 1 to 32"),
        ({"session_orders": 11, "max_orders": 10}, "to 10, not 11"),
        ({"session_pages": 9, "max_pages": 8}, "to 8, not 9"),
    ],
)
def test_sizes_that_contradict_each_other(sizes: dict[str, int], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        _config(**sizes)


def test_instruments() -> None:
    many = [Instrument(f"S{number}") for number in range(INSTRUMENTS_MAX + 1)]
    assert len(ExchangeConfig("demo", tuple(many[:-1])).instruments) == INSTRUMENTS_MAX
    for instruments in (many, []):
        with pytest.raises(ConfigError, match=f"1 to {INSTRUMENTS_MAX} instruments, not {len(instruments)}"):
            ExchangeConfig("demo", tuple(instruments))
    with pytest.raises(ConfigError, match="'ACME' stands twice"):
        ExchangeConfig("demo", ACME * 2)


def test_a_config_cannot_change_and_travels() -> None:
    config = ExchangeConfig("demo", list(ACME))  # type: ignore[arg-type]
    assert config.instruments == ACME
    with pytest.raises(FrozenInstanceError):
        config.depth = 5  # type: ignore[misc]
    assert pickle.loads(pickle.dumps(config)) == config
    assert hash(config) == hash(replace(config))


@pytest.mark.parametrize("name", ["", "a b", "../demo"])
def test_the_name_can_be_part_of_a_file_name(name: str) -> None:
    with pytest.raises(ConfigError, match="exchange name"):
        ExchangeConfig(name, ACME)
