"""What the tests of the memory room share: a directory of their own, a small exchange, and child programs."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from shm_exchange.domain.config import ExchangeConfig
from shm_exchange.domain.instrument import Instrument
from shm_exchange.shm import Segment, create
from tests.shm.children import Child

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def directory() -> Iterator[str]:
    path = tempfile.mkdtemp(prefix=f"shm_test-{os.getpid()}-", dir="/dev/shm")
    yield path
    shutil.rmtree(path)


@pytest.fixture
def name() -> str:
    return f"t{os.getpid()}"


@pytest.fixture
def config(name: str) -> ExchangeConfig:
    return ExchangeConfig(name, (Instrument("ACME"),), max_sessions=4, lane_capacity=64, report_capacity=64, event_capacity=256, log_capacity=256)


@pytest.fixture
def created(config: ExchangeConfig, directory: str) -> Iterator[Segment]:
    with create(config, directory) as segment:
        yield segment


@pytest.fixture
def spawn(name: str, directory: str) -> Iterator[Callable[[str], Child]]:
    """Start a program behind `children.PROLOGUE`; it is killed at the end of the test."""
    with ExitStack() as stack:

        def start(program: str) -> Child:
            child = Child(program, name, directory)
            stack.callback(child.close)
            return child

        yield start
