"""Mistakes that real engines made: each has a table, and an exchange that makes the mistake fails its table."""

from __future__ import annotations

import pytest

from tests.engine.implementations import IMPLEMENTATIONS
from tests.engine.mutants import MUTANTS
from tests.engine.table import check, read_tables
from tests.oracle.flow import MARKET, flow
from tests.oracle.naive_exchange import NaiveExchange

MISTAKES = read_tables("mistakes.txt")


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("mistake", MISTAKES)
def test_it_is_not_made(mistake: str, implementation: str) -> None:
    check(IMPLEMENTATIONS[implementation], MISTAKES[mistake])


@pytest.mark.parametrize("mistake", MISTAKES)
def test_the_table_notices_it(mistake: str) -> None:
    with pytest.raises(AssertionError, match=r"the table \(-\) and what happened|assert"):
        check(MUTANTS[mistake], MISTAKES[mistake])


@pytest.mark.parametrize("mistake", MUTANTS)
def test_the_flow_notices_it(mistake: str) -> None:
    records = flow(0, 3000).tolist()
    expected = NaiveExchange(MARKET.config).apply(records)
    try:
        made = MUTANTS[mistake](MARKET.config).apply(records)
    except (AssertionError, IndexError, KeyError, ValueError):
        return
    assert made != expected


def test_every_mistake_has_its_table() -> None:
    assert list(MISTAKES) == list(MUTANTS)
