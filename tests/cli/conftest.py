"""What the tests of the command line share: a name of their own, and one exchange that runs in the foreground."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.cli.programs import Running, call, files_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    return f"c{os.getpid()}-{abs(hash(request.node.nodeid)) % 10_000}"


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where `run` keeps its journals; they are large, so they go with the test."""
    state = tmp_path / "state"
    monkeypatch.setenv("XDG_STATE_HOME", str(state))
    yield state
    shutil.rmtree(state, ignore_errors=True)


@pytest.fixture
def running(name: str, own_state: Path) -> Iterator[Running]:
    """`shm-exchange run NAME` that has said it runs."""
    with Running("run", name, "--instrument", "ACME:0.01:1", "--max-sessions", "4", "--json") as program:
        assert program.answer()["name"] == name
        yield program
    if files_of(name):
        call("stop", name)
