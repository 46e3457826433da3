"""More processes than cores: everybody gets on, nobody is left out, and all agree in the end."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.litmus import programs
from tests.litmus.children import Child
from tests.litmus.exchanges import check_replicas, running

Spawn = Callable[..., Child]

GATEWAYS = 8


@pytest.mark.parametrize("count", [2000, pytest.param(200_000, marks=pytest.mark.long)])
def test_eight_gateways_a_matcher_and_a_reader(spawn: Spawn, count: int) -> None:
    with running(max_sessions=GATEWAYS, report_capacity=1 << 14, event_capacity=1 << 16) as supervisor:
        supervisor.control.set_processes(GATEWAYS + 2)
        reader = spawn(programs.read_views, supervisor.name, "ACME")
        traders = [spawn(programs.trade, supervisor.name, f"s{number}", count) for number in range(GATEWAYS)]
        for child in (reader, *traders):
            assert child.hear() == "ready"
        for trader in traders:
            trader.tell("go")
        outcomes = [trader.hear() for trader in traders]
        reader.tell("stop")
        assert reader.hear() > 0
        assert {(outcome.submitted, outcome.answered) for outcome in outcomes} == {(count, count)}
        counters = supervisor.segment.array("counters")[0]
        assert 0 < sum(outcome.trades for outcome in outcomes) <= 2 * counters.trades
        assert counters.commands >= GATEWAYS * count
        assert [child.end() for child in (reader, *traders)] == [0] * (GATEWAYS + 1)
        if count < 10_000:
            check_replicas(supervisor)
