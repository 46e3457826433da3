"""34 edge cases on which 160 engines agree, byte for byte; ours says the same lines, and after every message its book is the oracle's."""

from __future__ import annotations

import pytest

from shm_exchange.domain.enums import Side
from tests.engine.edge_cases import CONFIG, DEEP, LOGON, Referee, edge_cases
from tests.engine.implementations import Exchange, FastExchange
from tests.oracle.naive_exchange import NaiveExchange

CASES = edge_cases()


def levels(exchange: Exchange) -> dict[Side, list[tuple[int, int]]]:
    return {side: exchange.levels(0, side) for side in Side}


@pytest.mark.parametrize("name", CASES)
def test_lines_and_levels(name: str) -> None:
    case = CASES[name]
    oracle, engine = NaiveExchange(CONFIG), FastExchange(CONFIG)
    assert oracle.apply([LOGON]) == engine.apply([LOGON])
    referees = {"oracle": Referee(), "engine": Referee()}
    written: dict[str, list[str]] = {"oracle": [], "engine": []}
    for sequence, command in enumerate(case.commands):
        written["oracle"] += referees["oracle"].lines(sequence, command, oracle.apply([command]))
        written["engine"] += referees["engine"].lines(sequence, command, engine.apply([command]))
        assert levels(engine) == levels(oracle)
    assert written["oracle"] == case.expected
    assert written["engine"] == case.expected


def test_all_of_the_referees_cases_are_here() -> None:
    assert len(CASES) == 34
    assert len(CASES["deep_recursive_sweep_5000"].commands) == DEEP + 1
