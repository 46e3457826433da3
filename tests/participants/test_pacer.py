"""When commands are due: Poisson moments, bursts, and a plan that nothing moves."""

from __future__ import annotations

import numpy as np
import pytest

from shm_exchange._jit import kernel
from shm_exchange.domain.errors import ConfigError
from shm_exchange.participants.arrivals import POISSON, Arrivals, arrivals_of
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


def planned(rate: float, burst: int = 1, seed: int = 1, count: int = 40_000, arrivals: Arrivals = POISSON) -> np.ndarray:
    moments = np.zeros(count, np.int64)
    plan_all(new_pacer(rate, burst, seed, arrivals), moments)
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


HAWKES = Arrivals(alpha=60.0, beta=100.0)


def counts_of(moments: np.ndarray, width_ns: int) -> np.ndarray:
    """Arrivals in each window."""
    return np.bincount(moments // width_ns)[:-1]


def test_hawkes_arrivals_keep_the_mean_rate() -> None:
    """Mu / (1 - alpha / beta) is what was asked for."""
    moments = planned(1000, arrivals=HAWKES, count=200_000)
    assert len(moments) / (moments[-1] / 1e9) == pytest.approx(1000, rel=0.05)


def test_hawkes_arrivals_come_in_clusters() -> None:
    """In windows that are long against 1 / beta the variance is 1 / (1 - alpha / beta)² times that of Poisson, which is the mean."""
    hawkes, poisson = (counts_of(planned(1000, arrivals=arrivals, count=200_000), 500_000_000) for arrivals in (HAWKES, POISSON))
    assert poisson.var() / poisson.mean() == pytest.approx(1, abs=0.25)
    assert hawkes.var() / hawkes.mean() == pytest.approx(6.25, rel=0.35)


def test_hawkes_arrivals_have_a_seed_and_bursts() -> None:
    assert np.array_equal(planned(1000, seed=3, arrivals=HAWKES), planned(1000, seed=3, arrivals=HAWKES))
    assert not np.array_equal(planned(1000, seed=3, arrivals=HAWKES), planned(1000, seed=4, arrivals=HAWKES))
    assert np.unique(planned(1000, burst=50, count=500, arrivals=HAWKES), return_counts=True)[1].tolist() == [50] * 10


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("hawks",), "arrivals 'hawks' are not known; did you mean 'hawkes'"),
        (("poisson", 1.0), "alpha and beta belong to Hawkes"),
        (("hawkes", 3.0, 3.0), "alpha 3 must be below beta 3"),
        (("hawkes", -1.0), "alpha and beta are above 0"),
    ],
)
def test_arrivals_that_cannot_be(given: tuple, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        arrivals_of(*given)
