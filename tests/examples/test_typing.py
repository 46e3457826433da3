"""Strict types for users: the examples, checked against the package as a wheel installs it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONFIGURATION = """
[mypy]
strict = True
disallow_any_unimported = True
disallow_any_explicit = True
warn_unreachable = True
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the installed package and, elsewhere, the examples as somebody's own programs."""
    pytest.importorskip("mypy")
    place = tmp_path_factory.mktemp("place")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(place / "site"), str(ROOT)]
    ended = subprocess.run(pip, capture_output=True, text=True, check=False, cwd=place)
    if "No matching distribution" in ended.stderr:
        pytest.skip("the build backend is not to be had without a network")
    assert ended.returncode == 0, ended.stderr
    shutil.copytree(place / "site" / "shm_exchange" / "examples", place / "programs", ignore=shutil.ignore_patterns("__*"))
    (place / "mypy.ini").write_text(CONFIGURATION)
    return place


def check(place: Path) -> tuple[int, str]:
    """What mypy says of the programs. What lies on PYTHONPATH counts for it as installed packages do: without py.typed it has no types."""
    command = [sys.executable, "-P", "-m", "mypy", "--config-file", "mypy.ini", "--cache-dir", "cache", "programs"]
    environment = {name: value for name, value in os.environ.items() if name != "MYPYPATH"} | {"PYTHONPATH": str(place / "site")}
    ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd=place, env=environment)
    return ended.returncode, ended.stdout + ended.stderr


@pytest.mark.long
def test_the_examples_are_strictly_typed_against_the_wheel(place: Path) -> None:
    code, said = check(place)
    assert code == 0, said
    assert "no issues found in 8 source files" in said


@pytest.mark.long
def test_it_is_the_wheel_that_is_looked_at(place: Path) -> None:
    """Its py.typed makes it count, before any other copy of the package that Python could find."""
    gateway = place / "site" / "shm_exchange" / "client" / "gateway.py"
    text = gateway.read_text()
    gateway.write_text(text.replace("def limit(", "def limit_order("))
    try:
        code, said = check(place)
    finally:
        gateway.write_text(text)
    assert code == 1
    assert '"Gateway" has no attribute "limit"' in said
