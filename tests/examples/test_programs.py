"""Every example runs by itself as it stands, ends well, and prints what it promises."""

from __future__ import annotations

import ast
import os
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from shm_exchange import examples
from shm_exchange.runtime.warm import ensure_warm

FOLDER = Path(examples.__file__).parent
LINES = 40
PATIENCE = 200.0
BUSY = {"maker", "reader", "batch", "async_reports", "own_benchmark"}  # seconds of several cores: with --long
SAYS = {
    "hello": ["EXECUTED ACME BUY", "best bid: Level(price=Decimal('99.50'), quantity=Decimal('60'))", "CANCELED USER", "best bid: None"],
    "maker": ["step 400: value", "earned +"],
    "reader": ["events seen", "trades, by process"],
    "batch": ["100000 orders and", "trades, average price", "which holds"],
    "async_reports": ["alice is told: EXECUTED", "everybody sees: EXECUTED", "best bid: None, best ask: 99.70"],
    "bot": ["bot-1 ends with", "bot-4 ends with", "trades between them"],
    "own_benchmark": ["p50 ", "p99.9", "20000 orders"],
    "replica": ["  1. bob    SELL 30\n  2. alice  SELL 90", "hold: True"],
    "behaviour": ["Bargain-1: ", "fills, earned "],
}


class Outcome(NamedTuple):
    """What became of a program."""

    code: int
    said: str
    errors: str


@pytest.fixture(scope="module")
def outcomes(request: pytest.FixtureRequest) -> Iterator[dict[str, Outcome]]:
    """Of all of them, or of the quick ones, run at once: each has an exchange of its own."""
    ensure_warm()
    names = [name for name in SAYS if name not in BUSY or request.config.getoption("--long")]
    command = [sys.executable, "-W", "error", "-m"]
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    path = {"PYTHONPATH": str(FOLDER.parents[1])}
    running = {name: subprocess.Popen([*command, f"{examples.__name__}.{name}"], env=os.environ | path, **pipes) for name in names}  # type: ignore[call-overload]
    try:
        said = {name: process.communicate(timeout=PATIENCE) for name, process in running.items()}
        yield {name: Outcome(running[name].returncode, *said[name]) for name in running}
    finally:
        for process in running.values():
            process.kill()
            process.communicate()


def test_these_are_all_examples() -> None:
    modules = {module.name for module in pkgutil.iter_modules(examples.__path__)}
    assert modules == set(SAYS)
    assert len(modules) == 9
    listed = [line.split()[0] for line in (examples.__doc__ or "").splitlines() if line.startswith("    ")]
    assert listed == [*SAYS, "tour.ipynb"]
    assert (FOLDER / "tour.ipynb").exists()


@pytest.mark.parametrize("name", SAYS)
def test_it_fits_a_page(name: str) -> None:
    text = (FOLDER / f"{name}.py").read_text()
    assert len(text.splitlines()) < LINES
    assert ast.get_docstring(ast.parse(text))


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.long) if name in BUSY else name for name in SAYS])
def test_it_runs_by_itself(outcomes: dict[str, Outcome], name: str) -> None:
    outcome = outcomes[name]
    assert (outcome.code, outcome.errors) == (0, "")
    missing = [words for words in SAYS[name] if words not in outcome.said]
    assert not missing, outcome.said
