"""`doctor` as a program: one object, sections, and how it ends."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner, Result

from shm_exchange.cli.main import app
from shm_exchange.domain.errors import ConfigError
from shm_exchange.runtime import needs
from shm_exchange.runtime.affinity import usable_cores
from shm_exchange.runtime.findings import problem


def doctor(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["doctor", *arguments])


def test_it_prints_one_object() -> None:
    done = doctor("--json")
    assert done.exit_code == 0
    found = json.loads(done.stdout)
    assert done.stdout.count("\n") == 1
    assert found["verdict"] in ("ok", "warning")
    assert found["cores"] == list(usable_cores())
    assert all(set(check) == {"name", "verdict", "found", "cure"} for check in found["checks"])
    assert all((check["cure"] is None) == (check["verdict"] == "ok") for check in found["checks"])


def test_a_problem_ends_with_1_and_is_told_with_its_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(needs, "python", lambda: problem("Python", "far too old", "use a newer one"))
    done = doctor()
    assert done.exit_code == 1
    assert "far too old" in done.stdout
    assert "→ use a newer one" in done.stdout
    assert "1 of " in done.stdout.splitlines()[-1]


def test_cores_can_be_chosen() -> None:
    last = usable_cores()[-1]
    assert json.loads(doctor("--cores", f"{last},{last}", "--json").stdout)["cores"] == [last]
    assert isinstance(doctor("--cores", "4095").exception, ConfigError)
    assert [doctor("--cores", text).exit_code for text in ("two", "3-1", "0-99999999999")] == [2, 2, 2]
