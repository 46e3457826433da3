"""When commands are due: Poisson moments, bursts, and a plan that nothing moves."""

from __future__ import annotations

import numpy as np
import pytest

from shm_exchange._jit import kernel
from shm_exchange.participants.pacer import advance, new_pacer, overdue


@kernel
def plan_all(pacer, moments):
    """The moments of the next commands."""
    for index in range(len(moments)):
        moments[index] = pacer[0].next_ns
        advance(pacer[0])


@kernel
def count_overdue(pacer, end_ns):
    """How many are still planned."""
    return overdue(pacer[0], end_ns)


def planned(rate: float, burst: int = 1, seed: int = 1, count: int = 40_000) -> np.ndarray:
    moments = np.zeros(count, np.int64)
    plan_all(new_pacer(rate, burst, seed), moments)
    return moments


@pytest.mark.parametrize(("rate", "burst"), [(1000, 1), (2_000_000, 1), (1000, 50)])
def test_the_rate_is_kept_on_average(rate: float, burst: int) -> None:
    moments = planned(rate, burst)
    assert len(moments) / (moments[-1] / 1e9) == pytest.approx(rate, rel=0.05 if burst == 1 else 0.1)


def test_gaps_are_those_of_a_poisson_process() -> None:
    """Memoryless: mean and deviation are the same, and e^-1 of the gaps are longer than the mean."""
    gaps = np.diff(planned(1000))
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.03)
    assert (gaps > gaps.mean()).mean() == pytest.approx(np.exp(-1), rel=0.03)
    assert np.corrcoef(gaps[1:], gaps[:-1])[0, 1] == pytest.approx(0, abs=0.03)


def test_the_commands_of_a_burst_come_together() -> None:
    moments = planned(1000, burst=50, count=500)
    assert np.unique(moments, return_counts=True)[1].tolist() == [50] * 10


def test_the_same_seed_makes_the_same_plan() -> None:
    assert np.array_equal(planned(1000, seed=3), planned(1000, seed=3))
    assert not np.array_equal(planned(1000, seed=3), planned(1000, seed=4))


def test_what_is_overdue_is_counted_from_the_plan() -> None:
    pacer = new_pacer(1000, 1, 1)
    assert count_overdue(pacer, 10**10) == pytest.approx(10_000, rel=0.01)
    assert count_overdue(pacer, 0) == 0
    assert count_overdue(new_pacer(0, 1, 1), 10**10) == 0
    bursts = new_pacer(1000, 100, 1)
    plan_all(bursts, np.zeros(40, np.int64))
    assert count_overdue(bursts, 1) == 60
