"""Whether B differs from A, from paired runs on a noisy machine: the statistics of `bench compare`, pure and seeded.

A round is one run of each build, one right after the other; who goes first alternates (ABBA…). What counts is the round's own ratio: weather that
lasts longer than a round cancels in it. Going second may cost or help, and the machine may drift: so rounds that A began and rounds that B began are
two samples of their own, and the verdict is the mean of the two, in which both cancel. Of each we take the logarithms of the ratios, without the
outer fifths where there are enough rounds, so that one which the host disturbed does not decide. The interval is a studentised bootstrap:
with so few rounds it keeps its promise where plain bootstrap percentiles would not (tests/bench/test_compare.py tries it on several kinds of noise).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from shm_exchange.domain.errors import ConfigError

ROUNDS_MIN = 8
"""With fewer rounds an interval of this confidence is too wide to be of use."""
CONFIDENCE = 0.99
"""One false alarm in a hundred comparisons of equal builds."""
_TRIM = 0.2
_TRIM_FROM = 8
"""Ratios of one kind below which none is left out: what remains would often be all alike in a resample."""
RESAMPLES = 9999
_ERROR_FLOOR = 0.3
"""Of the standard error: a resample that drew the same few rounds again and again knows nothing better, and would push the interval to infinity."""
_SEED = 2016
_POWER_Z = 0.8416
"""A difference so large is found in four of five comparisons (80 % of a normal distribution lie below)."""


class Verdict(NamedTuple):
    """Ratios are times: 1.1 says that B takes 1.1 times as long as A."""

    ratio: float
    low: float
    high: float
    smallest: float  # the ratio that this comparison would have found four times in five
    rounds: int
    confidence: float

    @property
    def differs(self) -> bool:
        """Whether the interval leaves out 1."""
        return not self.low <= 1.0 <= self.high

    @property
    def slower_percent(self) -> float:
        """How much longer B takes; negative when it is faster."""
        return (self.ratio - 1) * 100

    @property
    def smallest_percent(self) -> float:
        """The difference that would have been found four times in five."""
        return (self.smallest - 1) * 100

    def sentence(self) -> str:
        """The verdict in words. Slower by x %: the time is x % longer. Faster by x %: A's time is x % longer."""
        if not self.differs:
            return f"no difference: B / A is {self.ratio:.3f} ({self.low:.3f}–{self.high:.3f}); {self.smallest_percent:.1f} % would have been found"
        if self.ratio > 1:
            word, middle, low, high = "slower", self.ratio, self.low, self.high
        else:
            word, middle, low, high = "faster", 1 / self.ratio, 1 / self.high, 1 / self.low
        return f"B is {(middle - 1) * 100:.1f} % {word} ({(low - 1) * 100:.1f}–{(high - 1) * 100:.1f} %)"


def check_rounds(rounds: int) -> None:
    """Raise ConfigError for a number of rounds that gives no verdict."""
    if rounds < ROUNDS_MIN:
        raise ConfigError(f"{rounds} rounds decide nothing: an interval of this confidence needs {ROUNDS_MIN}; give --rounds {ROUNDS_MIN} or more")
    if rounds % 2:
        raise ConfigError(f"{rounds} rounds let one build begin more often than the other: give an even number, e.g. --rounds {rounds + 1}")


def judge(
    times_a: Sequence[float], times_b: Sequence[float], *, confidence: float = CONFIDENCE, resamples: int = RESAMPLES, seed: int = _SEED
) -> Verdict:
    """The verdict on rounds in the order in which they ran; in the first, third, … A went first, in the others B.

    times_a, times_b: one figure a round, the smaller the better; a rate is given as its inverse. Raises ConfigError on too few rounds or no number.
    """
    a, b = np.asarray(times_a, float), np.asarray(times_b, float)
    check_rounds(min(len(a), len(b)))
    if not (np.all(np.isfinite(a)) and np.all(np.isfinite(b)) and a.min() > 0 and b.min() > 0):
        raise ConfigError("a run gave no positive figure: nothing to compare; choose another --figure")
    ratios = np.log(b / a)
    random = np.random.default_rng(seed)
    middle, error = _mean_of_both(ratios[np.newaxis, 0::2], ratios[np.newaxis, 1::2])
    middles, errors = _mean_of_both(*(random.choice(kind, (resamples, len(kind))) for kind in (ratios[0::2], ratios[1::2])))
    distances = np.abs(middles - middle)
    bounded = np.maximum(errors, _ERROR_FLOOR * error)
    studentised = np.divide(distances, bounded, out=np.zeros_like(distances), where=distances > 0)
    critical = float(np.quantile(studentised, confidence, method="higher"))
    half = critical * float(error[0])
    found, smallest = float(middle[0]), half + _POWER_Z * float(error[0])
    ratio, low, high, least = np.exp([found, found - half, found + half, smallest]).tolist()
    return Verdict(ratio, low, high, least, len(a), confidence)


def _mean_of_both(a_began: np.ndarray, b_began: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(mean of the two kinds of rounds, its standard error), row by row."""
    (first, first_error), (second, second_error) = _trimmed(a_began), _trimmed(b_began)
    return (first + second) / 2, np.hypot(first_error, second_error) / 2


def _trimmed(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(mean without the outer fifths, its standard error from the winsorised variance), row by row (Yuen)."""
    count = samples.shape[1]
    cut = int(_TRIM * count) if count >= _TRIM_FROM else 0
    kept = count - 2 * cut
    ordered = np.sort(samples, axis=1)
    clipped = np.clip(ordered, ordered[:, cut : cut + 1], ordered[:, count - cut - 1 : count - cut])
    variance = clipped.var(axis=1, ddof=1)
    return ordered[:, cut : count - cut].mean(axis=1), np.sqrt(variance * (count - 1) / (kept * (kept - 1)))
