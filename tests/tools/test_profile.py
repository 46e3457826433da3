"""`python -m tools.profile` as people use it, on a matcher that has work without end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

import shm_exchange
from tools.profile import doctor, machine, recipes, sampling
from tools.profile.__main__ import main

CHECKOUT = Path(shm_exchange.__file__).parents[1]
LOAD = ("--", "python", str(Path(__file__).with_name("load.py")))
MATCHING = "engine.apply.apply"
PATIENCE = 240.0


def profile(*arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
    """Run it to the end."""
    return subprocess.run(
        [sys.executable, "-m", "tools.profile", *arguments],
        cwd=CHECKOUT,
        env=os.environ | {"PYTHONPATH": str(CHECKOUT)} | changes,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        timeout=PATIENCE,
    )


def call(*arguments: str) -> int:
    """Its exit status, run in this very process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["profile", *arguments])
        try:
            return main()
        except SystemExit as leaving:
            return int(str(leaving.code))


def figures(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """The one JSON object."""
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    found = json.loads(line)
    assert isinstance(found, dict)
    return found


def check_files(folder: Path, told: dict[str, Any]) -> None:
    """Every picture and file of a profile names the kernel that matches, under the one that calls it."""
    svg = ET.parse(folder / "flame.svg").getroot()  # noqa: S314 (we wrote it)
    assert [title for title in svg.iter("{http://www.w3.org/2000/svg}title") if (title.text or "").startswith(MATCHING)]
    lines = (folder / "stacks.collapsed").read_text().splitlines()
    assert [line for line in lines if f"matcher.loop.run_slice;matcher.step.process;{MATCHING} " in line]
    assert sum(int(line.rpartition(" ")[2]) for line in lines) == told["samples"]
    scope = json.loads((folder / "speedscope.json").read_text())
    assert {"name": MATCHING} in scope["shared"]["frames"]
    assert scope["profiles"][0]["endValue"] == pytest.approx(told["samples"] / told["rate"])
    assert MATCHING in (folder / f"perf-{told['pid']}.map").read_text()


@pytest.mark.long
@pytest.mark.requires("perf")
def test_the_profile_of_a_loaded_matcher_names_the_matching_kernel(tmp_path: Path) -> None:
    told = figures(profile("record", "--role", "matcher", "--seconds", "1", "--out", str(tmp_path), "--json", *LOAD))
    assert told["sampler"] == f"perf, {machine.sampling_event()}"
    assert told["exchange"].startswith("load-")
    (row,) = [row for row in told["top"] if row["name"] == MATCHING]
    assert row["kind"] == "compiled"
    assert row["own"] > 0
    check_files(tmp_path, told)
    assert not list(Path("/tmp").glob(f"perf-{told['pid']}.*")), "it leaves nothing behind where perf looks"


def test_without_perf_py_spy_samples_and_says_so(tmp_path: Path) -> None:
    empty = tmp_path / "bin"
    empty.mkdir()
    done = profile("record", "--seconds", "1", "--out", str(tmp_path / "out"), "--json", *LOAD, PATH=str(empty))
    if problem := machine.why_no_py_spy():
        assert done.returncode == 1
        assert problem in done.stderr
        return
    told = figures(done)
    assert told["sampler"] == "py-spy"
    assert told["notes"][0].startswith("perf is not installed: ")
    assert "sampled with py-spy instead" in told["notes"][0]
    check_files(tmp_path / "out", told)


def test_where_nothing_can_sample_the_cure_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "program", lambda _name: None)
    with pytest.raises(shm_exchange.ExchangeError) as error:
        sampling.choose("auto")
    for part in ("nothing can sample here", machine.install_perf(), "pip install 'shm-exchange[profile]'"):
        assert part in str(error.value)


def test_a_switch_of_the_kernel_is_named_where_it_forbids(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    paranoid, scope = tmp_path / "paranoid", tmp_path / "scope"
    paranoid.write_text("4\n")
    scope.write_text("1\n")
    monkeypatch.setattr(machine, "PARANOID", paranoid)
    monkeypatch.setattr(machine, "PTRACE_SCOPE", scope)
    monkeypatch.setattr(machine, "program", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(machine, "sampling_event", lambda: None)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert machine.why_no_perf().endswith("sudo sysctl kernel.perf_event_paranoid=1")
    assert machine.why_no_py_spy().endswith("sudo sysctl kernel.yama.ptrace_scope=0")


def test_a_recipe_that_cannot_be_had_says_why_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    missing = [name for name, recipe in recipes.RECIPES.items() if machine.why_no_perf() or recipe.problem()]
    if not missing:
        pytest.skip("this machine has counters, memory sampling and tracepoints")
    assert call("record", f"--{missing[0]}", *LOAD) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: --{missing[0]} cannot be had here: ")


@pytest.mark.parametrize(
    ("arguments", "status", "word"),
    [
        (("record", "nobody-runs-this"), 1, "nobody-runs-this"),
        (("record", "some", *LOAD), 1, "only one"),
        (("record", "--session", "s", *LOAD), 1, "--role gateway"),
        (("record", "--seconds", "0", *LOAD), 2, "above 0"),
        (("record", "--pid", "999999999"), 1, "no process"),
        (("record", "--", "no-such-program"), 1, "cannot start no-such-program"),
        (("record", "--", "true"), 1, "ended before its matcher was busy"),
        (("doctor", "--", "true"), 2, "no command"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(arguments: tuple[str, ...], status: int, word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(*arguments) == status
    assert word in capsys.readouterr().err


def test_doctor_says_what_works_and_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    status = call("doctor", "--json")
    told = json.loads(capsys.readouterr().out)
    assert status == (0 if told["able"] else 1)
    assert [verdict["what"] for verdict in told["verdicts"]] == [verdict.what for verdict in doctor.verdicts()]
    assert all(verdict["text"] for verdict in told["verdicts"])
