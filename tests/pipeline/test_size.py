"""The suggested size of a queue."""

from __future__ import annotations

import math
from typing import Any

import pytest

from shm_exchange import pipeline
from shm_exchange.domain.errors import ConfigError


@pytest.mark.parametrize(
    ("arguments", "expected"), [((5, 100), 1000), ((0.1, 7), 2), ((5, 100, 1), 500), ((0.3, 10, 1), 3), ((1, 10.5, 1), 11), ((0.001, 1), 1)]
)
def test_a_burst_fits(arguments: tuple[float, ...], expected: int) -> None:
    assert pipeline.size(*arguments) == expected


@pytest.mark.parametrize("arguments", [(0, 100), (5, 0), (-1, 1), (5, 100, 0.5), (math.inf, 1), (math.nan, 1), ("5", 100), (True, 100)])
def test_what_is_no_burst_is_refused(arguments: Any) -> None:
    with pytest.raises(ConfigError, match="must be a number"):
        pipeline.size(*arguments)
