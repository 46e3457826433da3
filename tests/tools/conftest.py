"""One exchange that trades known orders, for all tests that look into it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from shm_exchange import Gateway, Side
from shm_exchange.shm import reap
from tests.cli.programs import Running
from tests.litmus.waiting import await_that, state_of
from tests.tools.known import WAITING, matcher_pid, submit_known


@contextmanager
def _trading(name: str) -> Iterator[Running]:
    """`shm-exchange run`, after known orders of two sessions."""
    with Running(
        "run", name, "--instrument", "ACME:0.01:1", "--instrument", "FINE:0.005:0.1", "--max-sessions", "4", "--journal", "off", "--json"
    ) as program:
        program.answer()
        yield program
    reap(name)


@pytest.fixture(scope="package")
def live() -> Iterator[str]:
    """The name of an exchange that runs, and holds what `known` says."""
    name = f"look-{os.getpid()}"
    with _trading(name), Gateway.attach(name, session="alice") as alice, Gateway.attach(name, session="bob", account="fund") as bob:
        submit_known(alice, bob)
        yield name


@pytest.fixture(scope="package")
def dead() -> Iterator[str]:
    """The same after kill -9 of supervisor and matcher, with commands that were submitted and never taken."""
    name = f"dead-{os.getpid()}"
    with _trading(name) as program, Gateway.attach(name, session="alice") as alice, Gateway.attach(name, session="bob", account="fund") as bob:
        submit_known(alice, bob)
        matcher = matcher_pid(name)
        os.kill(matcher, signal.SIGSTOP)
        await_that(lambda: state_of(matcher) == "T", "the matcher stops")
        for _ in range(WAITING):
            alice.limit("ACME", Side.BUY, "1.00", 1)
        program.signal(signal.SIGKILL)
        program.end()
        os.kill(matcher, signal.SIGKILL)
        await_that(lambda: state_of(matcher) in ("", "Z"), "the matcher ends")
        yield name
