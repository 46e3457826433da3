"""One exchange for each file of tests, and gateways that end with the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest

from shm_exchange.client import Gateway
from shm_exchange.supervisor.supervisor import Supervisor
from tests.litmus.exchanges import cancel_all, running

Attach = Callable[..., Gateway]
_sessions = count(1)


@pytest.fixture(scope="module")
def exchange() -> Iterator[Supervisor]:
    with running(max_sessions=120) as supervisor:
        yield supervisor


@pytest.fixture
def attach(exchange: Supervisor) -> Iterator[Attach]:
    """Attach a gateway, of a new session unless one is named; its orders are canceled at the end."""
    gateways: list[Gateway] = []

    def start(session: str | None = None, **options: Any) -> Gateway:
        gateway = Gateway.attach(exchange.name, session=session or f"s{next(_sessions)}", **options)
        gateways.append(gateway)
        return gateway

    yield start
    for gateway in gateways:
        if type(gateway) is Gateway:
            cancel_all(gateway)
            gateway.close()
