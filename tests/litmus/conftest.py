"""What the tests with real processes share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.litmus.children import Child, Program

Spawn = Callable[..., Child]


@pytest.fixture
def spawn() -> Iterator[Spawn]:
    """Start a child; whatever it does, it ends with the test."""
    with ExitStack() as stack:

        def start(program: Program, *arguments: Any) -> Child:
            child = Child(program, *arguments)
            stack.callback(child.close)
            return child

        yield start
