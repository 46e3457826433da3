"""Fixtures for those who test their bots: pytest finds them by itself once the package is installed.

    def test_my_bot(exchange, gateway):                 a real exchange of its own, and a session on it
        quote(gateway)
        assert exchange.status()["open_orders"] == 2

    @pytest.mark.exchange(instruments=[Instrument("OIL", tick_size="0.05")], depth=5)
    def test_two(exchange, gateways):
        alice, bob = gateways("alice", "bob")

    exchange    an Exchange, started for the test and stopped after it; one instrument, ACME with ticks of 0.01, unless the mark says otherwise
    gateway     a Gateway on it, its session named after the test
    gateways    the same for sessions of these names; all are closed in the end

Nothing is imported until a test asks for one of them, so a run of tests that does not is as fast as before.
"""

from __future__ import annotations

import os
import re
from contextlib import ExitStack
from itertools import count
from typing import TYPE_CHECKING, Any, Protocol

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shm_exchange import Exchange, Gateway

_MARK = "exchange(instruments=[…], core=…, depth=…, …): how the exchange of the `exchange` fixture is started; arguments of Exchange.start"
_NAME_CHARACTERS = 16
_numbers = count(1)


class Gateways(Protocol):
    """What the fixture `gateways` is."""

    def __call__(self, *sessions: str) -> list[Gateway]:
        """A gateway for each session, in this order."""


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark known, for --strict-markers."""
    config.addinivalue_line("markers", _MARK)


@pytest.fixture
def exchange(request: pytest.FixtureRequest) -> Iterator[Exchange]:
    """A running exchange of this test's own. Its name is nobody else's, also under pytest-xdist."""
    from shm_exchange import Exchange, Instrument

    options: dict[str, Any] = {"instruments": [Instrument("ACME")]}
    for mark in reversed(list(request.node.iter_markers("exchange"))):
        if mark.args:
            raise pytest.UsageError(f"{request.node.nodeid}: the mark `exchange` takes named arguments only, for example instruments=[…], depth=5")
        options |= mark.kwargs
    with Exchange.start(f"pytest-{os.getpid()}-{next(_numbers)}", **options) as started:
        yield started


@pytest.fixture
def gateways(exchange: Exchange) -> Iterator[Gateways]:
    """Call it with names of sessions, for a gateway each."""
    from shm_exchange import Gateway

    with ExitStack() as stack:

        def attach(*sessions: str) -> list[Gateway]:
            return [stack.enter_context(Gateway.attach(exchange.name, session=session)) for session in sessions]

        yield attach


@pytest.fixture
def gateway(request: pytest.FixtureRequest, gateways: Gateways) -> Gateway:
    """A gateway whose session is named after the test, as far as 16 characters go."""
    words = re.sub(r"[^!-~]", "-", request.node.name.removeprefix("test_"))
    return gateways(words[:_NAME_CHARACTERS] or "test")[0]
