"""The rule book, clause by clause, as tables that a trader can read: each runs against the oracle and against the engine."""

from __future__ import annotations

import pytest

from tests.engine.implementations import IMPLEMENTATIONS
from tests.engine.table import check, read_tables

TOPICS = ("matching", "self_trade", "changing", "rejects", "sessions")
RULES = {f"{topic}: {title}": text for topic in TOPICS for title, text in read_tables(f"{topic}.txt").items()}


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("rule", RULES)
def test_rule(rule: str, implementation: str) -> None:
    check(IMPLEMENTATIONS[implementation], RULES[rule])
