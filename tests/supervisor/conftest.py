"""What the tests of the supervisor share: compiled kernels, a name, one exchange for those that do not break it, and callers."""

from __future__ import annotations

import itertools
import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from shm_exchange.domain.instrument import Instrument
from shm_exchange.runtime.warm import ensure_warm
from shm_exchange.supervisor import Exchange
from tests.supervisor.callers import Caller

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_numbers = itertools.count()


@pytest.fixture(scope="session", autouse=True)
def warm(clean_environment: None) -> None:
    ensure_warm()


@pytest.fixture
def name() -> str:
    return f"t{os.getpid()}-{next(_numbers)}"


@pytest.fixture(scope="module")
def exchange(warm: None) -> Iterator[Exchange]:
    with Exchange.start(f"t{os.getpid()}-shared-{next(_numbers)}", [Instrument("ACME")], max_sessions=64) as shared:
        yield shared


@pytest.fixture
def call(name: str) -> Iterator[Callable[..., Caller]]:
    """Start a program behind `callers.PROLOGUE`; it is killed at the end of the test."""
    with ExitStack() as stack:
        yield lambda program, argument="": stack.enter_context(Caller(program, name, argument))


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    """A file whose reading waits for its writer."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    return path
